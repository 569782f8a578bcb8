"""What every test may ask for: see tests/fixtures."""

from hypothesis import settings

# No timed assertions, and nothing written into the checkout.
settings.register_profile("tre", database=None, deadline=None)
settings.load_profile("tre")

pytest_plugins = [
    "tests.fixtures.folders",
    "tests.fixtures.postgres",
    "tests.fixtures.openbao",
    "tests.fixtures.database",
    "tests.fixtures.people",
    "tests.fixtures.workspaces",
]
