"""Steps with their names, times and outcomes: shown while they run, as a table at the end, and as JSON."""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tre.errors import TreError


@dataclass(frozen=True)
class StepResult:
    """`evidence` says where to look afterwards; `problem` is empty when `ok`."""

    name: str
    ok: bool
    seconds: float
    evidence: str
    problem: str = ""


class Report:
    def __init__(self) -> None:
        self.results: list[StepResult] = []
        self._console = Console(file=sys.stderr, highlight=False, markup=False, emoji=False)

    @property
    def ok(self) -> bool:
        return bool(self.results) and all(result.ok for result in self.results)

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """A line while the step runs (a spinner on a terminal)."""
        with self._console.status(name):
            yield

    def play(self, name: str, step: Callable[[], str]) -> bool:
        """Runs one step, which returns its evidence in words; remembers how it went. Never raises what a step
        raised.
        """
        start = time.monotonic()
        try:
            with self.running(name):
                evidence, problem = step(), ""
        except TreError as error:
            evidence, problem = "", error.message
        except Exception as error:
            evidence, problem = "", f"{type(error).__name__}: {error} {traceback.format_exc()[-1500:]}"
        result = StepResult(name, not problem, round(time.monotonic() - start, 2), evidence, problem)
        self.results.append(result)
        self._console.print(f"{'ok  ' if result.ok else 'FAIL'} {result.seconds:6.2f} s  {name}  {problem}")
        return result.ok

    def table(self) -> None:
        table = Table("step", "outcome", "seconds", "evidence", box=None, pad_edge=False, header_style="bold")
        for result in self.results:
            table.add_row(
                result.name, "ok" if result.ok else "FAILED", f"{result.seconds:.1f}", result.evidence or result.problem
            )
        Console(markup=False, emoji=False).print(table)

    def write(self, path: Path) -> None:
        body = {"ok": self.ok, "steps": [asdict(result) for result in self.results]}
        path.write_text(json.dumps(body, indent=1) + "\n")
