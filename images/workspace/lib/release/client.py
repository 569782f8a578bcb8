"""Submitting and following release requests.

Decides what must be there before anything is sent: title, context, controls, readable files, a clean check of every
table whose data is given. Leaves to the platform everything that counts: it checks again on its side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from release import preflight, transport
from release.errors import PreflightFailed, ReleaseError
from release.files import Table, collect, read
from release.records import record

LARGEST_FILE = 64 << 20
LARGEST_REQUEST = 256 << 20


@dataclass(frozen=True)
class Receipt:
    """What the platform took in: the request's number, its version, its state, and the page that shows it.

    `findings` are those of the check before submitting, the ones submitted despite it.
    """

    request: str
    version: int
    state: str
    url: str
    findings: list[dict[str, Any]] = field(default_factory=list, repr=False)


def submit(
    files: Any,
    *,
    title: str,
    context: str,
    controls: str,
    tables: Mapping[str, Table] | None = None,
    replaces: str | None = None,
    despite_findings: bool = False,
) -> Receipt:
    """Submit files for release as one request, or as a new version of the request `replaces`.

    `files`: paths or `File(path, title=..., context=..., kind=...)`. `tables`: file name → `Table(dataset, spec,
    data)`; with data the table is checked here first. What `output_checks.Session.write` wrote about a file goes along
    by itself: the checkers see such a file as attested. `controls`: what was done against disclosure.
    Raises PreflightFailed with the cells and remedies where that check fails and `despite_findings` is not set,
    ReleaseError for everything else; then nothing was submitted.
    """
    for name, text in (("title", title), ("context", context), ("controls", controls)):
        if not isinstance(text, str) or not text.strip():
            raise ReleaseError("is missing", field=name, hint=_NEEDED[name])
    known = preflight.plain(tables or {})
    chosen = collect(files, title=title, context=context, tables=known)
    found = [finding for name, table in known.items() for finding in preflight.findings(table, name)]
    _report(found, despite=despite_findings)
    bodies = [read(file, LARGEST_FILE) for file in chosen]
    if sum(map(len, bodies)) > LARGEST_REQUEST:
        raise ReleaseError(f"the files have more than {LARGEST_REQUEST} bytes", field="files", hint="Submit fewer.")
    entries = [
        file.entry(known.get(file.name)) | {"record": record(file, sent)}
        for file, sent in zip(chosen, bodies, strict=True)
    ]
    manifest = {"title": title, "context": context, "controls": controls, "replaces": replaces, "files": entries}
    kind, body = transport.form(manifest, bodies)
    answer = transport.ask("POST", "/requests", kind=kind, body=body)
    return Receipt(answer["request"], answer["version"], answer["state"], answer["url"], found)


_NEEDED = {
    "title": "Say in a few words what these outputs are.",
    "context": "Say what they show and what they are for: the checkers read it first.",
    "controls": "Say what you did against disclosure: thresholds, rounding, suppression, or why none is needed.",
}


def _report(found: list[dict[str, Any]], *, despite: bool) -> None:
    for finding in found:
        print(f"{finding['severity']}: {preflight.sentence(finding)}")
    failed = [finding for finding in found if finding["severity"] == "fail"]
    if failed and not despite:
        first = preflight.sentence(failed[0])
        raise PreflightFailed(f"{len(failed)} cells fail. {first}", findings=found, field=f"tables.{failed[0]['file']}")


def status(request: str | Receipt) -> dict[str, Any]:
    """State, version, findings and comments of one of your requests."""
    number = request.request if isinstance(request, Receipt) else str(request)
    answer: dict[str, Any] = transport.ask("GET", f"/requests/{quote(number, safe='')}")
    return answer


def requests() -> list[dict[str, Any]]:
    """Your requests of this project, the newest first."""
    answer: list[dict[str, Any]] = transport.ask("GET", "/requests")["requests"]
    return answer
