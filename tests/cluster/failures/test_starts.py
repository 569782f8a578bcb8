"""What cannot start ends in a state with its reason, on the spawn page and in the list; who works is not disturbed."""

from __future__ import annotations

import pytest

from tests.cluster import objects
from tests.cluster.chart.researcher import Researcher
from tre.workspaces.kubernetes.names import namespace_of

from .conftest import VALUES
from .scene import Scene

pytestmark = pytest.mark.timeout(400)
NONE = "localhost/tre-none:1"


def test_an_image_that_is_not_there(scene: Scene, newcomer: Researcher) -> None:
    """The hub reads it when it begins, and admission holds the hub to it."""
    try:
        given(scene, {**VALUES, "projects": {"images": {newcomer.project: NONE}}})
        scene.refuses(newcomer, "its image is not on the node")
    finally:
        given(scene, VALUES)


def given(scene: Scene, values: objects.Object) -> None:
    scene.release.upgrade(values)
    scene.release.space("rollout", "restart", "deployment/tre-hub")
    scene.release.settle()


def test_a_quota_that_is_full(scene: Scene, newcomer: Researcher) -> None:
    """Somebody's pods use all that the project may have; when they are gone there is room again."""
    space = namespace_of(scene.release.space.name, newcomer.project)
    fillers = [filler(f"filler-{number}") for number in range(2)]
    for each in fillers:
        each["metadata"]["namespace"] = space
    scene.release.kubectl.apply(fillers)
    scene.refuses(newcomer, "all that it may have at once")
    scene.release.kubectl(
        "--namespace", space, "delete", "--wait=true", *(f"pod/{each['metadata']['name']}" for each in fillers)
    )
    newcomer.start()
    assert newcomer.rows() == "60 60"
    newcomer.leave()


def filler(name: str) -> objects.Object:
    """As large as a workspace may be (the namespace's defaults), on no node."""
    made = objects.pod(name)
    made["spec"]["nodeSelector"] = {"tre.example/none": "x"}
    return made
