"""The data use register: what the data is used for, readable by everybody without an account.

Holds what HDR UK's data use register standard asks for as a minimum, of approved projects and of those that were
(suspended, closed). Shows organisations, never people.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from tre.api.platform import platform_of
from tre.data import service as data
from tre.people.service import list_organisations
from tre.projects import service
from tre.projects.model import Project, ProjectState
from tre.web.page import link, page
from tre.web.paging import Number, links, part_of
from tre.web.session import Anybody

router = APIRouter()
PUBLIC = (ProjectState.approved, ProjectState.suspended, ProjectState.closed)


@dataclass(frozen=True)
class Use:
    """One project as the public reads it."""

    slug: str
    title: str
    state: str
    organisations: list[str]
    purpose: str
    benefit: str
    legal_basis: str
    datasets: list[str]
    approved_on: date | None
    ends_on: date


@router.get("/register")
def register(request: Request, visit: Anybody, number: Number = 1) -> Response:
    with platform_of(request).db.read() as session:
        found = [project for state in PUBLIC for project in service.list_projects(session, state=state)]
        part = part_of(sorted(found, key=lambda project: project.title.casefold()), number)
        uses = [use_of(session, project) for project in part.rows]
        return page(request, "register.html", uses=uses, links=links(part, link("register")))


def use_of(session: Session, project: Project) -> Use:
    names = {organisation.slug: organisation.name for organisation in list_organisations(session)}
    teams = {member.person.organisation_slug for member in project.members}
    datasets = [(ask.dataset, data.find(session, ask.dataset)) for ask in project.asks]
    approved = [decision.decided_at for decision in project.decisions if decision.decision == ProjectState.approved]
    return Use(
        slug=project.slug,
        title=project.title,
        state=project.state,
        organisations=sorted(names.get(slug, slug) for slug in teams),
        purpose=project.purpose,
        benefit=project.public_benefit,
        legal_basis=project.legal_basis,
        datasets=[
            f"{found.title} ({names.get(found.organisation_slug, found.organisation_slug)})" if found else slug
            for slug, found in datasets
        ],
        approved_on=approved[0].date() if approved else None,
        ends_on=project.end_date,
    )
