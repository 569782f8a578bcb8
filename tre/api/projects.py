"""Projects over HTTP: propose, look, decide, members, agreement."""

from __future__ import annotations

from datetime import date
from typing import Any

from fastapi import APIRouter
from pydantic import Field

from tre.api.auth import CurrentActor, PlatformHere
from tre.api.body import Body, Line, Name, Text
from tre.audit import Actor
from tre.data import service as data
from tre.data.service import check_asks
from tre.people.model import Role
from tre.people.rules import has_role
from tre.projects import agreement, rules, service
from tre.projects.model import Project, RefusalCode
from tre.projects.service import Ask, Proposal
from tre.workspaces import gate

router = APIRouter(tags=["projects"])


class AskBody(Body):
    dataset: Name
    columns: list[Name] = Field(min_length=1, max_length=2000)
    rows: dict[str, Any] | None = None


class ProposalBody(Body):
    slug: Name
    title: Line
    purpose: Text
    public_benefit: Text
    legal_basis: Text
    risk_of_sharing: Text
    cost_of_withholding: Text
    end_date: date
    datasets: list[AskBody] = Field(max_length=100)
    team: list[Name] = Field(default_factory=list, max_length=200)


class Approve(Body):
    reason: Text


class Refuse(Body):
    code: RefusalCode
    reason: Text
    would_change: Text


class MemberBody(Body):
    username: Name


class Remove(Body):
    reason: Line


class Agreement(Body):
    digest: Line


def summary(project: Project) -> dict[str, Any]:
    return {
        "slug": project.slug,
        "title": project.title,
        "state": project.state,
        "since": project.state_since,
        "proposed_by": project.proposed_by,
        "end_date": project.end_date,
        "datasets": [ask.dataset for ask in project.asks],
    }


def detail(project: Project) -> dict[str, Any]:
    texts = ("purpose", "public_benefit", "legal_basis", "risk_of_sharing", "cost_of_withholding")
    return {
        **summary(project),
        **{name: getattr(project, name) for name in texts},
        "asks": [{"dataset": a.dataset, "columns": a.columns, "rows": a.rows} for a in project.asks],
        "members": [
            {"username": m.person.username, "joined_at": m.joined_at, "left_at": m.left_at, "agreed_at": m.agreed_at}
            for m in project.members
        ],
        "decisions": [
            {
                "decision": d.decision,
                "code": d.code,
                "reason": d.reason,
                "would_change": d.would_change,
                "by": d.decided_by,
                "at": d.decided_at,
            }
            for d in project.decisions
        ],
    }


def _concerned(actor: Actor) -> bool:
    """Custodians and output checkers read proposals: they decide on data or must judge context."""
    return has_role(actor, Role.custodian, Role.checker)


@router.get("/projects")
def projects(platform: PlatformHere, actor: CurrentActor, state: str = "") -> list[dict[str, Any]]:
    everything = _concerned(actor) or has_role(actor, Role.administrator, Role.auditor)
    with platform.db.read() as session:
        found = service.list_projects(session, state=state, member="" if everything else actor.username)
        return [summary(project) for project in found]


@router.post("/projects", status_code=201)
def propose(body: ProposalBody, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    values = body.model_dump(exclude={"datasets", "team"})
    asks = tuple(Ask(ask.dataset, tuple(ask.columns), ask.rows) for ask in body.datasets)
    with platform.db.read() as session:
        check_asks(session, asks)
    with platform.db.read() as session:
        data.check_asks(session, asks)
    service.propose(platform.db, actor, Proposal(**values, asks=asks, team=tuple(body.team)))
    return {"slug": body.slug, "state": "proposed"}


@router.get("/projects/{slug}")
def project(slug: str, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    with platform.db.read() as session:
        found = service.get(session, slug)
        rules.check_see(actor, service.member_names(found), concerned=_concerned(actor))
        return detail(found)


@router.post("/projects/{slug}/approve")
def approve(slug: str, body: Approve, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    service.approve(platform.db, actor, slug, reason=body.reason)
    return {"slug": slug, "state": "approved"}


@router.post("/projects/{slug}/refuse")
def refuse(slug: str, body: Refuse, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    service.refuse(platform.db, actor, slug, code=body.code, reason=body.reason, would_change=body.would_change)
    return {"slug": slug, "state": "refused", "code": body.code}


@router.post("/projects/{slug}/suspend")
def suspend(slug: str, body: Approve, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    service.suspend(platform.db, actor, slug, reason=body.reason)
    return {"slug": slug, "state": "suspended"}


@router.post("/projects/{slug}/close")
def close(slug: str, body: Approve, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    service.close(platform.db, actor, slug, reason=body.reason)
    return {"slug": slug, "state": "closed"}


@router.get("/agreement")
def the_agreement() -> dict[str, str]:
    return {"version": agreement.VERSION, "text": agreement.TEXT, "digest": agreement.DIGEST}


@router.post("/projects/{slug}/agreement")
def accept(slug: str, body: Agreement, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    service.accept_agreement(platform.db, actor, slug, digest=body.digest)
    return {"slug": slug, "accepted": agreement.VERSION}


@router.post("/projects/{slug}/members", status_code=201)
def add_member(slug: str, body: MemberBody, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    service.add_member(platform.db, actor, slug, username=body.username)
    return {"slug": slug, "member": body.username}


@router.post("/projects/{slug}/members/{username}/remove")
def remove_member(
    slug: str, username: str, body: Remove, platform: PlatformHere, actor: CurrentActor
) -> dict[str, Any]:
    service.remove_member(platform.db, actor, slug, username=username, reason=body.reason)
    return {"slug": slug, "removed": username}


@router.get("/projects/{slug}/gate")
def project_gate(slug: str, platform: PlatformHere, actor: CurrentActor, username: str = "") -> list[dict[str, str]]:
    """Every obstacle between a person (by default oneself) and a workspace of the project."""
    with platform.db.read() as session:
        members = service.member_names(service.get(session, slug))
        rules.check_see(actor, members)
        obstacles = gate.obstacles(session, slug, username or actor.username, platform.db.clock())
        return [{"code": o.code, "message": o.message, "remedy": o.remedy} for o in obstacles]
