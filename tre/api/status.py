"""Is the control plane up, and can it reach what it needs? For the supervisor, the proxy and people."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from sqlalchemy import text

from tre.api.auth import CurrentActor, PlatformHere
from tre.errors import TreError

router = APIRouter(tags=["status"])


@router.get("/health")
def health() -> dict[str, str]:
    """Says only that this process answers."""
    return {"status": "up"}


@router.get("/status")
def status(platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    """Each part that the control plane leans on, with the reason when it does not answer."""
    return {"database": _ask(lambda: _query(platform)), "secrets": _ask(lambda: platform.secrets.public_key("audit"))}


def _query(platform: PlatformHere) -> None:
    with platform.db.read() as session:
        session.execute(text("SELECT 1"))


def _ask(question: Any) -> str:
    try:
        question()
    except TreError as error:
        return error.message
    return "up"
