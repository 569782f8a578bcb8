"""`tre request …`. Numbers of files count from 1; a vote or decision is about the version that was looked at."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from tre.cli.client import call, call_bytes
from tre.cli.show import shown
from tre.errors import InvalidInput

CHOICES = ("approve", "request_changes", "reject")
NEW_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def request() -> None:
    """Release requests: from the checks to release and recall."""


@request.command("list")
@click.option("--state", default="", help="For example in_review.")
@click.option("--project", default="")
@click.option("--author", default="")
@click.option("--turn", default="", help="Whose turn it is: author, reviewer, system or nobody.")
@click.option("--search", default="", help="Beginnings of words in title, project and author.")
@click.option("--waiting", is_flag=True, help="Only what waits for your own vote, oldest first.")
@click.option("--after", type=int, help="Continue behind this request.")
@click.option("--limit", default=50)
@shown("id", "project", "author", "title", "state", "turn", "due_at", "due_in", "overdue", "reviews", "required")
def list_requests(**filters: Any) -> Any:
    """The requests that you may see, newest first."""
    given = {name: value for name, value in filters.items() if value not in (None, "")}
    return call("GET", "/requests", params=given)["rows"]


@request.command("show")
@click.argument("number", type=int)
@click.option("--version", type=int, help="An earlier version; without, the newest.")
@shown()
def show_request(number: int, version: int | None) -> Any:
    """Everything about a request that you may see now."""
    return call("GET", f"/requests/{number}", params={"version": version} if version else {})


@request.command("files")
@click.argument("number", type=int)
@shown("position", "name", "kind", "media_type", "size", "evidence", "status", "changed", "decision")
def files(number: int) -> Any:
    """The files of the newest version, how much stands behind each, and the worst finding."""
    return call("GET", f"/requests/{number}")["files"]


@request.command("findings")
@click.argument("number", type=int)
@shown("file", "severity", "rule", "cell", "why", "remedy")
def findings(number: int) -> Any:
    """What the checks say, file by file and cell by cell."""
    found = call("GET", f"/requests/{number}")["files"]
    return [{"file": file["name"], **finding} for file in found for finding in file["findings"]]


@request.command("view")
@click.argument("number", type=int)
@click.argument("file", type=int)
@click.option("--version", type=int)
@click.option("--save", type=NEW_FILE, help="Write the rendered picture here.")
@shown()
def view(number: int, file: int, version: int | None, save: Path | None) -> Any:
    """A file as we read it: the table's cells, the text, or the picture drawn anew. Each look is on record."""
    seen = call("GET", f"/requests/{number}/files/{file}", params={"version": version} if version else {})
    if save and seen["picture"]:
        save.write_bytes(base64.b64decode(seen["picture"]))
        return {**seen, "picture": str(save)}
    return seen


@request.command("vote")
@click.argument("number", type=int)
@click.option("--version", type=int, help="The version that you looked at; without, the newest is asked for.")
@click.option("--file", "places", type=int, multiple=True, help="Only this file; without, all of them.")
@click.option("--choice", type=click.Choice(CHOICES), required=True)
@click.option("--comment", default="", help="Needed unless you approve.")
@shown()
def vote(number: int, version: int | None, places: tuple[int, ...], choice: str, comment: str) -> Any:
    """Vote on files. Nobody sees it before all required votes are in; until then you may change it."""
    looked = call("GET", f"/requests/{number}", params={"version": version} if version else {})
    chosen = places or [file["position"] for file in looked["files"]]
    votes = [{"file": place, "choice": choice, "comment": comment} for place in chosen]
    return call("POST", f"/requests/{number}/votes", json={"version": looked["version"], "votes": votes})


@request.command("comment")
@click.argument("number", type=int)
@click.argument("text")
@click.option("--checkers", is_flag=True, help="For output checkers only.")
@click.option("--file", "place", type=int)
@shown()
def comment(number: int, text: str, checkers: bool, place: int | None) -> Any:
    """Write into the request's thread."""
    body = {"text": text, "audience": "checkers" if checkers else "everybody", "file": place}
    return call("POST", f"/requests/{number}/comments", json=body)


