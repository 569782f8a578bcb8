"""The use cases of the people's room: organisations, accounts, roles, standings, conflicts of interest.

Each runs in one unit of work. Signing in and tokens are in `signin`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tre.audit import Actor, UseCase, use_case
from tre.errors import Conflict, Forbidden, InvalidInput, NotFound
from tre.people import passwords, rules
from tre.people.model import (
    ConflictOfInterest,
    Organisation,
    Person,
    Role,
    RoleHeld,
    Standing,
    StandingHeld,
)
from tre.people.signin import TOTP_CONTEXT, Sealer, end_sessions
from tre.store import Database

_RIGHTS_LOCK = 0x7472655F7274


@dataclass(frozen=True)
class Enrolment:
    """Shown once: what the person puts into their authenticator app. Empty for an account without a password."""

    username: str
    totp_secret: str = ""
    totp_uri: str = ""


def bootstrap(db: Database, sealer: Sealer, *, username: str, name: str, password: str, organisation: str) -> Enrolment:
    """The first administrator, made on the machine; refused as soon as there is one."""
    actor = Actor("machine", via="machine")
    with use_case(db, actor, "admin.bootstrap", f"person:{username}") as case:
        _queue_for_rights(case.session)
        if case.session.scalars(select(RoleHeld).where(RoleHeld.role == Role.administrator)).first():
            raise Forbidden("There is an administrator already.", hint="Ask them: `tre person add`, `tre person role`.")
        case.session.add(
            Organisation(
                slug=rules.check_slug(organisation, field="organisation"),
                name=organisation,
                created_at=case.now,
            )
        )
        case.session.flush()
        person, enrolment = _new_person(sealer, case.now, username, name, password, organisation)
        person.roles.append(RoleHeld(role=Role.administrator, granted_by=actor.username, granted_at=case.now))
        case.session.add(person)
        return enrolment


def add_organisation(db: Database, actor: Actor, *, slug: str, name: str) -> None:
    with use_case(db, actor, "organisation.add", f"organisation:{slug}") as case:
        rules.check_role(actor, Role.administrator)
        rules.check_slug(slug, field="slug")
        if case.session.get(Organisation, slug):
            raise Conflict(f"There is an organisation {slug} already.")
        case.session.add(Organisation(slug=slug, name=rules.check_line(name, field="name"), created_at=case.now))


def add_person(
    db: Database, sealer: Sealer, actor: Actor, *, username: str, name: str, password: str | None, organisation: str
) -> Enrolment:
    """A person without any role; without a password, one who signs in through an identity provider alone. Raises
    `Conflict` when the name is taken, `NotFound` for an unknown organisation.
    """
    with use_case(db, actor, "person.add", f"person:{username}") as case:
        rules.check_role(actor, Role.administrator)
        if not case.session.get(Organisation, organisation):
            raise NotFound(f"There is no organisation {organisation}.", field="organisation")
        if case.session.scalars(select(Person).where(Person.username == username)).first():
            raise Conflict(f"The user name {username} is taken.", hint="Choose another.")
        person, enrolment = _new_person(sealer, case.now, username, name, password, organisation)
        case.session.add(person)
        return enrolment


def _new_person(
    sealer: Sealer, now: datetime, username: str, name: str, password: str | None, organisation: str
) -> tuple[Person, Enrolment]:
    person = Person(
        username=rules.check_username(username),
        name=rules.check_line(name, field="name"),
        organisation_slug=organisation,
        created_at=now,
    )
    if password is None:
        return person, Enrolment(username)
    rules.check_password(password, username)
    secret = passwords.new_totp_secret()
    person.password_hash = passwords.hash_password(password)
    person.sealed_totp = sealer.seal(TOTP_CONTEXT, secret.encode())
    return person, Enrolment(username, secret, passwords.enrolment_uri(username, secret))


def give_role(db: Database, actor: Actor, *, username: str, role: Role, organisation: str | None = None) -> None:
    with use_case(db, actor, "person.give_role", f"person:{username}") as case:
        rules.check_grant_role(actor, username, role, organisation)
        check_still_administrator(case)
        person = get_person(case.session, username)
        if organisation and not case.session.get(Organisation, organisation):
            raise NotFound(f"There is no organisation {organisation}.", field="organisation")
        if any(held.role == role and held.organisation_slug == organisation for held in person.roles):
            raise Conflict(f"{username} holds this role already.")
        person.roles.append(
            RoleHeld(role=role, organisation_slug=organisation, granted_by=actor.username, granted_at=case.now)
        )
        case.note(role=str(role), organisation=organisation)


def take_role(db: Database, actor: Actor, *, username: str, role: Role, organisation: str | None = None) -> None:
    with use_case(db, actor, "person.take_role", f"person:{username}") as case:
        rules.check_grant_role(actor, username, role, organisation)
        check_still_administrator(case)
        held = [
            h
            for h in get_person(case.session, username).roles
            if h.role == role and h.organisation_slug == organisation
        ]
        if not held:
            raise Conflict(f"{username} does not hold this role.")
        case.session.delete(held[0])
        case.note(role=str(role), organisation=organisation)


def record_standing(
    db: Database,
    actor: Actor,
    *,
    username: str,
    kind: Standing,
    title: str,
    provider: str,
    awarded_on: date,
    expires_on: date,
    reference: str = "",
) -> None:
    """Records an accreditation or a training with its expiry; the newest that holds counts."""
    with use_case(db, actor, "person.record_standing", f"person:{username}") as case:
        rules.check_record_standing(actor, username)
        if expires_on < awarded_on:
            raise InvalidInput("It cannot expire before it was awarded.", field="expires_on")
        person = get_person(case.session, username)
        person.standings.append(
            StandingHeld(
                kind=kind,
                title=rules.check_line(title, field="title"),
                provider=rules.check_line(provider, field="provider"),
                reference=rules.check_line(reference, field="reference") if reference else "",
                awarded_on=awarded_on,
                expires_on=expires_on,
                recorded_by=actor.username,
            )
        )
        case.note(kind=str(kind), expires_on=expires_on.isoformat())


def end_standings(db: Database, actor: Actor, *, username: str, kind: Standing, on: date) -> None:
    """From this day on, no standing of a kind that is recorded now holds (withdrawn, or found to be wrong)."""
    with use_case(db, actor, "person.end_standing", f"person:{username}") as case:
        rules.check_record_standing(actor, username)
        for standing in get_person(case.session, username).standings:
            if standing.kind == kind and standing.expires_on >= on > date.min:
                standing.expires_on = on - timedelta(days=1)
        case.note(kind=str(kind), on=on.isoformat())


def declare_conflict(db: Database, actor: Actor, *, object: str, statement: str) -> None:
    """Anybody declares their own interests; an administrator cannot do it for them."""
    with use_case(db, actor, "person.declare_conflict", f"person:{actor.username}") as case:
        person = get_person(case.session, actor.username)
        text = rules.check_text(statement, field="statement")
        kind, name = rules.check_interest(object)
        if kind == "organisation" and not case.session.get(Organisation, name):
            raise NotFound(f"There is no organisation {name}.", field="object")
        case.session.add(ConflictOfInterest(person_id=person.id, object=object, statement=text, declared_at=case.now))
        case.note(object=object)


def end_account(db: Database, actor: Actor, *, username: str, reason: str) -> None:
    """Ends an account and every session and token of it. Running workspaces end at the controller's next pass."""
    with use_case(db, actor, "person.end", f"person:{username}") as case:
        rules.check_role(actor, Role.administrator)
        if actor.username == username:
            raise Forbidden("Nobody ends their own account.", hint="Ask another administrator.")
        check_still_administrator(case)
        person = get_person(case.session, username)
        person.active = False
        end_sessions(case, person)
        case.note(reason=rules.check_text(reason, field="reason", longest=500))


