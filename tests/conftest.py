"""What every test may ask for: see tests/fixtures."""

from pathlib import Path

import pytest
from hypothesis import settings

from tests import covered

measured = covered.begun()

# No timed assertions, and nothing written into the checkout.
settings.register_profile("tre", database=None, deadline=None)
settings.load_profile("tre")


def pytest_unconfigure() -> None:
    if measured:
        measured.stop()
        measured.save()


CLUSTER = Path(__file__).parent / "cluster"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Tests that need a Kubernetes run when they are named (`make test-cluster`), not with everything else."""
    if collection_path != CLUSTER:
        return None
    named = [(config.invocation_params.dir / argument.split("::")[0]).resolve() for argument in config.args]
    return None if any(path.is_relative_to(CLUSTER) for path in named) else True


pytest_plugins = [
    "tests.fixtures.control_groups",
    "tests.fixtures.folders",
    "tests.fixtures.postgres",
    "tests.fixtures.object_storage",
    "tests.fixtures.openbao",
    "tests.fixtures.database",
    "tests.fixtures.people",
    "tests.fixtures.workspaces",
]
