"""The servers behind the platform go away and come back: who works goes on, who comes is told why not yet."""

from __future__ import annotations

import contextlib

import pytest

from tests.cluster.chart.researcher import Researcher
from tre.demo.release_stage import ReleaseStage
from tre.demo.stage import Unexpected

from .scene import Scene, within

pytestmark = pytest.mark.timeout(400)

#: As after a power cut: it must make good from its log what was not yet on the disk.
CRASH = "import os, signal; os.kill(1, signal.SIGQUIT)"
#: It begins anew with another key than it was sealed with, and then with its own again.
KEY = """
import os, secrets, signal, sys
from tre.settings import Settings
from tre.stack import openbao
key = Settings.load().secret_file(openbao.SEAL_FILE)
kept = key.with_suffix(".kept")
if sys.argv[1] == "another":
    key.rename(kept)
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(32))
else:
    kept.rename(key)
os.kill(1, signal.SIGTERM)
"""
SEALED = """
from tre.settings import Settings
from tre.stack import openbao
print(openbao.health(Settings.load()).get("sealed"))
"""


def test_the_platforms_own_postgresql(scene: Scene) -> None:
    stage = scene.researcher.stage
    crash(stage, "postgres-state")
    assert scene.researcher.says("print(x)") == "41"
    assert within(60, scene.researcher.live) == [scene.workspace]
    scene.nothing_is_lost()
    assert stage.tre("ada", "audit", "verify")["events"] > 0


def test_the_data_server(scene: Scene) -> None:
    """A workspace's login is good again as soon as there is somebody to log in at."""
    crash(scene.researcher.stage, "postgres-data")
    assert scene.researcher.says("print(x)") == "41"
    assert within(60, scene.researcher.rows) == "60 60"
    scene.nothing_is_lost()


def crash(stage: ReleaseStage, server: str) -> None:
    """And it was really gone: its container is another one."""
    pod = f"pod/tre-{server}-0"
    restarts = ("get", pod, "--output=jsonpath={.status.containerStatuses[0].restartCount}")
    before = int(stage.kube(*restarts))
    ends(stage, pod, CRASH)
    within(60, lambda: int(stage.kube(*restarts)) > before)


def ends(stage: ReleaseStage, pod: str, code: str, *arguments: str) -> None:
    """The container ends by that code, perhaps before the answer is here. What became of it is asked next."""
    with contextlib.suppress(Unexpected):
        stage.inside(code, *arguments, part=pod)


def test_openbao_sealed_and_unsealed(scene: Scene, newcomer: Researcher) -> None:
    stage, openbao = scene.researcher.stage, "pod/tre-openbao-0"
    ends(stage, openbao, KEY, "another")
    try:
        within(60, lambda: stage.inside(SEALED, part=openbao).strip(), lambda said: said == "True")
        scene.refused(newcomer, "secrets server")
        assert scene.researcher.says("print(x)") == "41"
        assert scene.researcher.rows() == "60 60"
    finally:
        ends(stage, openbao, KEY, "its own")
    within(60, lambda: stage.inside(SEALED, part=openbao).strip(), lambda said: said == "False")
    scene.nothing_is_lost()
    newcomer.start()
    assert newcomer.rows() == "60 60"
    newcomer.leave()
