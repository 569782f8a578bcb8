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

from .machine import Machine
from .scene import Scene, within

#: Two where one takes over from the other.
VALUES = {**release.VALUES, "guard": {"replicas": 2}, "controller": {"replicas": 2}}


@pytest.fixture(scope="session")
def machine(our_place: Place) -> Machine:
    return Machine(our_place)


@pytest.fixture(autouse=True)
def servers(kubectl: Kubectl) -> None:
    """The cluster's own are back, also where the one before failed."""
    within(90, lambda: kubectl("get", "--raw=/readyz"))


@pytest.fixture(scope="package")
def scene(
    kubectl: Kubectl,
    our_place: Place,
    helm_program: Path,
    facts: Facts,
    machine: Machine,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    """Needs our own cluster (`facts`), onto which `make images` puts the images. People come past the cluster's own
    servers, as they do everywhere.
    """
    with release.installed(kubectl, our_place, helm_program, VALUES) as found:
        found.settle()
        target = f"{found.space.service_address('tre-proxy')}:8000"
        folder = tmp_path_factory.mktemp("stage")
        with researcher_on(found, folder, lambda stage: machine.way_in(stage.settings.port, target)) as researcher:
            researcher.settle_in()
            researcher.open()
            researcher.says("x = 41")
            yield Scene(found, researcher)


@pytest.fixture(scope="package")
def newcomer(scene: Scene) -> Researcher:
    """The same person in a second project, where no workspace runs yet."""
    return scene.joined(another(scene.release, scene.researcher.stage))
