"""helm, both profiles as it renders them, and a release of the small one for each module that asks."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import objects
from tests.cluster.house import Facts, Space
from tests.cluster.machine.contents import Kubectl
from tests.cluster.machine.place import Place, place

from .release import CLAIMS, Release
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


@pytest.fixture(scope="module")
def release(kubectl: Kubectl, our_place: Place, helm_program: Path, facts: Facts) -> Iterator[Release]:
    """Needs our own cluster (`facts`), onto which `make images` puts the images."""
    name = f"chart-{secrets.token_hex(3)}"
    kubectl.apply([objects.namespace(name)])
    found = Release(Space(kubectl, name), our_place, helm_program)
    try:
        found.provide(name, *CLAIMS)
        found.install()
        yield found
    finally:
        found.remove()
