"""Checking as a step: a submitted request is read in the sandbox, recomputed, judged, and then either waits for review
or goes back to its author.

Decides the order and what is written down; a worker that dies anywhere leaves a request that the next one takes up.
A blocking finding returns the request by itself: reviewers do not see what a program can refuse.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from output_checks.rules.findings import Finding
from tre.audit import SYSTEM, use_case
from tre.outputs import access, keeping, limits, steps
from tre.outputs.content.store import ContentStore
from tre.outputs.evidence import Verdict, judge
from tre.outputs.history import KeptTable, recall_memory
from tre.outputs.limits import Limits
from tre.outputs.model import Evidence, FileFinding, RequestFile
from tre.outputs.recomputed import Asked, Snapshot, recompute
from tre.outputs.sandboxed import Bytes, RunChecked, Seen, inspect
from tre.outputs.service import move
from tre.outputs.states import RequestState
from tre.outputs.steps import Claim
from tre.store import Database
from tre.store.canonical import canonical_json

#: The pinned snapshots of a project by dataset.
Snapshots = Callable[[Session, str], Mapping[str, Snapshot]]
RETURNED = "The checks found what must be changed first."


@dataclass(frozen=True)
class CheckingDesk:
    """What the step works with."""

    store: ContentStore
    run: RunChecked
    snapshots: Snapshots


@dataclass(frozen=True)
class _File:
    """What the step needs of a file once its row is let go of."""

    id: int
    position: int
    name: str
    kind: str
    digest: str
    record: str
    dataset: str | None
    spec: dict[str, Any] | None


@dataclass(frozen=True)
class _Job:
    file: _File
    seen: Seen
    verdict: Verdict
    snapshot: str | None


@dataclass(frozen=True)
class _Data:
    """The project's pinned data, and what is out on them."""

    snapshots: Mapping[str, Snapshot]
    released: Mapping[str, Sequence[KeptTable]]


def step(db: Database, desk: CheckingDesk) -> bool:
    """Checks one request; says whether there was one."""
    taken = steps.claim(db, RequestState.checking, waiting=RequestState.submitted)
    if taken is None:
        return False
    with steps.handling(db, taken, RequestState.checking):
        _check(db, desk, taken)
    return True


def _check(db: Database, desk: CheckingDesk, taken: Claim) -> None:
    with db.read() as session:
        house = limits.read(session)
        request = access.get(session, taken.request)
        files = [_file(file) for file in access.version_of(session, request, taken.version).files]
        datasets = {file.dataset for file in files if file.dataset}
        # Verifying the pinned data costs a reading of them: only for a request that needs it.
        snapshots = desk.snapshots(session, request.project_slug) if datasets else {}
        data = _Data(snapshots, recall_memory(session, datasets))
    alive = steps.heartbeat(db, taken, RequestState.checking)
    _finish(db, desk.store, taken, house, _looked_into(desk, files, data, house, alive))


def _looked_into(
    desk: CheckingDesk, files: Sequence[_File], data: _Data, house: Limits, alive: Callable[[], None]
) -> list[_Job]:
    """Each file read in the sandbox, declared tables made again in another, and the verdicts."""
    contents = [Bytes(file.name, file.kind, desk.store.read(file.digest), file.record) for file in files]
    seen = inspect(desk.run, contents, max_rows=house.max_rows, alive=alive)
    asked = {
        file.id: Asked(file.dataset or "", file.spec, look.grid)
        for file, look in zip(files, seen, strict=True)
        if file.spec is not None
    }
    answers = recompute(desk.run, list(asked.values()), data.snapshots, data.released, house.profile, alive=alive)
    computed = dict(zip(asked, answers, strict=True))
    jobs = []
    for file, look in zip(files, seen, strict=True):
        verdict = judge(file.digest, look, computed.get(file.id), house.profile)
        pinned = data.snapshots[asked[file.id].dataset].digest if verdict.evidence is Evidence.verified else None
        jobs.append(_Job(file, look, verdict, pinned))
    return jobs


