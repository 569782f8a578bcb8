"""Volumes that nobody made, that cannot be mounted, and that do not let go: a start ends with that reason, an end ends,
and later all is well.
"""

from __future__ import annotations

import pytest

from tests.cluster.chart.researcher import HOME, Researcher, another
from tre.workspaces.kubernetes.names import namespace_of

from .machine import Machine
from .scene import Scene, within

pytestmark = pytest.mark.timeout(600)
#: As long as the hub waits for a pod, and a little.
PATIENCE = 150


def test_a_claim_that_is_not_bound(scene: Scene) -> None:
    other = scene.joined(another(scene.release, scene.researcher.stage, ("data",)))
    scene.refuses(other, "A volume of it is not there", PATIENCE)
    scene.release.provide(namespace_of(scene.release.space.name, other.project), HOME)
    other.start()
    assert other.rows() == "60 60"
    other.leave()


def test_a_volume_that_cannot_be_mounted(scene: Scene) -> None:
    other = scene.joined(another(scene.release, scene.researcher.stage))
    folder = scene.release.folder(namespace_of(scene.release.space.name, other.project), HOME)
    away = folder.rename(folder.with_suffix(".away"))
    scene.refuses(other, "Its node has not made the workspace's volumes and network ready.", PATIENCE)
    away.rename(folder)
    other.start()
    assert other.rows() == "60 60"
    other.leave()


def test_a_volume_that_does_not_let_go(scene: Scene, newcomer: Researcher, machine: Machine) -> None:
    """Its pod cannot go. The workspace ends all the same, its login with it, and its person starts another."""
    stage = scene.researcher.stage
    newcomer.start()
    (first,) = set(newcomer.live()) - {scene.workspace}
    space = namespace_of(scene.release.space.name, newcomer.project)
    uid = scene.release.kubectl("--namespace", space, "get", "pods", "--output=jsonpath={.items[0].metadata.uid}")
    mounted = f"{scene.release.place.run}/kubelet/pods/{uid}/volumes/kubernetes.io~local-volume/{space}-{HOME}"
    with machine.held(mounted):
        stage.tre("rhea", "workspace", "stop", first)
        ended = within(90, lambda: stage.tre("ada", "workspace", "show", first), lambda one: one["state"] == "stopped")
        assert ended["credential"] == "revoked"
        newcomer.start()
        assert newcomer.rows() == "60 60"
        stage.machine.hold(first)
        assert stage.machine.left(seconds=0)
    assert stage.machine.left(seconds=90) == []
    newcomer.leave()
    scene.nothing_is_lost()
