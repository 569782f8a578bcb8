"""People over HTTP: signing in and out of the command line, organisations, accounts, roles, standings, interests."""

from __future__ import annotations

from datetime import date
from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field

from tre.api.auth import CurrentActor, LeavingActor, PlatformHere, bearer
from tre.api.body import Body, Line, Name, Text
from tre.people import identities, renewal, rules, service, signin, terminal
from tre.people.model import Person, Role, Standing

router = APIRouter(tags=["people"])


class SignIn(Body):
    username: Name
    password: Line
    totp: Name
    read_only: bool = False


class TerminalBody(Body):
    read_only: bool = False


class TerminalSecret(Body):
    secret: Name


class NewOrganisation(Body):
    slug: Name
    name: Line


class NewPerson(Body):
    username: Name
    name: Line
    password: Line | None = None
    organisation: Name


class NewPassword(Body):
    password: Line
    totp: Name
    new: Line


class Renewal(Body):
    password: Line
    reason: Line


class IdentityBody(Body):
    issuer: Line
    subject: Line


class RoleBody(Body):
    role: Role
    organisation: Name | None = None


class StandingBody(Body):
    kind: Standing
    title: Line
    provider: Line
    awarded_on: date
    expires_on: date
    reference: str = Field(default="", max_length=200)


class EndStanding(Body):
    kind: Standing
    on: date


class Interest(Body):
    object: Line
    statement: Text


class Reason(Body):
    reason: Line


def person_view(person: Person) -> dict[str, Any]:
    return {
        "username": person.username,
        "name": person.name,
        "organisation": person.organisation_slug,
        "active": person.active,
        "roles": [{"role": held.role, "organisation": held.organisation_slug} for held in person.roles],
        "standings": [
            {"kind": s.kind, "title": s.title, "awarded_on": s.awarded_on, "expires_on": s.expires_on}
            for s in person.standings
        ],
    }


@router.post("/sign-in")
def sign_in(body: SignIn, platform: PlatformHere) -> dict[str, Any]:
    who = signin.sign_in(
        platform.db,
        platform.sealer,
        username=body.username,
        password=body.password,
        totp=body.totp,
        via="cli",
        local_accounts=platform.settings.local_accounts,
    )
    scope = "read" if body.read_only else "all"
    token, expires = signin.issue_token(platform.db, who, scope=scope, via="cli")
    return {"token": token, "expires_at": expires, "username": who.username, "roles": sorted(who.roles), "scope": scope}


@router.post("/sign-in/terminal", status_code=201)
def begin_at_terminal(body: TerminalBody, platform: PlatformHere) -> dict[str, Any]:
    """For a terminal without a browser: its code is typed into `/tre/terminal` by whoever is signed in there."""
    begun = terminal.begin(platform.db, scope="read" if body.read_only else "all")
    return {"code": begun.code, "secret": begun.secret, "page": "/tre/terminal", "expires_at": begun.expires}


@router.post("/sign-in/terminal/token")
def take_at_terminal(body: TerminalSecret, platform: PlatformHere) -> dict[str, Any]:
    """409 with the code `pending` until then."""
    token, expires, who = terminal.take(platform.db, secret=body.secret)
    return {"token": token, "expires_at": expires, "username": who.username, "roles": sorted(who.roles)}


@router.post("/sign-out")
def sign_out(request: Request, platform: PlatformHere, actor: LeavingActor) -> dict[str, Any]:
    signin.revoke_token(platform.db, actor, bearer(request))
    return {"signed_out": actor.username}


