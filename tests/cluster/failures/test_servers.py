"""The servers behind the platform go away and come back: who works goes on, who comes is told why not yet."""

from __future__ import annotations

import pytest

from tests.cluster.chart.researcher import ASK_STATE, Researcher
from tre.demo.release_stage import ReleaseStage

from .scene import Scene, within

pytestmark = pytest.mark.timeout(400)

#: As after a power cut: it must make good from its log what was not yet on the disk.
CRASH = "import os, signal; os.kill(1, signal.SIGQUIT)"
#: As the holder of the recovery key does it.
SEAL = """
import base64, json
from tre.credentials.client import connect
from tre.credentials.files import read_secret
from tre.settings import Settings
from tre.stack import openbao
settings = Settings.load()
(key,) = json.loads(read_secret(settings.secret_file(openbao.RECOVERY_FILE)))["recovery_keys"]
client = connect(settings.openbao_socket)
begun = client.sys.start_root_token_generation()
begun = begun.get("data", begun)
made = client.sys.generate_root(key, begun["nonce"])
encoded = made.get("data", made)["encoded_token"]
mixed = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
token = bytes(a ^ b for a, b in zip(mixed, begun["otp"].encode())).decode()
connect(settings.openbao_socket, token).sys.seal()
print(openbao.health(settings)["sealed"])
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
    stage.inside(CRASH, part=pod)
    within(60, lambda: int(stage.kube(*restarts)) > before)


def test_openbao_sealed_and_unsealed(scene: Scene, newcomer: Researcher) -> None:
    stage, openbao = scene.researcher.stage, "pod/tre-openbao-0"
    assert stage.inside(SEAL, part=openbao).strip() == "True"
    words = scene.researcher.browser.refused_workspace(newcomer.project)
    assert "secrets server" in words, words
    asked = f"SELECT state, reason FROM workspace WHERE project_slug = '{newcomer.project}'"
    assert stage.inside(ASK_STATE, asked).startswith("failed")
    assert "secrets server" in stage.inside(ASK_STATE, asked)
    assert scene.researcher.says("print(x)") == "41"
    assert scene.researcher.rows() == "60 60"
    # By its own key, when it begins anew.
    stage.kube("delete", openbao, "--wait=true", "--timeout=60s")
    scene.nothing_is_lost()
    newcomer.start()
    assert newcomer.rows() == "60 60"
    newcomer.leave()
    scene.nothing_is_lost()
