"""Projects: the list, one project with its decisions and its gate, the agreement, and the decisions of administrators.

Decisions of custodians on their own data are in `grants`, the proposal's form in `propose`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from sqlalchemy.orm import Session
from starlette.responses import Response

from tre.audit import Actor
from tre.data import grants
from tre.data import rules as data_rules
from tre.data import service as data
from tre.data.model import Dataset, Extract, ExtractState, Grant
from tre.outputs.access import looking
from tre.people.model import Role
from tre.people.rules import has_role
from tre.people.service import custodian_of
from tre.projects import agreement, rules, service
from tre.projects.model import DatasetAsk, Project, ProjectState
from tre.web.form import Submitted
from tre.web.home import places
from tre.web.page import NOTHING_SENT, Sent, answer, link, may, page, see_other
from tre.web.paging import Number, links, part_of
from tre.web.session import SignedIn, Visit

router = APIRouter()


@dataclass(frozen=True)
class Asked:
    """One dataset of a proposal: what was asked, the newest decision that this person may see, and its extract."""

    ask: DatasetAsk
    dataset: Dataset | None
    grant: Grant | None
    extract: Extract | None
    stands: bool = False
    can_decide: bool = False
    can_end: bool = False

    @property
    def can_build(self) -> bool:
        return self.can_end and self.extract is not None and self.extract.state == ExtractState.failed

    @property
    def status(self) -> str:
        if self.grant is None:
            return "undecided"
        return "ended" if self.grant.decision == "granted" and not self.stands else self.grant.decision


def concerned(actor: Actor) -> bool:
    """Custodians and output checkers read proposals: they decide on data or must judge context."""
    return has_role(actor, Role.custodian, Role.checker)


def seen(session: Session, visit: Visit, slug: str) -> Project:
    project = service.get(session, slug)
    rules.check_see(visit.actor, service.member_names(project), concerned=concerned(visit.actor))
    return project


@router.get("/projects")
def projects(visit: SignedIn, state: str = "", number: Number = 1, mine: bool = False) -> Response:
    everything = concerned(visit.actor) or visit.has(Role.administrator, Role.auditor)
    with visit.platform.db.read() as session:
        member = visit.actor.username if mine or not everything else ""
        known = state if state in set(ProjectState) else ""
        part = part_of(service.list_projects(session, state=known, member=member), number)
        return page(
            visit.request,
            "projects.html",
            part=part,
            state=known,
            mine=mine,
            states=list(ProjectState),
            everything=everything,
            links=links(part, link("projects"), state=known, mine="true" if mine else ""),
        )


@router.get("/projects/{slug}")
def project(slug: str, visit: SignedIn) -> Response:
    return show_project(visit, slug, NOTHING_SENT)


def show_project(visit: Visit, slug: str, sent: Sent) -> Response:
    with looking(visit.platform.db, visit.actor, "project.see", f"project:{slug}") as session:
        found = seen(session, visit, slug)
        member = service.find_member(found, visit.actor.username)
        return page(
            visit.request,
            "project.html",
            sent=sent,
            project=found,
            asked=[asked(session, visit, found, ask) for ask in found.asks],
            place=places(session, visit, [found])[0] if member else None,
            agreed=member is not None and member.agreement == agreement.DIGEST,
            member=member,
            buttons=buttons(visit.actor, found),
        )


def asked(session: Session, visit: Visit, project: Project, ask: DatasetAsk) -> Asked:
    dataset = data.find(session, ask.dataset)
    if dataset is None:
        return Asked(ask, None, None, None)
    visible = grants.list_grants(session, visit.actor, project=project.slug, dataset=ask.dataset)
    grant = next(iter(visible), None)
    stands = data_rules.stands(grant, visit.now.date())
    mine = custodian_of(session, visit.actor.username)
    can_decide = not stands and may(
        data_rules.check_decide, visit.actor, dataset.organisation_slug, mine, service.everybody_ever(project)
    )
    can_decide = can_decide and may(data_rules.check_decidable, project, visit.now.date())
    extract = grants.live_extract(session, grant.id) if grant else None
    can_end = stands and may(data_rules.check_end, visit.actor, dataset.organisation_slug, mine)
    return Asked(ask, dataset, grant, extract, stands, can_decide, can_end)


def buttons(actor: Actor, project: Project) -> list[dict[str, str]]:
    """What this person may do to the project as it stands: text and page."""
    if not may(rules.check_decide, actor, project, service.everybody_ever(project)):
        return []
    possible = (
        (ProjectState.refused, "Decide on this proposal", "decide"),
        (ProjectState.suspended, "Suspend", "suspend"),
        (ProjectState.closed, "Close for ever", "close"),
    )
    found = [
        {"text": text, "href": link("projects", project.slug, action)}
        for target, text, action in possible
        if may(rules.check_transition, project, target)
    ]
    if project.state == ProjectState.suspended:
        found.insert(0, {"text": "Resume", "href": link("projects", project.slug, "resume")})
    return found


@router.get("/projects/{slug}/agreement")
def agreement_page(slug: str, visit: SignedIn) -> Response:
    return show_agreement(visit, slug, NOTHING_SENT)


def show_agreement(visit: Visit, slug: str, sent: Sent) -> Response:
    with looking(visit.platform.db, visit.actor, "project.see", f"project:{slug}") as session:
        found = seen(session, visit, slug)
        member = service.find_member(found, visit.actor.username)
        context: dict[str, Any] = {"project": found, "member": member, "agreement": agreement}
        return page(visit.request, "agreement.html", sent=sent, **context)


@router.post("/projects/{slug}/agreement")
def accept(slug: str, visit: SignedIn, form: Submitted) -> Response:
    return answer(
        form,
        lambda: service.accept_agreement(visit.platform.db, visit.actor, slug, digest=form.text("digest")),
        lambda: see_other("projects", slug, done="agreed"),
        lambda sent: show_agreement(visit, slug, sent),
    )
