"""The internal API's part for signing in through an identity provider: the Hub judged the provider's token and says
whom it names; this side knows which person that is, and what follows.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field, StringConstraints

from tre.api.auth import ANYBODY, Client, PlatformHere, only
from tre.api.body import Body, Line
from tre.api.platform import Platform
from tre.audit.work import record_refusal
from tre.errors import Forbidden, Unauthenticated
from tre.people import identities
from tre.people.signin import SignedIn
from tre.settings import IdentityProvider

router = APIRouter(dependencies=[only(Client.hub)])
Subject = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class Named(Body):
    """Whom the provider named."""

    issuer: Line
    subject: Subject


class Redemption(Named):
    code: Annotated[str, StringConstraints(min_length=1, max_length=100)]


class Outcome(StrEnum):
    confirmed = "confirmed"
    away = "away"
    lost = "lost"


class Answer(Named):
    outcome: Outcome
    reason: str = Field(default="", max_length=300)


class Refused(Body):
    message: Line
    code: Line


@router.post("/identities/sign-in")
def sign_in(body: Named, platform: PlatformHere) -> dict[str, Any]:
    who = identities.sign_in(platform.db, **body.model_dump(), life=life_of(platform, body), via="web")
    return let_in(who)


def let_in(who: SignedIn) -> dict[str, Any]:
    """For the Hub, whose session belongs to the round in which the person was judged."""
    return {"username": who.username, "name": who.name, "roles": sorted(who.roles), "session_round": who.session_round}


@router.post("/identities/redeem")
def redeem(body: Redemption, platform: PlatformHere) -> dict[str, Any]:
    life_of(platform, body)
    return {"username": identities.redeem(platform.db, **body.model_dump())}


@router.post("/identities/refused")
def refused(body: Refused, platform: PlatformHere) -> dict[str, Any]:
    """For the record: a sign-in that the Hub did not believe."""
    refusal = Unauthenticated(body.message, code=body.code)
    record_refusal(platform.db, ANYBODY, "person.sign_in", "person:unknown", refusal)
    return {"recorded": body.code}


@router.post("/people/{username}/confirmation")
def confirmation(username: str, body: Answer, platform: PlatformHere) -> dict[str, Any]:
    who = {"username": username, "issuer": body.issuer, "subject": body.subject}
    if body.outcome is Outcome.confirmed:
        identities.confirm(platform.db, **who, life=life_of(platform, body))
    elif body.outcome is Outcome.away:
        identities.note_away(platform.db, **who, reason=body.reason)
    else:
        identities.lose(platform.db, **who, reason=body.reason)
    return {"username": username, "outcome": body.outcome}


def life_of(platform: Platform, body: Named) -> timedelta:
    """How long the word of this issuer holds. Raises `Forbidden` for one that is not ours (any more)."""
    provider: IdentityProvider | None = platform.settings.identity_provider
    if provider is None or provider.issuer != body.issuer:
        raise Forbidden("This is not the identity provider of this platform.", code="issuer")
    return timedelta(seconds=provider.confirmed_seconds)
