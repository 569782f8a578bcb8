"""Signing in, and the tokens that stand for it.

Decides who an edge may call an actor: by password and one-time code, or by a token that lives hours, carries a scope
and can be revoked. Attempts are limited by user name: after five failures within a quarter of an hour, even the right
password waits.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import Session

from tre.audit import Actor, UseCase, use_case
from tre.errors import Forbidden, NotFound, Refusal, Unauthenticated, Unavailable
from tre.people import passwords, rules
from tre.people.model import ApiToken, Person, PersonIdentity, Role, SignInFailure, TerminalSignIn
from tre.store import Database

FAILURES_ALLOWED = 5
FAILURE_WINDOW = timedelta(minutes=15)
TOKEN_LIFE = timedelta(hours=8)
TOTP_CONTEXT = "totp"


class Sealer(Protocol):
    """Encrypts small secrets with a key that never leaves the secrets server. `context` binds a ciphertext to its
    use.
    """

    def seal(self, context: str, plain: bytes) -> str: ...
    def unseal(self, context: str, sealed: str) -> bytes: ...


class TooManyAttempts(Refusal):
    code, http_status = "too_many_attempts", 429
    default_hint = "Wait a quarter of an hour, then try again."


@dataclass(frozen=True)
class SignedIn:
    """Somebody who was let in, and in which round of their sessions (`Person.session_round`) that was judged."""

    username: str
    name: str
    roles: frozenset[str]
    session_round: int

    def actor(self, via: str) -> Actor:
        return Actor(self.username, self.roles, via)


def sign_in(
    db: Database, sealer: Sealer, *, username: str, password: str, totp: str, via: str, local_accounts: bool
) -> SignedIn:
    """Raises `Unauthenticated` (one sentence for every wrong combination), `TooManyAttempts` or `Forbidden`
    (account ended, or one with an identity where `local_accounts` are not kept).
    """
    claimed = username if rules.USERNAME.fullmatch(username) else "(unreadable)"
    with use_case(db, Actor(claimed, via=via), "person.sign_in", f"person:{claimed}") as case:
        person = proven(db, case, sealer, password=password, totp=totp)
        _check_local(case, person, local_accounts=local_accounts)
        return signed_in(person)


def proven(db: Database, case: UseCase, sealer: Sealer, *, password: str, totp: str) -> Person:
    """The person whom the case's actor claims to be. Counts as an attempt; raises what `sign_in` raises."""
    claimed = case.actor.username
    attempt = _begin_attempt(db, claimed)
    try:
        # Hashing takes long on purpose: no connection is held meanwhile, so that a flood of guesses starves nobody.
        right = passwords.password_matches(_stored_hash(db, claimed), password)
        person = _judge(case, sealer, right=right, code=totp)
    except Unavailable:
        # Nothing was judged, so nothing counts against the person.
        with db.transaction() as session:
            _forget_attempt(session, attempt)
        raise
    _forget_attempt(case.session, attempt)
    return person


def _stored_hash(db: Database, username: str) -> str | None:
    with db.read() as session:
        return session.scalars(select(Person.password_hash).where(Person.username == username)).first()


def _judge(case: UseCase, sealer: Sealer, *, right: bool, code: str) -> Person:
    """The person, if everything is right. Does the same work whatever is wrong: one hash and one call of the sealer."""
    name = case.actor.username
    person = locked(case.session, Person.username == name)
    step = _step(sealer, person, code, case.now)
    if not person or not right or step is None:
        raise Unauthenticated("User name, password or one-time code is wrong.")
    if not person.active:
        raise Forbidden("This account has ended.", hint="Ask an administrator.", code="account_ended")
    person.totp_counter = step
    return person


def _check_local(case: UseCase, person: Person, *, local_accounts: bool) -> None:
    """After everything else was right, so that nobody learns from it who has an identity. A password that was right
    stands by itself: from now on nothing rests on an identity provider's word.
    """
    linked = select(PersonIdentity.id).where(PersonIdentity.person_id == person.id)
    if not local_accounts and case.session.scalars(linked).first():
        raise Forbidden(
            "This account signs in through the identity provider.",
            hint="Use its button on the sign-in page; `tre login --browser` in a terminal.",
            code="identity_only",
        )
    person.confirmed_until, person.confirmation_note, person.sign_in_lost = None, "", False


def _step(sealer: Sealer, person: Person | None, code: str, now: datetime) -> int | None:
    if person is None or person.sealed_totp is None:
        sealer.seal(TOTP_CONTEXT, b"nobody has this secret")
        return None
    secret = sealer.unseal(TOTP_CONTEXT, person.sealed_totp).decode()
    return passwords.totp_step(secret, code, now, person.totp_counter)


def _begin_attempt(db: Database, username: str) -> int:
    """Counts this attempt as failed before it is judged, in a transaction of its own: a burst cannot slip past the
    limit.
    """
    with db.transaction() as session:
        session.execute(select(func.pg_advisory_xact_lock(func.hashtext("sign_in:" + username))))
        now = db.clock()
        recent = select(func.count()).where(SignInFailure.username == username, SignInFailure.at > now - FAILURE_WINDOW)
        if session.scalars(recent).one() >= FAILURES_ALLOWED:
            raise TooManyAttempts(f"Too many failed attempts to sign in as {username}.")
        attempt = SignInFailure(username=username, at=now)
        session.add(attempt)
        session.flush()
        return attempt.id


