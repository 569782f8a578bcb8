"""Who somebody is at an identity provider, and whether the provider still says so.

Decides that a person is found by issuer and subject alone, that only an administrator links the two (by subject, or by
an invitation that the person redeems), and what follows when the provider no longer confirms somebody: every token ends
at once, and the gate of their workspaces closes. Leaves judging the provider's tokens to `tre.door.oidc`, ending
workspaces to `tre.workspaces`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tre.audit import SYSTEM, Actor, UseCase, use_case
from tre.errors import Conflict, Forbidden, NotFound, Unauthenticated
from tre.people import rules, service
from tre.people.model import IdentityInvitation, Person, PersonIdentity, Role
from tre.people.rules import Obstacle
from tre.people.signin import SignedIn, end_sessions, locked, signed_in
from tre.store import Database

INVITATION_LIFE = timedelta(days=3)
INVITATION_REFUSED = "This invitation is unknown, used, or too old."


def add_identity(db: Database, actor: Actor, *, username: str, issuer: str, subject: str) -> None:
    with use_case(db, actor, "identity.add", f"person:{username}") as case:
        rules.check_role(actor, Role.administrator)
        service.check_still_administrator(case)
        _link(case, service.get_person(case.session, username), issuer, subject)


def remove_identity(db: Database, actor: Actor, *, username: str, issuer: str, subject: str) -> None:
    """Whatever the person has open ends with it: nobody can tell which of it came by this identity."""
    with use_case(db, actor, "identity.remove", f"person:{username}") as case:
        rules.check_role(actor, Role.administrator)
        service.check_still_administrator(case)
        found = find(case.session, issuer, subject)
        if found is None or found.person.username != username:
            raise NotFound(f"{username} has no such identity.", field="subject")
        case.session.delete(found)
        case.note(issuer=issuer, subject=subject)
        _lapse(case, found.person, "An administrator removed the identity.")


def invite(db: Database, actor: Actor, *, username: str) -> tuple[str, datetime]:
    """A code, shown once, and when it ends. Whoever signs in at the provider and shows it becomes this person's
    identity; an invitation of before is void.
    """
    code = secrets.token_urlsafe(24)
    with use_case(db, actor, "identity.invite", f"person:{username}") as case:
        rules.check_role(actor, Role.administrator)
        service.check_still_administrator(case)
        person = service.get_person(case.session, username)
        _check_active(person)
        for earlier in case.session.scalars(_open_invitations(case.now).where(Person.id == person.id)):
            earlier.expires_at = case.now
        expires = case.now + INVITATION_LIFE
        made = IdentityInvitation(
            person_id=person.id, digest=_digest(code), made_by=actor.username, made_at=case.now, expires_at=expires
        )
        case.session.add(made)
        case.note(expires_at=expires.isoformat())
    return code, expires


def redeem(db: Database, *, code: str, issuer: str, subject: str) -> str:
    """Links the identity that just signed in with the person who was invited; their user name. Raises
    `Unauthenticated`.
    """
    with use_case(db, Actor("unknown", via="web"), "identity.redeem", "person:unknown") as case:
        case.note(issuer=issuer, subject=subject)
        wanted = _open_invitations(case.now).where(IdentityInvitation.digest == _digest(code))
        found = case.session.scalars(wanted.with_for_update(of=IdentityInvitation)).first()
        if found is None:
            raise Unauthenticated(INVITATION_REFUSED, hint="Ask an administrator for a new one.", code="invitation")
        case.subject = f"person:{found.person.username}"
        case.note(invited_by=found.made_by)
        _check_active(found.person)
        found.redeemed_at = case.now
        _link(case, found.person, issuer, subject)
        return found.person.username


def sign_in(db: Database, *, issuer: str, subject: str, life: timedelta, via: str) -> SignedIn:
    """The person whom the provider just named; its word holds for `life`. Raises `Forbidden` for an identity of nobody
    here, whatever name or address comes with it.
    """
    with use_case(db, Actor("unknown", via=via), "person.sign_in", "person:unknown") as case:
        case.note(issuer=issuer, subject=subject)
        person = _person_of(case, issuer, subject)
        case.actor, case.subject = Actor(person.username, via=via), f"person:{person.username}"
        _check_active(person)
        person.confirmed_until, person.confirmation_note, person.sign_in_lost = case.now + life, "", False
        return signed_in(person)


def confirm(db: Database, *, username: str, issuer: str, subject: str, life: timedelta) -> None:
    """The provider was asked again and said yes. Prolonging is no event; that it was away, or is back, is one. What was
    lost is not won again by this: that takes a sign-in.
    """
    with use_case(db, SYSTEM, "identity.confirm", f"person:{username}") as case:
        person = _theirs(case, username, issuer, subject)
        if not person.confirmation_note:
            case.nothing_changed()
        person.confirmed_until, person.confirmation_note = case.now + life, ""


def note_away(db: Database, *, username: str, issuer: str, subject: str, reason: str) -> None:
    """The provider did not answer: its last word neither ends nor is prolonged, and the person sees why."""
    with use_case(db, SYSTEM, "identity.unconfirmed", f"person:{username}") as case:
        person = _theirs(case, username, issuer, subject)
        if person.confirmation_note == reason:
            case.nothing_changed()
        person.confirmation_note = reason
        case.note(reason=reason)


def lose(db: Database, *, username: str, issuer: str, subject: str, reason: str) -> None:
    """The provider no longer confirms this person: what they have open ends."""
    with use_case(db, SYSTEM, "identity.lose", f"person:{username}") as case:
        _lapse(case, _theirs(case, username, issuer, subject), reason)
        case.note(issuer=issuer, subject=subject, reason=reason)


def obstacles(session: Session, username: str, now: datetime) -> list[Obstacle]:
    """What the gate of a workspace asks of this room besides the standings."""
    return obstacles_of(session, [username], now).get(username, [])


def obstacles_of(session: Session, usernames: Collection[str], now: datetime) -> dict[str, list[Obstacle]]:
    """The same for many people, by name, in one query."""
    held = select(Person.username, Person.confirmed_until, Person.confirmation_note)
    rows = session.execute(held.where(Person.username.in_(usernames)))
    return {username: rules.may_enter(username, until, note, now) for username, until, note in rows}


def list_identities(session: Session, username: str) -> Sequence[PersonIdentity]:
    query = select(PersonIdentity).join(Person, Person.id == PersonIdentity.person_id)
    return session.scalars(query.where(Person.username == username).order_by(PersonIdentity.linked_at)).all()


def find(session: Session, issuer: str, subject: str) -> PersonIdentity | None:
    wanted = select(PersonIdentity).where(PersonIdentity.issuer == issuer, PersonIdentity.subject == subject)
    return session.scalars(wanted).first()


def _person_of(case: UseCase, issuer: str, subject: str) -> Person:
    found = find(case.session, issuer, subject)
    if found is None:
        raise Forbidden(
            "Nobody here has this identity.",
            hint="Show your invitation, or tell an administrator the subject that is named here.",
            code="identity_unknown",
        )
    person = locked(case.session, Person.id == found.person_id)
    assert person is not None, "an identity belongs to a person"
    return person


def _theirs(case: UseCase, username: str, issuer: str, subject: str) -> Person:
    """The person, if this is an identity of theirs and something of theirs rests on the provider's word."""
    person = _person_of(case, issuer, subject)
    if person.username != username or not person.active or person.confirmed_until is None or person.sign_in_lost:
        raise Forbidden(f"This is no identity that {username} is signed in with.", code="identity_unknown")
    return person


