"""Both profiles as helm renders them, and a release of the small one for each module that asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.house import Facts
from tests.cluster.machine.contents import Kubectl
from tests.cluster.machine.place import Place

from .release import Release, installed
from .rendering import PROFILES, Object, render
from .rights import Installation, in_force


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
    with installed(kubectl, our_place, helm_program) as found:
        yield found


@pytest.fixture(scope="module")
def installation(kubectl: Kubectl, helm_program: Path) -> Iterator[Installation]:
    with in_force(kubectl, helm_program) as found:
        yield found