@request.command("decide")
@click.argument("number", type=int)
@click.argument("verdict", type=click.Choice(("approve", "return", "reject")))
@click.option("--reason", default="", help="Needed unless you approve.")
@click.option("--version", type=int, help="The version that you looked at; without, the newest is asked for.")
@shown()
def decide(number: int, verdict: str, reason: str, version: int | None) -> Any:
    """Decide on a reviewed request. Approving needs every file approved by every required reviewer."""
    body = {"version": _version(number, version), "verdict": verdict, "reason": reason}
    return call("POST", f"/requests/{number}/decision", json=body)


@request.command("release")
@click.argument("number", type=int)
@click.option("--version", type=int, help="The version that you looked at; without, the newest is asked for.")
@shown()
def release(number: int, version: int | None) -> Any:
    """Release what was approved; the worker builds and signs the crate within seconds."""
    return call("POST", f"/requests/{number}/release", json={"version": _version(number, version)})


@request.command("recall")
@click.argument("number", type=int)
@click.option("--reason", required=True)
@shown()
def recall(number: int, reason: str) -> Any:
    """Call a release back, for ever."""
    return call("POST", f"/requests/{number}/recall", json={"reason": reason})


@request.command("withdraw")
@click.argument("number", type=int)
@click.option("--reason", required=True)
@shown()
def withdraw(number: int, reason: str) -> Any:
    """Take back a request of your own that was returned or failed."""
    return call("POST", f"/requests/{number}/withdraw", json={"reason": reason})


@request.command("retry")
@click.argument("number", type=int)
@shown()
def retry(number: int) -> Any:
    """Try a failed step again."""
    return call("POST", f"/requests/{number}/retry")


@request.command("download")
@click.argument("number", type=int)
@click.argument("target", type=NEW_FILE)
@click.option("--file", "place", type=int, help="One file instead of the whole crate.")
@shown()
def download(number: int, target: Path, place: int | None) -> Any:
    """Save the crate, and its signature beside it; or one released file."""
    content = call_bytes("GET", f"/requests/{number}/download", params={"file": place} if place else {})
    target.write_bytes(content)
    saved = {"file": str(target), "bytes": len(content)}
    if place is None:
        beside = target.with_name(target.name + ".sig.json")
        beside.write_text(json.dumps(call("GET", f"/requests/{number}/signature"), indent=2) + "\n")
        saved["signature"] = str(beside)
    return saved


@request.command("public-key")
@shown()
def public_key() -> Any:
    """The key that verifies release crates; keep it somewhere else."""
    return call("GET", "/release-key")


@request.command("verify")
@click.argument("crate", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--signature", type=NEW_FILE, help="Without, CRATE.sig.json.")
@click.option("--public-key", "key", default="", help="The key you trust; without, the platform is asked for it.")
@shown()
def verify(crate: Path, signature: Path | None, key: str) -> Any:
    """Check a crate without the platform: signature, manifests, reviewed hashes. Exit code 20 when anything differs."""
    from tre.audit.signature import check_with
    from tre.outputs.proof import verify_crate

    beside = signature or crate.with_name(crate.name + ".sig.json")
    if not beside.is_file():
        raise InvalidInput(f"There is no signature {beside.name}.", field="signature", hint="`tre request download`.")
    trusted = key or call("GET", "/release-key")["public_key"]
    return {"ok": True, **asdict(verify_crate(crate.read_bytes(), beside.read_bytes(), check_with(trusted)))}


@request.command("limits")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change a number; administrators only.")
@shown()
def limits(changes: tuple[str, ...]) -> Any:
    """The house's numbers: reviewers required, sizes, working days; holidays as DATE,DATE,…"""
    if not changes:
        return call("GET", "/output-limits")
    body: dict[str, Any] = {}
    for change in changes:
        name, _, value = change.partition("=")
        days = [day.strip() for day in value.split(",") if day.strip()]
        body[name] = days if name == "holidays" else int(value) if value.isdigit() else value
    return call("POST", "/output-limits", json=body)


def _version(number: int, version: int | None) -> int:
    return version or int(call("GET", f"/requests/{number}")["version"])
