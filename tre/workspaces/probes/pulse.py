"""Whether others still answer while one workspace uses up what it can.

Decides how long somebody may wait: an answer that comes later, or not at all, means that the workspace reached them.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from tre.errors import TreError
from tre.workspaces.probes.report import Result, Subject, Verdict
from tre.workspaces.runtime import SandboxRuntime

# How long somebody else may take to answer while a bomb goes off in this workspace.
PATIENCE_SECONDS = 5.0
PAUSE_SECONDS = 0.1

#: Who is asked → how: returns when they answered, raises a `TreError` where they did not within the patience.
Others = Mapping[str, Callable[[], object]]


def workspace_answers(runtime: SandboxRuntime, subject: Subject) -> Callable[[], object]:
    """Runs the smallest program inside."""
    return lambda: runtime.exec_in(subject.state, ["/bin/true"], seconds=PATIENCE_SECONDS)


class Pulse:
    """Asks one of them again and again."""

    def __init__(self, ask: Callable[[], object]) -> None:
        self.ask = ask
        self.waits: list[float] = []
        self.silent = ""
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Pulse:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self.thread.join()

    def _ask(self) -> None:
        while not self.silent:
            begun = time.monotonic()
            try:
                self.ask()
            except TreError as error:
                self.silent = error.message
            except Exception as error:
                self.silent = f"{type(error).__name__}: {error}"
            self.waits.append(time.monotonic() - begun)
            if self.ending.wait(PAUSE_SECONDS):
                return

    def verdict(self) -> tuple[Verdict, str]:
        """`refused` if it always answered in time."""
        if self.silent or max(self.waits) > PATIENCE_SECONDS:
            return "reached", self.silent or f"it took {max(self.waits):.1f} s to answer"
        return "refused", f"{len(self.waits)} answers, the slowest after {max(self.waits) * 1000:.0f} ms"


@contextlib.contextmanager
def watching(others: Others, during: str, workspace_id: str) -> Iterator[list[Result]]:
    """Asks all of them while the block runs; the list holds their verdicts afterwards."""
    found: list[Result] = []
    with contextlib.ExitStack() as stack:
        pulses = {who: stack.enter_context(Pulse(ask)) for who, ask in others.items()}
        yield found
    for who, pulse in pulses.items():
        verdict, detail = pulse.verdict()
        tries = f"keep the {who} from answering ({during})"
        found.append(Result(f"{who}-answers-during-{during}", workspace_id, "limits", tries, verdict, detail))
