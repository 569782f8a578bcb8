"""Run inside `outside`: for each wall, a workspace without it beside a whole one, and the probes that must see it.

Prints one JSON object {wall: {probe: verdict}}; `test_probes` judges.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path

from tests.workspaces.conftest import ENVIRONMENT, QUICK_SERVER, make_plan, new_folder, processes_with, stop_all
from tests.workspaces.outside import METADATA, OUTSIDE, PORT, RESOLVER_PORT
from tre.workspaces.probes import targets
from tre.workspaces.probes.ending import TRIES, endings
from tre.workspaces.probes.report import Subject, Surroundings
from tre.workspaces.probes.verify import one_way
from tre.workspaces.runtime import REPOSITORY, SandboxRuntime
from tre.workspaces.sandbox import usage

SURROUNDINGS = Surroundings(
    outside=[(OUTSIDE, PORT)],
    outside_udp=[(OUTSIDE, PORT)],
    resolver=[(OUTSIDE, RESOLVER_PORT)],
    metadata=[(METADATA, PORT)],
)


def serve(kind: int, address: tuple[str, int]) -> None:
    """The outside host, for as long as this process lives."""
    opened = socket.socket(socket.AF_INET, kind)
    opened.bind(address)
    if kind == socket.SOCK_STREAM:
        opened.listen()

    def answer() -> None:
        while True:
            if kind == socket.SOCK_STREAM:
                opened.accept()[0].close()
            else:
                text, sender = opened.recvfrom(2048)
                opened.sendto(text, sender)

    threading.Thread(target=answer, daemon=True).start()


def one_wall(wall: str, names: list[str], folder: Path, beside: Subject, aimed: targets.Targets) -> dict[str, str]:
    image = folder / "image"
    shutil.rmtree(image, ignore_errors=True)
    shutil.copytree(REPOSITORY / "images" / "workspace", image)
    (image / "start" / "serve.py").write_text(QUICK_SERVER)

    class Weakened(SandboxRuntime):
        keeper = ("tests.workspaces.weakened", wall, str(folder))

    groups = {} if wall in ("resource limits", "memory limit", "end of everything") else None
    runtime = Weakened(folder / "run", ENVIRONMENT, image=image, groups=groups)
    ended = (
        endings_without(runtime, folder / "-".join(re.findall("[a-z0-9]+", wall))) if set(names) & set(TRIES) else {}
    )
    if set(names) <= set(TRIES):
        return ended
    plan = make_plan(folder, "one")
    state = runtime.start(plan)
    status = runtime.status(state)
    inside = usage.descendants(status.pid) if status else []
    try:
        results = one_way(runtime, Subject.of(state, plan), beside, SURROUNDINGS, aimed, names=names)
        return ended | {result.name: f"{result.verdict}: {result.detail}" for result in results}
    finally:
        runtime.stop(state)
        for process in inside:  # without a process namespace nobody ends them
            if Path(f"/proc/{process}").exists():
                os.kill(process, signal.SIGKILL)


def endings_without(runtime: SandboxRuntime, folder: Path) -> dict[str, str]:
    """What ends a workspace, in one of nobody's without this wall; then what stayed of it is ended."""
    try:
        results = endings(runtime, folder, {})
        return {result.name: f"{result.verdict}: {result.detail}" for result in results}
    finally:
        # The kernel names mounts from the root of their file system, which may lie below ours.
        for process in processes_with(f"{folder.parent.name}/{folder.name}"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def main() -> None:
    expected: dict[str, list[str]] = json.load(sys.stdin)
    for kind, address in (
        (socket.SOCK_STREAM, (OUTSIDE, PORT)),
        (socket.SOCK_DGRAM, (OUTSIDE, PORT)),
        (socket.SOCK_DGRAM, (OUTSIDE, RESOLVER_PORT)),
        (socket.SOCK_STREAM, (METADATA, PORT)),
    ):
        serve(kind, address)
    folder = new_folder()
    bus = socket.socket(socket.AF_UNIX)
    bus.bind(str(folder / "bus.sock"))
    bus.listen()
    image = folder / "whole"
    shutil.copytree(REPOSITORY / "images" / "workspace", image)
    (image / "start" / "serve.py").write_text(QUICK_SERVER)
    whole = SandboxRuntime(folder / "run", ENVIRONMENT, image=image)
    plan = make_plan(folder, "two")
    (folder / "two" / "home").mkdir(exist_ok=True)
    state = whole.start(plan)
    found = {}
    try:
        with targets.opened() as aimed:
            for wall, names in expected.items():
                try:
                    found[wall] = one_wall(wall, names, folder, Subject.of(state, plan), aimed)
                except Exception as error:
                    found[wall] = {"error": f"{type(error).__name__}: {error}"}
    finally:
        stop_all(whole)
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
