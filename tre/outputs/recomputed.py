"""The control plane's side of making declared tables again: what goes into the sandbox, and what of its answer counts.

Decides which tables can be made again at all, the bounds of one table and of all, and what happens when a
specification takes the sandbox down: the table that it was at is blocked with the reason, those before it keep their
answers, those behind it get a sandbox of their own. Leaves the computing to `tre.outputs.recomputing`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from output_checks.rules.findings import Finding
from tre.errors import LimitExceeded, Refusal
from tre.outputs.findings import MAX_FINDINGS, blocked
from tre.outputs.history import KeptTable
from tre.outputs.sandboxed import RunChecked, Short

ARGV = ("python", "-B", "-m", "tre.outputs.recomputing")
MEMORY_BYTES = 2 << 30
OUTPUT_BYTES = 64 << 20
#: For one table, loading what computes it included, and for all tables of a request.
TABLE_SECONDS = 30.0
TOTAL_SECONDS = 300.0
#: Tables of one request that may take a sandbox down before the others are not tried any more.
MOST_DOWN = 3
UNTRIED = blocked("Other tables of this request took too much; this one was not tried.", "Send fewer at a time.")


@dataclass(frozen=True)
class Snapshot:
    """A project's pinned data of one dataset: Parquet (file or folder), the digest that pins it, the protected unit."""

    dataset: str
    path: Path
    digest: str
    unit: str | None = None

    def files(self) -> list[Path]:
        return sorted(self.path.glob("*.parquet")) if self.path.is_dir() else [self.path]


@dataclass(frozen=True)
class Asked:
    """A declared table: what it is said to be, and the cells that were read from the file, if any."""

    dataset: str
    spec: dict[str, Any]
    cells: list[list[str]] | None


@dataclass(frozen=True)
class Computed:
    """`verified`: every published cell is what the pinned data give."""

    verified: bool
    findings: tuple[Finding, ...] = field(default=())


class _SaidFinding(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: Short
    severity: Literal["fail", "review", "note"]
    why: str = Field(max_length=4000)
    remedy: str = Field(max_length=4000)
    cell: dict[str, Any]
    evidence: dict[str, Any]


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    verified: bool
    findings: list[_SaidFinding] = Field(max_length=MAX_FINDINGS + 1)


class _Listener:
    """Gathers answers as they arrive, keeps the worker's lease, and ends what spends too long on one table."""

    def __init__(self, alive: Callable[[], None], most: int) -> None:
        self.answers: list[Computed] = []
        self._alive, self._most, self._rest = alive, most, b""
        self._since = time.monotonic()

    def __call__(self, arrived: bytes) -> None:
        self._alive()
        *lines, self._rest = (self._rest + arrived).split(b"\n")
        for line in lines:
            self.answers.append(_understood(line))
            self._since = time.monotonic()
        if len(self.answers) > self._most:
            raise Refusal("The checking sandbox gave an answer too many.", code="check_failed")
        if len(self.answers) < self._most and time.monotonic() - self._since > TABLE_SECONDS:
            raise LimitExceeded(f"Making the table again takes longer than {TABLE_SECONDS:g} s.", field="spec")


def _understood(line: bytes) -> Computed:
    try:
        said = _Said.model_validate_json(line)
    except ValidationError as error:
        raise Refusal("The checking sandbox gave an answer that makes no sense.", code="check_failed") from error
    return Computed(said.verified, tuple(Finding(**finding.model_dump()) for finding in said.findings))


def recompute(
    run: RunChecked,
    tables: Sequence[Asked],
    snapshots: Mapping[str, Snapshot],
    released: Mapping[str, Sequence[KeptTable]],
    profile: str,
    *,
    alive: Callable[[], None] = lambda: None,
) -> list[Computed]:
    """An answer for each table, in order; those on one dataset count against each other and against what is released.

    Raises `Unavailable` when no sandbox can be made; a table that cannot be computed is an answer, not an error.
    """
    obstacles = [_obstacle(table, snapshots) for table in tables]
    possible = [table for table, obstacle in zip(tables, obstacles, strict=True) if obstacle is None]
    found = iter(_in_sandboxes(run, possible, snapshots, released, profile, alive))
    return [next(found) if obstacle is None else Computed(False, (obstacle,)) for obstacle in obstacles]


def _obstacle(table: Asked, snapshots: Mapping[str, Snapshot]) -> Finding | None:
    if table.cells is None:
        return blocked("The declared table is not in the file.", "Hand the table in as CSV.")
    if table.dataset not in snapshots:
        why = f"The project has no snapshot of {table.dataset}: the table cannot be recomputed."
        return blocked(why, "Name a dataset that the project was granted.")
    return None


def _in_sandboxes(
    run: RunChecked,
    tables: Sequence[Asked],
    snapshots: Mapping[str, Snapshot],
    released: Mapping[str, Sequence[KeptTable]],
    profile: str,
    alive: Callable[[], None],
) -> list[Computed]:
    found: list[Computed] = []
    end = time.monotonic() + TOTAL_SECONDS
    down = 0
    while len(found) < len(tables):
        left = end - time.monotonic()
        if left <= 0 or down >= MOST_DOWN:
            return found + [Computed(False, (UNTRIED,))] * (len(tables) - len(found))
        done, coming = tables[: len(found)], tables[len(found) :]
        verified = [table for table, answer in zip(done, found, strict=True) if answer.verified]
        listener = _Listener(alive, len(coming))
        reason = _run(run, _job(coming, verified, snapshots, released, profile), left, listener)
        found += listener.answers[: len(coming)]
        if len(found) < len(tables):
            why = f"The table could not be made again: {reason}"
            found.append(Computed(False, (blocked(why, "Use fewer or coarser dimensions."),)))
            down += 1
    return found


def _run(run: RunChecked, job: tuple[bytes, dict[str, Path]], seconds: float, listener: _Listener) -> str:
    """One sandbox; why it ended before its time, if it did."""
    try:
        run(
            argv=ARGV,
            files=job[1],
            stdin=job[0],
            memory_bytes=MEMORY_BYTES,
            seconds=seconds,
            output_bytes=OUTPUT_BYTES,
            watch=listener,
        )
    except Refusal as refusal:
        return refusal.message
    return "the checking sandbox lost it"


def _job(
    coming: Sequence[Asked],
    verified: Sequence[Asked],
    snapshots: Mapping[str, Snapshot],
    released: Mapping[str, Sequence[KeptTable]],
    profile: str,
) -> tuple[bytes, dict[str, Path]]:
    """What the sandbox is told, and the files that it sees under names of ours."""
    data: dict[str, Any] = {}
    files: dict[str, Path] = {}
    memory: dict[str, list[dict[str, Any]]] = {}
    for number, name in enumerate(dict.fromkeys(table.dataset for table in coming)):
        paths = {f"{number}-{part}.parquet": path for part, path in enumerate(snapshots[name].files())}
        files |= paths
        data[name] = {"files": list(paths), "unit": snapshots[name].unit}
        beside = [table for table in verified if table.dataset == name]
        kept = [*released.get(name, ()), *(KeptTable("this request", t.spec, t.cells or []) for t in beside)]
        memory[name] = [vars(table) for table in kept]
    job = {
        "profile": profile,
        "memory_bytes": MEMORY_BYTES,
        "data": data,
        "released": memory,
        "tables": [vars(table) for table in coming],
    }
    return json.dumps(job).encode(), files
