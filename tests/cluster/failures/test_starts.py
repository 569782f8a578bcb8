"""What cannot start ends in a state with its reason, on the spawn page and in the list; who works is not disturbed."""

from __future__ import annotations

import pytest

from tests.cluster import objects
from tests.cluster.chart.researcher import Researcher
from tre.workspaces.kubernetes.names import namespace_of

from .scene import Scene

pytestmark = pytest.mark.timeout(400)
NONE = "localhost/tre-none:1"


def test_an_image_that_is_not_there(scene: Scene, newcomer: Researcher) -> None:
    """The hub reads it when it begins."""
    written = scene.release.space("get", "configmap/tre-cluster", "--output=yaml")
    image = next(line for line in written.splitlines() if line.strip().startswith("image ="))
    for text in (written.replace(image, image.split("=")[0] + f'= "{NONE}"'), written):
        scene.release.space("replace", "--filename=-", feed=without_version(text))
        scene.release.space("rollout", "restart", "deployment/tre-hub")
        scene.release.settle()
        if NONE in text:
            scene.refuses(newcomer, "its image is not on the node")


def without_version(text: str) -> str:
    """So that it replaces whatever is there."""
    return "\n".join(line for line in text.splitlines() if "resourceVersion:" not in line)


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
