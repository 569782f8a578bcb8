"""Signing in at a terminal by way of a browser: the terminal shows a code, its owner types it into a page where they
are signed in already (the idea of RFC 8628, with the platform itself as the server).

Decides that nothing is handed out before the person said yes, that each code works once and for minutes, and that what
a terminal gets is the person's own, with the scope it asked for. How the person came to be signed in is not asked.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from tre.audit import Actor, use_case
from tre.errors import Conflict, InvalidInput, LimitExceeded, Unauthenticated
from tre.people.model import Person, TerminalSignIn
from tre.people.signin import SignedIn, issue_token, living_token, locked, signed_in
from tre.store import Database

LIFE = timedelta(minutes=10)
#: RFC 8628, section 6.1: without vowels, so that no words come out, and without signs that look alike.
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
#: More terminals than this do not wait at one moment: whoever asks needs no account.
MOST_WAITING = 200
ANYBODY = Actor("unknown", via="cli")


@dataclass(frozen=True)
class Begun:
    """`secret` stays with the terminal, `code` is what the person types."""

    code: str
    expires: datetime
    secret: str = field(repr=False)


def begin(db: Database, *, scope: str) -> Begun:
    """Raises `LimitExceeded` when too many wait."""
    secret = secrets.token_urlsafe(32)
    code = "".join(secrets.choice(LETTERS) for _ in range(8))
    with use_case(db, ANYBODY, "terminal.begin", "person:unknown") as case:
        case.session.execute(select(func.pg_advisory_xact_lock(func.hashtext("terminal_sign_in"))))
        case.session.execute(delete(TerminalSignIn).where(TerminalSignIn.expires_at <= case.now))
        if case.session.scalars(select(func.count()).select_from(TerminalSignIn)).one() >= MOST_WAITING:
            raise LimitExceeded("Too many terminals wait to be signed in.", hint="Try again in some minutes.")
        expires = case.now + LIFE
        case.session.add(TerminalSignIn(digest=_digest(secret), code=code, scope=scope, expires_at=expires))
        case.note(scope=scope)
    return Begun(f"{code[:4]}-{code[4:]}", expires, secret)


def approve(db: Database, actor: Actor, *, token: str, code: str) -> None:
    """The person who is signed in by `token` says that the terminal with this code is theirs. Raises `InvalidInput`,
    or `Unauthenticated` where the token has ended meanwhile.
    """
    with use_case(db, actor, "terminal.approve", f"person:{actor.username}") as case:
        person = locked(case.session, Person.username == actor.username)
        living_token(case.session, token, case.now)
        waiting = select(TerminalSignIn).where(
            TerminalSignIn.code == plain_code(code),
            TerminalSignIn.expires_at > case.now,
            TerminalSignIn.person_id.is_(None),
        )
        found = case.session.scalars(waiting.with_for_update()).first()
        if found is None or person is None:
            raise InvalidInput(
                "No terminal waits with this code.", field="code", hint="Begin again there: `tre login --browser`."
            )
        found.person_id = person.id
        case.note(scope=found.scope)


def take(db: Database, *, secret: str) -> tuple[str, datetime, SignedIn]:
    """The token, when it ends, and whose it is; once. Raises `Conflict` with the code `pending` as long as nobody said
    yes, `Unauthenticated` when it is too late, or when what was signed in as the person has ended.
    """
    with db.transaction() as session:
        who, scope = _approved(session, secret, db.clock())
    token, expires = issue_token(db, who, scope=scope, via="cli")
    return token, expires, who


def _approved(session: Session, secret: str, now: datetime) -> tuple[SignedIn, str]:
    mine = select(TerminalSignIn).where(TerminalSignIn.digest == _digest(secret), TerminalSignIn.expires_at > now)
    found = session.scalars(mine.with_for_update()).first()
    if found is None:
        raise Unauthenticated("This sign-in is unknown, used, or too old.", hint="Begin again: `tre login --browser`.")
    if found.person_id is None:
        raise Conflict("Nobody has said yes yet.", code="pending")
    session.delete(found)
    return signed_in(session.get_one(Person, found.person_id)), found.scope


def plain_code(typed: str) -> str:
    """As it was made, however it was typed."""
    return "".join(sign for sign in typed.upper() if sign in LETTERS)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
