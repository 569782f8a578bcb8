"""A workspace's log is a pipe of the keeper's: who is inside may write anything into it, without end, or close it."""

import os
import selectors
import shutil
from dataclasses import replace
from pathlib import Path

from tests.workspaces.conftest import ENVIRONMENT, LIMITS, Plan
from tests.workspaces.test_keeper import wait_for
from tre.workspaces.runtime import REPOSITORY, SandboxRuntime
from tre.workspaces.sandbox.arguments import Image
from tre.workspaces.sandbox.keeper import LOG_BYTES, Keeper
from tre.workspaces.sandbox.launch import Sandbox
from tre.workspaces.sandbox.order import Order


def test_a_log_is_read_a_pipes_fill_at_a_time_and_no_more_once_it_ended(plan: Plan, folder: Path) -> None:
    keeper = Keeper(Order(plan(), folder, folder, folder, Image("", "", ()), {}))
    reading, writing = os.pipe()
    sandbox = Sandbox(process=None, life=-1, ready=-1, log=reading)  # type: ignore[arg-type]
    os.set_blocking(reading, False)
    keeper.selector.register(reading, selectors.EVENT_READ, "log")
    os.write(writing, bytes(1 << 15) + b"its last words")
    keeper._take_log(sandbox, waiting=True)
    assert len(sandbox.tail) == LOG_BYTES
    assert sandbox.tail.endswith(b"its last words")
    assert reading not in keeper.selector.get_map(), "one wait without it"
    keeper._take_log(sandbox, waiting=False)
    assert reading in keeper.selector.get_map()
    os.close(writing)
    for _ in range(3):
        keeper._take_log(sandbox, waiting=reading in keeper.selector.get_map())
    assert reading not in keeper.selector.get_map(), "nobody can write any more"
    os.close(reading)


FLOODING_SERVER = """
import json, os, signal
settings = json.load(os.fdopen(0))
os.write(settings["ready"], b"ready")
os.close(settings["ready"])
count = os.open("written", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.fork()
while True:
    os.write(1, bytes(1 << 16))
    os.write(count, b".")
"""


def test_a_workspace_that_floods_its_log_is_watched_and_ended_all_the_same(folder: Path, plan: Plan) -> None:
    """Its output is a pipe of the keeper's: whoever writes without end must not keep the keeper busy."""
    image = folder / "image"
    shutil.copytree(REPOSITORY / "images" / "workspace", image)
    (image / "start" / "serve.py").write_text(FLOODING_SERVER)
    runtime = SandboxRuntime(folder / "run", ENVIRONMENT, image=image)
    made = plan(limits=replace(LIMITS, max_age_seconds=2))
    state = runtime.start(made)
    try:
        assert "maximum age" in str(wait_for(lambda: runtime.poll(state), 15))
    finally:
        runtime.stop(state)
    assert 0 < (Path(made.home) / "written").stat().st_size < 64, "a pipe's fill now and then, not all that it could"