@router.post("/people/{username}/sign-out")
def sign_out_everywhere(username: str, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    ended = signin.revoke_tokens(platform.db, actor, username=username)
    return {"signed_out": username, "tokens": ended}


@router.get("/me")
def me(platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    with platform.db.read() as session:
        return person_view(service.get_person(session, actor.username))


@router.get("/people")
def people(platform: PlatformHere, actor: CurrentActor) -> list[dict[str, Any]]:
    rules.check_can_read_everything(actor)
    with platform.db.read() as session:
        return [person_view(person) for person in service.list_people(session)]


@router.get("/people/{username}")
def person(username: str, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    if username != actor.username:
        rules.check_can_read_everything(actor)
    with platform.db.read() as session:
        return person_view(service.get_person(session, username))


@router.post("/people", status_code=201)
def add_person(body: NewPerson, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    enrolment = service.add_person(platform.db, platform.sealer, actor, **body.model_dump())
    if body.password is None:
        return {"username": enrolment.username}
    return {"username": enrolment.username, "totp_secret": enrolment.totp_secret, "totp_uri": enrolment.totp_uri}


@router.get("/people/{username}/identities")
def list_identities(username: str, platform: PlatformHere, actor: CurrentActor) -> list[dict[str, Any]]:
    """Anybody's own; an administrator's and an auditor's to see for all."""
    if actor.username != username:
        rules.check_can_read_everything(actor)
    with platform.db.read() as session:
        service.get_person(session, username)
        return [
            {"issuer": i.issuer, "subject": i.subject, "linked_by": i.linked_by, "linked_at": i.linked_at}
            for i in identities.list_identities(session, username)
        ]


@router.post("/people/{username}/identities", status_code=201)
def add_identity(username: str, body: IdentityBody, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    identities.add_identity(platform.db, actor, username=username, **body.model_dump())
    return {"username": username, **body.model_dump()}


@router.post("/people/{username}/identities/remove")
def remove_identity(username: str, body: IdentityBody, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    identities.remove_identity(platform.db, actor, username=username, **body.model_dump())
    return {"username": username, "removed": body.subject, "issuer": body.issuer}


@router.post("/people/{username}/identities/invite", status_code=201)
def invite(username: str, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    code, expires = identities.invite(platform.db, actor, username=username)
    return {"username": username, "invitation": code, "expires_at": expires}


@router.post("/people/{username}/roles", status_code=201)
def give_role(username: str, body: RoleBody, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    service.give_role(platform.db, actor, username=username, role=body.role, organisation=body.organisation)
    return {"username": username, "role": body.role, "organisation": body.organisation}


@router.post("/people/{username}/roles/take")
def take_role(username: str, body: RoleBody, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    service.take_role(platform.db, actor, username=username, role=body.role, organisation=body.organisation)
    return {"username": username, "taken": body.role, "organisation": body.organisation}


@router.post("/people/{username}/standings", status_code=201)
def record_standing(username: str, body: StandingBody, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    service.record_standing(platform.db, actor, username=username, **body.model_dump())
    return {"username": username, "kind": body.kind, "expires_on": body.expires_on}


@router.post("/people/{username}/standings/end")
def end_standing(username: str, body: EndStanding, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    service.end_standings(platform.db, actor, username=username, kind=body.kind, on=body.on)
    return {"username": username, "kind": body.kind, "ended_on": body.on}


@router.post("/me/password")
def change_password(body: NewPassword, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    renewal.change_password(platform.db, platform.sealer, actor, **body.model_dump())
    return {"username": actor.username, "changed": True}


@router.post("/people/{username}/renew")
def renew(username: str, body: Renewal, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    made = renewal.renew(platform.db, platform.sealer, actor, username=username, **body.model_dump())
    return {"username": made.username, "totp_secret": made.totp_secret, "totp_uri": made.totp_uri}


@router.post("/people/{username}/end")
def end_account(username: str, body: Reason, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    service.end_account(platform.db, actor, username=username, reason=body.reason)
    return {"username": username, "active": False}


@router.post("/me/interests", status_code=201)
def declare(body: Interest, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    service.declare_conflict(platform.db, actor, object=body.object, statement=body.statement)
    return {"username": actor.username, "object": body.object}


@router.get("/organisations")
def organisations(platform: PlatformHere, actor: CurrentActor) -> list[dict[str, Any]]:
    with platform.db.read() as session:
        return [{"slug": o.slug, "name": o.name} for o in service.list_organisations(session)]


@router.post("/organisations", status_code=201)
def add_organisation(body: NewOrganisation, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    service.add_organisation(platform.db, actor, slug=body.slug, name=body.name)
    return {"slug": body.slug}