def _queue_for_rights(session: Session) -> None:
    session.execute(select(func.pg_advisory_xact_lock(_RIGHTS_LOCK)))


def check_still_administrator(case: UseCase) -> None:
    """Changes of rights queue, and whoever makes one must hold the right when their turn comes: two administrators
    cannot take each other's rights at the same moment.
    """
    _queue_for_rights(case.session)
    person = case.session.scalars(select(Person).where(Person.username == case.actor.username)).first()
    if not person or not person.active or not any(held.role == Role.administrator for held in person.roles):
        raise Forbidden("This needs the role administrator.", hint="Ask an administrator for the role.")


def get_person(session: Session, username: str) -> Person:
    """Raises `NotFound`."""
    person = session.scalars(select(Person).where(Person.username == username)).first()
    if person is None:
        raise NotFound(f"There is no person {username}.", field="username")
    return person


def conflicts_of(session: Session, username: str) -> set[str]:
    query = select(ConflictOfInterest.object).join(Person, Person.id == ConflictOfInterest.person_id)
    return set(session.scalars(query.where(Person.username == username)))


def custodian_of(session: Session, username: str) -> set[str]:
    """The organisations for whose data this person decides."""
    query = (
        select(RoleHeld.organisation_slug)
        .join(Person)
        .where(Person.username == username, RoleHeld.role == Role.custodian)
    )
    return {slug for slug in session.scalars(query) if slug}


def list_people(session: Session) -> Sequence[Person]:
    return session.scalars(select(Person).order_by(Person.username)).all()


def list_organisations(session: Session) -> Sequence[Organisation]:
    return session.scalars(select(Organisation).order_by(Organisation.slug)).all()
