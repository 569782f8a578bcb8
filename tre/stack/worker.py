"""`python -m tre.stack.worker`: the platform's own steps, again and again.

The state is the queue: each step asks the database what is due, claims one with a row lock and a lease, does it, and
records it. A worker that is killed loses nothing; another takes over when the lease ends. Decides only how often each
step is asked, that one that fails does not stop the others, and that the workspaces end with the platform.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading

from tre.api.platform import Platform, build_platform
from tre.errors import TreError
from tre.settings import Settings
from tre.stack.steps import Step, close_workspaces, steps_of

log = logging.getLogger("tre.worker")
WORST_PAUSE = 30.0


def repeat(step: Step, leave: threading.Event) -> None:
    """Runs a step until `leave` is set. Failures are logged without the values they carry and slow the step down."""
    failures = 0
    while not leave.is_set():
        try:
            busy, failures = step.run(), 0
        except TreError as error:
            busy, failures = False, failures + 1
            log.warning("%s: %s", step.name, error.message)
        except Exception as error:
            busy, failures = False, failures + 1
            log.error("%s: %s", step.name, type(error).__name__, exc_info=True)
        if not busy:
            leave.wait(min(step.pause * 2 ** min(failures, 8), WORST_PAUSE))


def run(platform: Platform, leave: threading.Event) -> None:
    steps = steps_of(platform)
    # What had to end while nobody looked has ended before the platform calls itself ready.
    for step in steps:
        if step.name == "control":
            step.run()
    threads = [threading.Thread(target=repeat, args=(step, leave), name=step.name) for step in steps]
    for thread in threads:
        thread.start()
    platform.settings.worker_ready.touch(mode=0o600)
    leave.wait()
    if platform.settings.cluster is None:
        end_workspaces(platform)
    for thread in threads:
        thread.join()


def end_workspaces(platform: Platform) -> None:
    """On one machine they end with the platform. On a cluster a worker is one of some, and they are pods."""
    try:
        log.info("%d workspaces ended with the platform", close_workspaces(platform))
    except TreError as error:
        log.warning("workspaces were not ended: %s", error.message)


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    leave = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leave.set())
    run(build_platform(Settings.load()), leave)
    return 0


if __name__ == "__main__":
    sys.exit(main())
