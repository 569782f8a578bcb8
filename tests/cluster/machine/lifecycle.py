"""Up and down. Decides the order outside the cluster's namespaces, and that down works from any state of up.

Up: run folder, journal, control groups, then one process in those groups and in new namespaces. Down: the journal
backwards. Whatever killed up, and whenever, the journal tells what may be there.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from tre.errors import Conflict, Unavailable

from . import configs, groups, network, pki
from .journal import Entry, Journal
from .place import CHECKOUT, Place
from .processes import answers
from .progress import follow, say

NAMESPACES = ("--mount", "--net", "--pid", "--ipc", "--uts", "--cgroup")


def is_up(place: Place) -> bool:
    """Does the API server answer through the door that the kubeconfig names?"""
    if not place.kubeconfig.exists():
        return False
    command = [str(place.programs / "kubectl"), f"--kubeconfig={place.kubeconfig}", "get", "--raw=/readyz"]
    return answers(command)()


def up(place: Place) -> None:
    """Start a cluster; programs and packages must be there. Raises Unavailable, and leaves nothing, where it fails."""
    if is_up(place):
        say("the cluster runs already")
        return
    down(place)
    try:
        start(place)
    except BaseException:
        down(place)
        raise


def start(place: Place) -> None:
    place.run.mkdir(parents=True, mode=0o700)
    journal = Journal(place.journal)
    journal.write(Entry("folder", str(place.run)))
    mine = groups.paths(place.name)
    for group in mine:
        journal.write(Entry("group", str(group)))
        groups.make(group)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        prepare(place, listener.getsockname()[1])
        enter(place, mine, listener)
    say(f"the cluster is up; KUBECONFIG={place.kubeconfig}")


def prepare(place: Place, port: int) -> None:
    """Keys and configuration files."""
    place.logs.mkdir()
    for name, content in configs.files(place).items():
        file = place.run / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"]
    people = pki.make(
        place.keys,
        node=network.NODE,
        node_address=network.NODE_ADDRESS,
        api=f"https://{network.NODE_ADDRESS}:{network.API_PORT}",
        api_names=[
            *names,
            f"kubernetes.default.svc.{network.DOMAIN}",
            network.API_SERVICE,
            network.NODE_ADDRESS,
            "127.0.0.1",
        ],
        door=f"https://127.0.0.1:{port}",
    )
    pki.write(place.kubeconfig, people)


def enter(place: Place, mine: list[Path], listener: socket.socket) -> None:
    """Start the first process, in its groups from its first instruction, and wait until it says that all is up."""
    first = [sys.executable, "-m", "tests.cluster.machine.inside", str(place.run), str(place.cache)]
    child = subprocess.Popen(
        ["unshare", *NAMESPACES, "--fork", "--kill-child", *first, str(listener.fileno())],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        pass_fds=(listener.fileno(),),
        start_new_session=True,
        preexec_fn=lambda: groups.enter(mine),
    )
    assert child.stdout
    with child.stdout as output:
        if not follow(output):
            raise Unavailable("the cluster did not start; the reason is above", hint="docs/cluster.md may help.")


def down(place: Place) -> None:
    """End everything and remove it. Does nothing where nothing is. Raises Unavailable where something will not go."""
    entries = Journal(place.journal).read()
    if not entries:
        discard_unwritten(place)
    groups.end([Path(entry.path) for entry in reversed(entries) if entry.kind == "group"])
    for entry in reversed(entries):
        if entry.kind == "folder":
            remove(Path(entry.path), Path(place.run))
    if entries:
        say("the cluster is down")


def discard_unwritten(place: Place) -> None:
    """A start that was killed before its first word made at most an empty folder and an empty journal."""
    if not place.run.exists():
        return
    place.journal.unlink(missing_ok=True)
    try:
        place.run.rmdir()
    except OSError as problem:
        raise Conflict(
            f"{place.run} is not empty and has no journal: it is not a cluster's folder", hint="Move it away yourself."
        ) from problem


def remove(folder: Path, expected: Path) -> None:
    """The run folder, the journal last, so that a broken-off removal can be taken up again."""
    if folder != expected:
        raise Conflict(f"the journal names {folder}, not {expected}: it was moved", hint="Move it back.")
    for path in folder.iterdir():
        if path.name == "journal":
            continue
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (folder / "journal").unlink()
    folder.rmdir()
