"""One release for all accidents: each begins when nothing is lost of the one before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.chart import release
from tests.cluster.chart.researcher import Researcher, another, researcher_on
from tests.cluster.house import Facts
from tests.cluster.machine.contents import Kubectl
from tests.cluster.machine.place import Place

from .scene import Scene

#: Two where one takes over from the other.
VALUES = {**release.VALUES, "guard": {"replicas": 2}, "controller": {"replicas": 2}}


@pytest.fixture(scope="package")
def scene(
    kubectl: Kubectl, our_place: Place, helm_program: Path, facts: Facts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """Needs our own cluster (`facts`), onto which `make images` puts the images."""
    with release.installed(kubectl, our_place, helm_program, VALUES) as found:
        found.settle()
        with researcher_on(found, tmp_path_factory.mktemp("stage")) as researcher:
            researcher.settle_in()
            researcher.open()
            researcher.says("x = 41")
            yield Scene(found, researcher)


@pytest.fixture(scope="package")
def newcomer(scene: Scene) -> Researcher:
    """The same person in a second project, where no workspace runs yet."""
    found = another(scene.release, scene.researcher.stage)
    found.join()
    found.browser = scene.researcher.browser
    found.wait_for_the_volume()
    return found
