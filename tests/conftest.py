"""What every test may ask for: see tests/fixtures."""

pytest_plugins = [
    "tests.fixtures.folders",
    "tests.fixtures.postgres",
    "tests.fixtures.openbao",
    "tests.fixtures.database",
    "tests.fixtures.people",
]
