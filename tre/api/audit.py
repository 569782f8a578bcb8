"""The audit record over HTTP: look, export, verify. For auditors and administrators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from tre.api.auth import CurrentActor, PlatformHere
from tre.audit import service, use_case
from tre.people.rules import check_can_read_everything

router = APIRouter(tags=["audit"])
AUDIT_KEY = "audit"


@router.get("/audit/events")
def events(
    platform: PlatformHere, actor: CurrentActor, subject: str = "", by: str = "", action: str = "", limit: int = 100
) -> list[dict[str, Any]]:
    check_can_read_everything(actor)
    with platform.db.read() as session:
        return service.events(session, subject=subject, actor=by, action=action, limit=max(1, min(limit, 1000)))


@router.post("/audit/verify")
def verify(platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    """Signs the present head, then verifies the whole record against every signed head."""
    check_can_read_everything(actor)
    service.sign_head(platform.db, platform.signing_key(AUDIT_KEY))
    with platform.db.read() as session:
        return asdict(service.verify_database(session, platform.signing_key(AUDIT_KEY).verify))


@router.post("/audit/export")
def export(platform: PlatformHere, actor: CurrentActor) -> StreamingResponse:
    """JSON Lines with the public key in its first line; the export itself is an event."""
    with use_case(platform.db, actor, "audit.export", "audit:record"):
        check_can_read_everything(actor)
    signer = platform.signing_key(AUDIT_KEY)
    service.sign_head(platform.db, signer)
    public_key = signer.public_key()

    def lines() -> Iterator[str]:
        with platform.db.read() as session:
            for line in service.export_lines(session, public_key):
                yield line + "\n"

    return StreamingResponse(lines(), media_type="application/jsonl")


@router.get("/audit/public-key")
def public_key(platform: PlatformHere) -> dict[str, str]:
    """Anybody may have it: it verifies exports and release crates offline."""
    return {"key": AUDIT_KEY, "public_key": platform.signing_key(AUDIT_KEY).public_key()}
