"""`python -m tre.door.probes WORKSPACE`, in a guard's pod: this guard, asked in every spelling; a report as JSON.

A process of its own, at the lowest priority, which asks the guard that runs here at its own port: no way, right or
secret is needed that this pod has not. It records nothing: a guard's own word for itself would be worth nothing, so who
may record takes the report in (`tre verify WORKSPACE --door FILE`). Exit codes are those of `tre verify`.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

from tre.door.places import Places
from tre.door.probes.contents import ENDINGS, with_traps_in_the_home
from tre.door.probes.guard import NO_OTHER, could_not_run
from tre.door.probes.owner import at_the_guard
from tre.errors import Broken, Conflict, NotFound, TreError
from tre.settings import Settings
from tre.workspaces.probes.report import Report

LOWEST_PRIORITY = 19


def asked(places: Places, workspace_id: str) -> Report:
    """Every family of addresses. A workspace that this guard does not serve was not asked about: a failure."""
    try:
        door = at_the_guard(places, workspace_id)
    except NotFound as error:
        return Report(tuple(could_not_run(workspace_id, error.message)))
    return Report(tuple(with_traps_in_the_home(door)), () if door.other_base else (NO_OTHER,))


@contextlib.contextmanager
def alone(places: Places) -> Iterator[None]:
    """One at a time in a pod: each takes away what others left. Raises Conflict."""
    with open(places.settings.run / "door-probes.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("This guard is being asked already.", hint="Wait for its end; it takes minutes.") from None
        yield


def end(number: int, frame: FrameType | None) -> None:
    """What was laid is taken away on the way out; a second signal does not hinder that."""
    for each in ENDINGS:
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(128 + number)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tre.door.probes", description=__doc__)
    parser.add_argument("workspace", help="the id of a running workspace")
    workspace_id = parser.parse_args().workspace
    for each in ENDINGS:
        signal.signal(each, end)
    os.nice(LOWEST_PRIORITY)
    try:
        places = Places(Settings.load())
        with alone(places):
            report = asked(places, workspace_id)
        print(json.dumps(report.to_dict()), flush=True)
        if not report.ok:
            raise Broken(f"Not refused: {', '.join(report.named('reached') + report.named('could_not_run'))}.")
    except TreError as error:
        print(f"{error.message} {error.hint}".strip(), file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