def _file(row: RequestFile) -> _File:
    return _File(row.id, row.position, row.name, row.kind, row.digest, row.record, row.dataset, row.spec)


def _finish(db: Database, store: ContentStore, taken: Claim, house: Limits, jobs: Sequence[_Job]) -> None:
    """Everything that was found, and the next state, in one transaction."""
    made = {job.file.id: _derived(store, job.seen) for job in jobs}
    with use_case(db, SYSTEM, "request.checked", access.subject_of(taken.request)) as case:
        request = steps.held(case.session, taken, RequestState.checking)
        keeping.hold_made(case.session, store, (digest for pair in made.values() for digest in pair))
        version = access.version_of(case.session, request)
        found = {job.file.id: job for job in jobs}
        ids = list(found)
        case.session.execute(delete(FileFinding).where(FileFinding.file_id.in_(ids)))
        for file in case.session.scalars(select(RequestFile).where(RequestFile.id.in_(ids))):
            job = found[file.id]
            file.media_type, file.evidence, file.status = job.seen.media_type, job.verdict.evidence, job.verdict.status
            file.cells, file.preview, file.snapshot = *made[file.id], job.snapshot
            file.attested = None if job.verdict.attested is None else _plain(job.verdict.attested)
            case.session.add_all(_row(file.id, finding) for finding in job.verdict.findings)
        version.checked_at, version.checks = case.now, _record(house)
        blocked = sorted(job.file.position for job in jobs if job.verdict.status == "fail")
        if blocked:
            move(case, request, RequestState.returned, RETURNED)
            version.decided_at, version.decision = case.now, RequestState.returned
        else:
            move(case, request, RequestState.in_review)
            version.required = house.reviewers_required
            request.due_at = house.due(case.now)
        case.note(version=version.number, state=request.state, blocked=blocked, files=_summary(jobs))


def _derived(store: ContentStore, seen: Seen) -> tuple[str | None, str | None]:
    """Digests of the canonical cells or text, and of the preview, kept beside the original."""
    cells = None
    if seen.grid is not None:
        cells = store.put(canonical_json({"grid": seen.grid})).digest
    elif seen.text is not None:
        cells = store.put(canonical_json({"text": seen.text})).digest
    preview = seen.preview_bytes()
    return cells, None if preview is None else store.put(preview).digest


def _row(file_id: int, finding: Finding) -> FileFinding:
    return FileFinding(
        file_id=file_id,
        rule=finding.rule,
        severity=finding.severity,
        why=finding.why,
        remedy=finding.remedy,
        cell=_plain(finding.cell),
        detail=_plain(finding.evidence),
    )


def _plain(value: object) -> dict[str, object]:
    """JSON that PostgreSQL holds: no NaN, no NUL."""
    text = json.dumps(value, default=str, allow_nan=True).replace("\\u0000", "")
    plain: dict[str, object] = json.loads(text, parse_constant=lambda word: word)
    return plain


def _record(house: Limits) -> dict[str, object]:
    """By what the version was judged: it goes into the disclosure record."""
    from importlib.metadata import version

    from output_checks.appetites import load

    profile = load(house.profile)
    return {
        "profile": profile.id,
        "profile_version": profile.version,
        "profile_title": profile.title,
        "threshold": profile.threshold.limit,
        "tools": {"tre": version("tre"), "duckdb": version("duckdb"), "pillow": version("pillow")},
    }


def _summary(jobs: Sequence[_Job]) -> list[dict[str, object]]:
    return [
        {
            "file": job.file.position,
            "sha256": job.file.digest,
            "status": job.verdict.status,
            "evidence": str(job.verdict.evidence),
            "rules": sorted({finding.rule for finding in job.verdict.findings}),
        }
        for job in jobs
    ]