def _forget_attempt(session: Session, attempt: int) -> None:
    session.execute(delete(SignInFailure).where(SignInFailure.id == attempt))


def forget_failures(db: Database) -> int:
    """Deletes the counts of failures that no longer count; how many. Each failure itself stays in the audit record."""
    with db.transaction() as session:
        old = delete(SignInFailure).where(SignInFailure.at <= db.clock() - FAILURE_WINDOW)
        return len(session.execute(old.returning(SignInFailure.id)).all())


def check_confirmed(person: Person, now: datetime) -> None:
    """Raises `Unauthenticated` where the identity provider's word was needed and does not hold any more."""
    for lapsed in rules.may_enter(person.username, person.confirmed_until, person.confirmation_note, now):
        raise Unauthenticated(lapsed.message, hint=lapsed.remedy, code=lapsed.code)


def signed_in(person: Person) -> SignedIn:
    return SignedIn(person.username, person.name, frozenset(held.role for held in person.roles), person.session_round)


def locked(session: Session, which: ColumnElement[bool]) -> Person | None:
    """The person as they are now; nothing changes them before this transaction ends."""
    query = select(Person).where(which).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).first()


def issue_token(
    db: Database, who: SignedIn, *, scope: str, via: str, life: timedelta = TOKEN_LIFE
) -> tuple[str, datetime]:
    """A new token (shown once) and when it ends. `scope` is "all" or "read".

    Whatever ended the account, or everything that is signed in as it, since `who` was let in ends this as well: raises
    `Unauthenticated`.
    """
    token = secrets.token_urlsafe(32)
    with use_case(db, who.actor(via), "token.issue", f"person:{who.username}") as case:
        person = locked(case.session, Person.username == who.username)
        if person is None:
            raise NotFound(f"There is no person {who.username}.", field="username")
        _check_still_in(person, who, case.now)
        expires = case.now + life
        case.session.add(
            ApiToken(
                person_id=person.id,
                digest=_digest(token),
                scope=scope,
                via=via,
                created_at=case.now,
                expires_at=expires,
            )
        )
        case.note(scope=scope, expires_at=expires.isoformat())
    return token, expires


def _check_still_in(person: Person, who: SignedIn, now: datetime) -> None:
    if not person.active:
        raise Unauthenticated("This account has ended.", hint="Ask an administrator.", code="account_ended")
    if person.session_round != who.session_round:
        raise Unauthenticated("Everything signed in as this person was ended meanwhile.", code="session_ended")
    check_confirmed(person, now)


def actor_of_token(db: Database, token: str, *, writes: bool) -> Actor:
    """The actor a token stands for, with today's roles. Raises `Unauthenticated`, or `Forbidden` when a read token
    would write.
    """
    with db.read() as session:
        held = living_token(session, token, db.clock())
        actor = signed_in(held.person).actor(held.via)
        if not writes or held.scope == "all":
            return actor
    with use_case(db, actor, "token.use", f"person:{actor.username}"):
        raise Forbidden("This token may only read.", hint="`tre login` without --read-only gives one that may write.")


def living_token(session: Session, token: str, now: datetime) -> ApiToken:
    """Raises `Unauthenticated`."""
    held = session.scalars(select(ApiToken).where(ApiToken.digest == _digest(token))).first()
    if held is None or held.revoked_at is not None or held.expires_at <= now or not held.person.active:
        raise Unauthenticated("The token is unknown, expired or revoked.")
    check_confirmed(held.person, now)
    return held


def revoke_token(db: Database, actor: Actor, token: str) -> None:
    with use_case(db, actor, "token.revoke", f"person:{actor.username}") as case:
        held = case.session.scalars(
            select(ApiToken).where(ApiToken.digest == _digest(token)).with_for_update(of=ApiToken)
        ).first()
        if held is None or held.person.username != actor.username:
            raise Unauthenticated("The token is unknown.")
        held.revoked_at = held.revoked_at or case.now


def revoke_tokens(db: Database, actor: Actor, *, username: str) -> int:
    """Ends every session and token of a person, wherever it lies: their own, or an administrator anybody's. How many
    tokens lived.
    """
    with use_case(db, actor, "token.revoke_all", f"person:{username}") as case:
        if actor.username != username:
            rules.check_role(actor, Role.administrator)
        person = case.session.scalars(select(Person).where(Person.username == username)).first()
        if person is None:
            raise NotFound(f"There is no person {username}.", field="username")
        living = end_sessions(case, person)
        case.note(tokens=living)
        return living


def end_sessions(case: UseCase, person: Person) -> int:
    """Ends what is signed in as this person: tokens now, terminals that were let in and have not come for theirs, the
    Hub's sessions when it next looks. How many tokens lived. With the person's row locked first: who makes a token or
    lets a terminal in does so before this, and it ends, or after it, and is refused.
    """
    case.session.execute(select(Person.id).where(Person.id == person.id).with_for_update())
    mine = select(ApiToken).where(ApiToken.person_id == person.id, ApiToken.revoked_at.is_(None))
    held = case.session.scalars(mine.with_for_update(of=ApiToken)).all()
    for token in held:
        token.revoked_at = case.now
    case.session.execute(delete(TerminalSignIn).where(TerminalSignIn.person_id == person.id))
    person.session_round = Person.session_round + 1
    return sum(token.expires_at > case.now for token in held)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
