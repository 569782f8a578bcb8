"""helm, and both profiles as it renders them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.machine.place import place

from .rendering import PROFILES, Object, render


@pytest.fixture(scope="session")
def helm_program() -> Path:
    """Fails, never skips, where it is not built."""
    program = place().programs / "helm"
    if not program.exists():
        pytest.fail("no helm: `make cluster` builds it")
    return program


@pytest.fixture(scope="session", params=sorted(PROFILES))
def profile(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def rendered(helm_program: Path, profile: str) -> list[Object]:
    values, files = PROFILES[profile]
    return render(helm_program, values, files)
