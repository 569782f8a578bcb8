"""A node's clock is two minutes ahead, and with it that of one of our pods: it says so and does not begin; one that was
right when it began does no harm.
"""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cluster.chart.researcher import Researcher

from .scene import Scene, within

pytestmark = pytest.mark.timeout(600)
AHEAD = timedelta(minutes=2)
#: When it has begun, and looked at its servers.
LATER = 60
SOURCE = Path(__file__).with_name("apart.c")
NAME = "tests-clock"


def test_an_api_whose_clock_is_ahead_does_not_begin(scene: Scene, tmp_path: Path) -> None:
    """The one before it goes on."""
    (before,) = scene.pods("api")
    with clock(scene, "api", 0, tmp_path):
        (other,) = within(60, lambda: set(scene.pods("api")) - {before})
        said = within(90, lambda: scene.release.space("logs", other), lambda log: "clock" in log)
        assert "postgresql.state.host" in said, said
        assert "clock is 1" in said, said
        assert scene.researcher.live() == [scene.workspace]
    scene.nothing_is_lost()


def test_an_api_whose_clock_leaps_ahead(scene: Scene, newcomer: Researcher, tmp_path: Path) -> None:
    """What it wrote is of the future for the controller, and so is the token that it made for the intake."""
    with clock(scene, "api", LATER, tmp_path):
        scene.release.settle()
        time.sleep(LATER)
        newcomer.start()
        (mine,) = set(newcomer.live()) - {scene.workspace}
        shown = scene.researcher.stage.tre("ada", "workspace", "show", mine)
        assert datetime.fromisoformat(shown["requested_at"]) > datetime.now(UTC) + AHEAD / 2
        assert newcomer.submits()["state"] == "in_review"
        assert newcomer.rows() == "60 60"
        assert mine in newcomer.live()
    scene.nothing_is_lost()
    newcomer.leave()


@contextlib.contextmanager
def clock(scene: Scene, part: str, later: int, folder: Path) -> Iterator[None]:
    """A part's new pods have it; at the end there are none of them."""
    library = folder / "apart.so"
    values = (f"-DAPART={int(AHEAD.total_seconds())}", f"-DAFTER={later}")
    subprocess.run(["clang-19", "-shared", "-fPIC", "-nostdlib", *values, "-o", library, SOURCE], check=True)
    deployment = f"deployment/tre-{part}"
    content = {"apart.so": base64.b64encode(library.read_bytes()).decode()}
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "binaryData": content}
    scene.release.space.apply(made)
    scene.release.space(
        "patch", deployment, f"--patch={json.dumps({'spec': {'template': {'spec': preloading(part)}}})}"
    )
    try:
        yield
    finally:
        scene.release.space("rollout", "undo", deployment)
        scene.release.settle()
        scene.release.space("delete", f"configmap/{NAME}")


def preloading(part: str) -> dict[str, object]:
    return {
        "volumes": [{"name": NAME, "configMap": {"name": NAME}}],
        "containers": [
            {
                "name": part,
                "env": [{"name": "LD_PRELOAD", "value": "/tests/apart.so"}],
                "volumeMounts": [{"name": NAME, "mountPath": "/tests", "readOnly": True}],
            }
        ],
    }
