"""A second cluster beside the first: it comes up, goes down and leaves nothing, however its start ended.

Needs what `make cluster` needs; on a machine that has only somebody's cluster (KUBECONFIG) it says so and is skipped.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tre.errors import Conflict, Unavailable

from . import traces
from .machine import groups, lifecycle, needs
from .machine.place import CHECKOUT, Place
from .traces import Own, Traces

START = "import signal, sys; from pathlib import Path; from tests.cluster.machine import lifecycle; "
# Started in the background, a shell's children ignore the signal.
START += "signal.signal(signal.SIGINT, signal.default_int_handler); "
START += "from tests.cluster.machine.place import Place; "
START += "lifecycle.up(Place(cache=Path(sys.argv[1]), run=Path(sys.argv[2])))"


@pytest.fixture
def beside(our_place: Place, tmp_path: Path) -> Iterator[Place]:
    """A place for another cluster with the same programs."""
    lacking = [*needs.lacking(), *needs.missing_packages()]
    if lacking or not (our_place.programs / "kube-apiserver").exists():
        pytest.skip("a cluster can only be started where one can be built: " + ("; ".join(lacking) or "`make cluster`"))
    place = Place(cache=our_place.cache, run=tmp_path / "run")
    yield place
    lifecycle.down(place)


def starting(place: Place) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", START, str(place.cache), str(place.run)], cwd=CHECKOUT)


def assert_nothing_is_left(place: Place, before: Traces, mine: Own | None) -> None:
    """The kernel takes a moment to forget namespaces and programs after their last user."""
    assert not place.run.exists()
    assert not [group for group in groups.paths(place.name) if group.exists()]
    assert traces.mentions(place) == []
    until = time.monotonic() + 30
    while (left := (mine and traces.in_use(mine))) or (changes := before.changes(traces.read())):
        assert time.monotonic() < until, left or changes
        time.sleep(0.5)


def test_a_cluster_comes_up_beside_another_and_leaves_nothing(beside: Place) -> None:
    before = traces.settled()
    lifecycle.up(beside)
    assert lifecycle.is_up(beside)
    while_up = before.changes(traces.read())
    mine = traces.own(beside)
    # The machine itself sees no mount, link, route, rule or setting of it; only BPF programs are listed for everyone.
    assert while_up.keys() <= {"programs", "maps"}
    assert while_up["programs"]["new"]
    assert len([name for name in mine.namespaces if name.startswith("net:")]) >= 3
    a_killed_server_comes_back(beside)
    lifecycle.down(beside)
    assert_nothing_is_left(beside, before, mine)
    lifecycle.down(beside)


def a_killed_server_comes_back(place: Place) -> None:
    (killed,) = traces.running(place, "kube-scheduler")
    os.kill(killed, signal.SIGKILL)
    until = time.monotonic() + 30
    while not traces.running(place, "kube-scheduler") - {killed}:
        assert time.monotonic() < until
        time.sleep(0.2)


@pytest.mark.parametrize("seconds", [0.4, 1.5, 5, 12])
def test_a_start_that_is_killed_can_be_taken_down(beside: Place, seconds: float) -> None:
    before = traces.settled()
    child = starting(beside)
    time.sleep(seconds)
    mine = traces.own(beside)
    child.kill()
    child.wait()
    lifecycle.down(beside)
    assert_nothing_is_left(beside, before, mine)


def test_a_start_that_is_interrupted_takes_itself_down(beside: Place) -> None:
    before = traces.settled()
    child = starting(beside)
    time.sleep(6)
    mine = traces.own(beside)
    assert mine.namespaces
    child.send_signal(signal.SIGINT)
    assert child.wait(60) != 0
    assert_nothing_is_left(beside, before, mine)


def test_a_cluster_whose_first_process_dies_is_gone_and_can_be_taken_down(beside: Place) -> None:
    before = traces.settled()
    lifecycle.up(beside)
    mine = traces.own(beside)
    os.kill(min(traces.processes(beside)), signal.SIGKILL)
    until = time.monotonic() + 30
    while traces.processes(beside):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert not lifecycle.is_up(beside)
    lifecycle.down(beside)
    assert_nothing_is_left(beside, before, mine)


def test_a_start_that_fails_tells_why_and_leaves_nothing(
    beside: Place, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = traces.settled()
    programs = tmp_path / "cache" / "bin"
    programs.mkdir(parents=True)
    for program in beside.programs.iterdir():
        (programs / program.name).symlink_to(program.resolve())
    (programs / "kube-apiserver").unlink()
    (programs / "kube-apiserver").symlink_to("/bin/false")
    broken = Place(cache=tmp_path / "cache", run=beside.run)
    with pytest.raises(Unavailable, match="did not start"):
        lifecycle.up(broken)
    assert "the API server did not become ready: its server ended" in capfd.readouterr().err
    assert_nothing_is_left(beside, before, None)


def test_a_folder_that_is_no_clusters_is_left_alone(tmp_path: Path) -> None:
    place = Place(cache=tmp_path, run=tmp_path / "run")
    place.run.mkdir()
    (place.run / "thesis").write_text("the only copy")
    with pytest.raises(Conflict, match="no journal"):
        lifecycle.down(place)
    assert (place.run / "thesis").read_text() == "the only copy"
