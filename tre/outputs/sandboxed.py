"""The control plane's side of the checking sandbox: what goes in, and how little of the answer is trusted.

Decides batches (pictures apart from everything else, so that a decoder taken over by a hostile picture cannot speak
for a table), bounds, and what happens when one file takes its whole batch down: each file alone, and the culprit is
unreadable. Leaves the walls to `tre.workspaces.sandbox.checking` and the reading to `tre.outputs.inspection`.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from tre.errors import LimitExceeded, Refusal

ARGV = ("python", "-B", "-m", "tre.outputs.inspection")
MEMORY_BYTES = 1 << 30
OUTPUT_BYTES = 128 << 20
BATCH_SECONDS = 60.0
SINGLE_SECONDS = 15.0
TOTAL_SECONDS = 300.0
PNG_MAGIC = b"\x89PNG"

Short = Annotated[str, StringConstraints(max_length=64)]
Sentence = Annotated[str, StringConstraints(max_length=600)]


class RunChecked(Protocol):
    """`tre.workspaces.sandbox.checking.run_checked`."""

    def __call__(
        self,
        *,
        argv: Sequence[str],
        files: Mapping[str, Path],
        stdin: bytes,
        memory_bytes: int,
        seconds: float,
        output_bytes: int,
        watch: Callable[[bytes], None] = ...,
    ) -> bytes: ...


@dataclass(frozen=True)
class Bytes:
    """One file on its way into the sandbox, and the record that came with it (JSON, unread)."""

    name: str
    kind: str
    content: bytes
    record: str = ""


class SeenFinding(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: Short
    severity: Literal["fail", "review", "note"]
    why: Sentence
    remedy: Sentence
    cell: dict[Short, Sentence]
    detail: dict[Short, Any]


class SeenRecord(BaseModel):
    """What output_checks says in the workspace that it made: `files` are the digests of what it wrote, `spec` the
    table. `problem` says why it is no such record.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    problem: Sentence = ""
    files: list[Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]] = []
    profile: Short = ""
    status: Literal["", "pass", "review", "fail"] = ""
    what: Sentence = ""
    spec: dict[str, Any] | None = None
    findings: list[tuple[Literal["fail", "review", "note"], Sentence]] = Field(default=[], max_length=100)


class Seen(BaseModel):
    """What the sandbox says of one file: `grid` of a table, `text` of a text, `preview` of a picture (PNG, base64),
    and `record`, where one came with it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    media_type: Literal["", "text/csv", "image/png", "text/plain", "text/markdown", "application/json"]
    grid: list[list[str]] | None = None
    text: str | None = None
    preview: str | None = None
    record: SeenRecord | None = None
    findings: list[SeenFinding] = []

    @field_validator("preview")
    @classmethod
    def is_a_png(cls, preview: str | None) -> str | None:
        """Checkers are shown it as a picture: nothing else may come in its place."""
        if preview is not None and not base64.b64decode(preview, validate=True).startswith(PNG_MAGIC):
            raise ValueError("the preview is no PNG image")
        return preview

    def preview_bytes(self) -> bytes | None:
        return None if self.preview is None else base64.b64decode(self.preview)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    files: list[Seen]


def inspect(
    run: RunChecked, files: Sequence[Bytes], *, max_rows: int, alive: Callable[[], None] = lambda: None
) -> list[Seen]:
    """What each file is, in the order given. Raises `Unavailable` when no sandbox can be made; a file that cannot be
    read is an answer, not an error.
    """
    pictures = [i for i, file in enumerate(files) if file.content.startswith(PNG_MAGIC)]
    others = [i for i in range(len(files)) if i not in set(pictures)]
    seen: dict[int, Seen] = {}
    end = time.monotonic() + TOTAL_SECONDS
    for batch in (others, pictures):
        chosen = [files[i] for i in batch]
        if chosen:
            alive()
            seen |= dict(zip(batch, _batch(run, chosen, max_rows, end, alive), strict=True))
    return [seen[i] for i in range(len(files))]


def _batch(run: RunChecked, files: Sequence[Bytes], max_rows: int, end: float, alive: Callable[[], None]) -> list[Seen]:
    try:
        return _ask(run, files, max_rows, BATCH_SECONDS)
    except Refusal as refusal:
        if len(files) == 1:
            return [unreadable(refusal)]
    out = []
    for file in files:
        alive()
        if time.monotonic() > end:
            out.append(unreadable(LimitExceeded("Reading the files of this request takes too long.")))
        else:
            out.append(_alone(run, file, max_rows))
    return out


def _alone(run: RunChecked, file: Bytes, max_rows: int) -> Seen:
    try:
        return _ask(run, [file], max_rows, SINGLE_SECONDS)[0]
    except Refusal as refusal:
        return unreadable(refusal)


def _ask(run: RunChecked, files: Sequence[Bytes], max_rows: int, seconds: float) -> list[Seen]:
    header = [
        {"name": file.name, "kind": file.kind, "size": len(file.content), "record": file.record} for file in files
    ]
    said = run(
        argv=ARGV,
        files={},
        stdin=json.dumps({"max_rows": max_rows, "files": header}).encode() + b"\n" + b"".join(f.content for f in files),
        memory_bytes=MEMORY_BYTES,
        seconds=seconds,
        output_bytes=OUTPUT_BYTES,
    )
    try:
        answer = _Answer.model_validate_json(said).files
    except ValidationError as error:
        raise Refusal("The checking sandbox gave an answer that makes no sense.", code="check_failed") from error
    if len(answer) != len(files):
        raise Refusal("The checking sandbox lost a file.", code="check_failed")
    return answer


def unreadable(refusal: Refusal) -> Seen:
    """A file that no sandbox could read is blocked."""
    found = SeenFinding(
        rule="unreadable",
        severity="fail",
        why=f"The file could not be read: {refusal.message[:400]}",
        remedy="Write it again, smaller and plainer.",
        cell={},
        detail={},
    )
    return Seen(media_type="", findings=[found])