def _link(case: UseCase, person: Person, issuer: str, subject: str) -> None:
    rules.check_identity(issuer, subject)
    case.note(issuer=issuer, subject=subject)
    taken = Conflict("This identity belongs to an account already.", hint="`tre person identity list` shows whose.")
    if find(case.session, issuer, subject):
        raise taken
    made = PersonIdentity(
        person_id=person.id, issuer=issuer, subject=subject, linked_by=case.actor.username, linked_at=case.now
    )
    case.session.add(made)
    try:
        case.session.flush()
    except IntegrityError:
        raise taken from None


def _lapse(case: UseCase, person: Person, reason: str) -> None:
    if person.confirmed_until is not None:
        person.confirmed_until, person.confirmation_note = min(person.confirmed_until, case.now), reason
        person.sign_in_lost = True
    case.note(tokens=end_sessions(case, person))


def _check_active(person: Person) -> None:
    if not person.active:
        raise Forbidden("This account has ended.", hint="Ask an administrator.", code="account_ended")


def _open_invitations(now: datetime) -> Select[IdentityInvitation]:
    return (
        select(IdentityInvitation)
        .join(Person, Person.id == IdentityInvitation.person_id)
        .where(IdentityInvitation.redeemed_at.is_(None), IdentityInvitation.expires_at > now)
    )


def _digest(code: str) -> str:
    return hashlib.sha256(code.strip().encode(errors="replace")).hexdigest()
