"""The supervisor with toy parts: order, death, refusal to die, and its own death."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from tests.stack.toys import is_ready, part_of, supervising, toy, wait_until
from tre.errors import Conflict, Unavailable
from tre.settings import Settings
from tre.stack import cgroups, process, status
from tre.stack import supervisor as supervisor_module
from tre.stack.part import Part, check_parts, environment
from tre.stack.shares import total_memory
from tre.stack.status import PartStatus, State
from tre.stack.supervisor import Supervisor, only_one

TOYS = "tests.stack.toy_parts"
NAMES = ("first", "second", "third")


def run(settings: Settings, parts: tuple[Part, ...], during=lambda supervisor: None) -> list[PartStatus]:
    """Run the parts in this process, `during` once all are ready, and return every change in order."""
    changes: list[PartStatus] = []

    async def main() -> None:
        supervisor = Supervisor(settings, parts, changes.append)

        async def act() -> None:
            await asyncio.to_thread(during, supervisor)
            supervisor.stop.set()

        acting: list[asyncio.Task] = []
        await supervisor.run(lambda: acting.append(asyncio.create_task(act())))
        await asyncio.gather(*acting)

    with only_one(settings):
        asyncio.run(main())
    return changes


def order_of(changes: list[PartStatus], state: State) -> list[str]:
    return [change.name for change in changes if change.state == state]


def test_parts_start_after_what_they_need_and_stop_before(fresh_settings: Settings):
    parts = (toy("a"), toy("b", needs=("a",)), toy("c", needs=("b",)), toy("d", needs=("a",)))
    changes = run(fresh_settings, parts)
    ready, stopped = order_of(changes, State.ready), order_of(changes, State.stopped)
    assert ready.index("a") < ready.index("b") < ready.index("c")
    assert stopped.index("c") < stopped.index("b") < stopped.index("a")
    assert stopped.index("d") < stopped.index("a")
    pids = {change.pid for change in changes if change.pid}
    assert len(pids) == 4
    assert not any(process.identify(pid) for pid in pids)


@pytest.mark.parametrize("bad", [(toy("a"), toy("a")), (toy("a", needs=("b",)), toy("b")), (toy("a", needs=("a",)),)])
def test_parts_in_a_wrong_order_are_refused(bad: tuple[Part, ...]):
    with pytest.raises(ValueError, match="named twice or needs"):
        check_parts(bad)


def test_a_part_that_dies_is_started_again_with_its_reason(fresh_settings: Settings):
    def kill(supervisor: Supervisor) -> None:
        before = supervisor.states["a"].pid
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: supervisor.states["a"].pid not in (0, before) and supervisor.ready["a"].is_set())

    changes = run(fresh_settings, (toy("a"), toy("b", needs=("a",))), kill)
    (again,) = [change for change in changes if change.state == State.restarting]
    assert (again.name, again.restarts, again.reason) == ("a", 1, "its process ended with signal SIGKILL")
    assert order_of(changes, State.ready).count("b") == 1


def test_a_part_that_never_starts_stops_all_and_says_why(fresh_settings: Settings):
    words = "sys.stderr.write('no such luck\\n'); sys.exit(3)"
    parts = (toy("a"), toy("b", words, needs=("a",), ready=lambda settings: False))
    with pytest.raises(Unavailable, match="b did not start: its process ended with code 3: no such luck"):
        run(fresh_settings, parts)
    assert part_of(fresh_settings, "a").pid == 0


def test_a_part_that_is_not_ready_in_time_is_given_up(fresh_settings: Settings):
    parts = (toy("a", ready=lambda settings: False, start_seconds=0.2),)
    with pytest.raises(Unavailable, match="was not ready within"):
        run(fresh_settings, parts)


def test_a_failing_one_shot_stops_all(fresh_settings: Settings):
    parts = (toy("a"), toy("once", "sys.stderr.write('broken off\\n'); sys.exit(1)", one_shot=True))
    with pytest.raises(Unavailable, match="once did not start: it failed with code 1: broken off"):
        run(fresh_settings, parts)


def test_what_needs_a_one_shot_starts_after_it(fresh_settings: Settings):
    changes = run(fresh_settings, (toy("once", "", one_shot=True), toy("b", needs=("once",))))
    seen = [(change.name, change.state) for change in changes]
    assert seen.index(("once", State.done)) < seen.index(("b", State.starting))


def test_a_one_shot_in_between_keeps_the_order_of_stopping(fresh_settings: Settings):
    slow = "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), sys.exit()))\ntime.sleep(600)"
    parts = (toy("a"), toy("once", "", one_shot=True, needs=("a",)), toy("c", slow, needs=("once",)))
    stopped = order_of(run(fresh_settings, parts), State.stopped)
    assert stopped.index("c") < stopped.index("a")


def test_a_part_that_ignores_the_signal_is_killed_with_its_children(fresh_settings: Settings):
    code = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\npid = os.fork()\nif pid == 0: time.sleep(600)\n"
    code += "open(os.environ['TRE_RUN'] + '/grandchild', 'w').write(str(pid))\ntime.sleep(600)"
    grandchild = fresh_settings.run / "grandchild"
    part = toy("a", code, stop_seconds=0.3, ready=lambda settings: grandchild.exists() and grandchild.read_text())
    run(fresh_settings, (part,))
    wait_until(lambda: process.identify(int(grandchild.read_text())) is None)


def test_two_supervisors_do_not_share_a_state_folder(fresh_settings: Settings):
    with supervising(fresh_settings, TOYS) as child:
        wait_until(lambda: is_ready(fresh_settings, *NAMES))
        with pytest.raises(Conflict, match=f"runs already \\(process {child.pid}\\)"), only_one(fresh_settings):
            pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_everything(fresh_settings: Settings, number: int):
    with supervising(fresh_settings, TOYS) as child:
        wait_until(lambda: is_ready(fresh_settings, *NAMES))
        pids = [part.pid for part in status.read(fresh_settings)]
        child.send_signal(number)
        assert child.wait(20) == 0
    assert not any(process.identify(pid) for pid in pids)
    assert status.read(fresh_settings) == []


def test_a_killed_supervisor_takes_its_parts_along_and_another_comes_back(fresh_settings: Settings):
    with supervising(fresh_settings, TOYS) as child:
        wait_until(lambda: is_ready(fresh_settings, *NAMES))
        pids = [part.pid for part in status.read(fresh_settings)]
        child.kill()
        child.wait()
    assert status.read(fresh_settings) == []
    wait_until(lambda: not any(process.identify(pid) for pid in pids))
    with supervising(fresh_settings, TOYS):
        wait_until(lambda: is_ready(fresh_settings, *NAMES))


def test_a_leftover_that_ignored_its_signal_is_ended_by_the_next(fresh_settings: Settings):
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    with only_one(fresh_settings), subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        found = process.identify(child.pid)
        status.write(fresh_settings, found, [PartStatus("first", State.ready, found.pid, found.started)])
        process.stop_foreign(found, signal.SIGTERM, seconds=0.2)
        assert child.wait(5) == -signal.SIGKILL


def test_a_pid_that_belongs_to_someone_else_now_is_not_touched(fresh_settings: Settings):
    me = process.identify(os.getpid())
    stale = process.Identity(me.pid, me.started - 1)
    assert not stale.is_alive()
    stale.send(signal.SIGKILL)  # we are still here
    with only_one(fresh_settings):
        status.write(fresh_settings, me, [PartStatus("first", State.ready, stale.pid, stale.started)])
    (part,) = status.read(fresh_settings)
    assert (part.state, part.pid) == (State.restarting, 0)


def test_a_torn_status_file_is_no_error(fresh_settings: Settings):
    with only_one(fresh_settings):
        for text in (
            "",
            "{",
            '{"supervisor": 1}',
            '{"supervisor": {"pid": 1, "started": 1}, "parts": [{"x": 1}]}',
            "[]",
        ):
            status.status_file(fresh_settings).write_text(text)
            assert status.read(fresh_settings) == []


def test_a_part_that_takes_too_much_memory_is_killed_and_comes_back(fresh_settings: Settings):
    if "memory" not in cgroups.from_environment(os.environ):
        pytest.skip("no control groups were handed over")
    greedy = "import threading\nif not os.path.exists(os.environ['TRE_RUN'] + '/was'):\n"
    greedy += (
        # Shared memory: a process's own would be refused by its own limit before.
        "    open(os.environ['TRE_RUN'] + '/was', 'w')\n    time.sleep(0.3)\n    import mmap\n"
        "    x = mmap.mmap(-1, 1 << 30)\n    for _ in range(1 << 10): x.write(bytes(1 << 20))\ntime.sleep(600)"
    )
    share = 128 * 1024**2 / total_memory()

    def wait(supervisor: Supervisor) -> None:
        wait_until(lambda: supervisor.states["a"].restarts == 1 and supervisor.ready["a"].is_set())

    changes = run(fresh_settings, (toy("a", greedy, memory_share=share), toy("b")), wait)
    (again,) = [change for change in changes if change.state == State.restarting]
    assert (again.name, again.reason) == ("a", "its process ended with signal SIGKILL")


def test_a_log_that_grows_without_end_is_cut_while_its_part_runs(
    fresh_settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(supervisor_module, "LOG_SECONDS", 0.05)
    monkeypatch.setattr(process, "LOG_BYTES", 100_000)
    chatty = "import threading\nwhile True: print('so much to say ' * 100, flush=True); time.sleep(0.001)"
    log = fresh_settings.logs / "a.log"

    def wait(supervisor: Supervisor) -> None:
        wait_until(lambda: log.with_name("a.log.1").exists() and 0 < log.stat().st_size < 100_000)

    run(fresh_settings, (toy("a", chatty),), wait)
    older = log.with_name("a.log.1")
    assert older.stat().st_size == 100_000
    assert older.stat().st_mode & 0o777 == 0o600
    assert older.read_text().endswith("so much to say \n")


def test_status_states_memory(fresh_settings: Settings):
    with supervising(fresh_settings, TOYS):
        wait_until(lambda: is_ready(fresh_settings, *NAMES))
        assert all(part.memory > 1_000_000 for part in status.read(fresh_settings))


def test_a_parts_environment_holds_only_what_is_named(fresh_settings: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOME_TOKEN", "x")
    assert set(environment(fresh_settings)) <= {
        "HOME",
        "HTTPS_PROXY",
        "LANG",
        "NO_PROXY",
        "PATH",
        "PYTHONUNBUFFERED",
        "TRE_CGROUP",
        "TRE_HTTPS",
        "TRE_PORT",
        "TRE_RUN",
        "TRE_STATE",
        "TZ",
    }
