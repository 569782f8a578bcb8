"""The home page: what waits for me, my projects, my workspaces, my requests; and who I am here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from tre.api.inbox import tasks
from tre.outputs.lists import Filters, list_requests
from tre.people.rules import Obstacle
from tre.people.service import conflicts_of, declare_conflict, get_person
from tre.projects import service as projects
from tre.projects.model import Project, ProjectState
from tre.web.form import Submitted
from tre.web.page import NOTHING_SENT, Sent, answer, page, see_other
from tre.web.session import Anybody, SignedIn, Visit
from tre.workspaces import gate
from tre.workspaces import service as workspaces
from tre.workspaces.model import Workspace, WorkspaceState

router = APIRouter()
LATEST = 5


@dataclass(frozen=True)
class Place:
    """One of my projects and its workspace. `obstacles` keep it closed, `live` is the one that runs."""

    project: Project
    obstacles: list[Obstacle]
    live: Workspace | None
    href: str

    @property
    def running(self) -> bool:
        return self.live is not None and self.live.state == WorkspaceState.running


@router.get("/")
def home(request: Request, visit: Anybody) -> Response:
    if visit is None:
        return page(request, "landing.html")
    with visit.platform.db.read() as session:
        return page(request, "home.html", tasks=tasks(session, visit.actor, visit.now), **mine(session, visit))


def mine(session: Session, visit: Visit) -> dict[str, Any]:
    found = projects.list_projects(session, member=visit.actor.username)
    filters = Filters(author=visit.actor.username, limit=LATEST)
    return {
        "places": places(session, visit, found),
        "requests": list_requests(session, visit.actor, filters, now=visit.now).rows,
    }


def places(session: Session, visit: Visit, found: Sequence[Project]) -> list[Place]:
    """In a number of queries that does not grow with them."""
    username = visit.actor.username
    obstacles = gate.obstacles_of(session, [(project.slug, username) for project in found], visit.now)
    live = {each.project_slug: each for each in workspaces.list_workspaces(session, username=username, live=True)}
    return [_place(username, each, obstacles[each.slug, username], live.get(each.slug)) for each in found]


def _place(username: str, project: Project, obstacles: list[Obstacle], live: Workspace | None) -> Place:
    """The workspace is opened on the Hub's page, so that a person meets one spawn page."""
    if project.state in (ProjectState.refused, ProjectState.closed):
        obstacles = []
    runs = live is not None and live.state == WorkspaceState.running
    href = f"/user/{username}/{project.slug}/lab" if runs else f"/hub/spawn/{username}/{project.slug}"
    return Place(project, obstacles, live, href)


@router.get("/me")
def me(visit: SignedIn) -> Response:
    return show_me(visit, NOTHING_SENT)


def show_me(visit: Visit, sent: Sent) -> Response:
    with visit.platform.db.read() as session:
        person = get_person(session, visit.actor.username)
        interests = sorted(conflicts_of(session, person.username))
        return page(visit.request, "me.html", sent=sent, person=person, interests=interests, today=visit.now.date())


@router.post("/me")
def declare(visit: SignedIn, form: Submitted) -> Response:
    """Declares a conflict of interest."""
    return answer(
        form,
        lambda: declare_conflict(
            visit.platform.db, visit.actor, object=form.text("object"), statement=form.text("statement")
        ),
        lambda: see_other("me", done="declared"),
        lambda sent: show_me(visit, sent),
    )
