"""What administrators do to a project: decide on the proposal, suspend, resume, close, add and remove members.

Each is a page of its own with one form, so that what is sent is what was read.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter
from sqlalchemy.orm import Session
from starlette.responses import Response

from tre.api.inbox import Task, failed_extracts, proposals, undecided_datasets, unsettled
from tre.audit import Actor
from tre.errors import InvalidInput
from tre.outputs.access import looking
from tre.people.model import Role
from tre.people.rules import check_role, has_role
from tre.projects import rules, service
from tre.projects.model import RefusalCode
from tre.store import Database
from tre.web.acts import Act, Words, ask_reason, known_act
from tre.web.form import Form, Submitted
from tre.web.page import NOTHING_SENT, Sent, answer, link, page, see_other
from tre.web.projects import seen
from tre.web.session import SignedIn, Visit

router = APIRouter()


ACTS = {
    "suspend": Act(
        "Suspend the project",
        "Running workspaces end within seconds; their homes stay. The project can be resumed.",
        "Suspend the project",
        service.suspend,
        "suspended",
    ),
    "resume": Act(
        "Resume the project",
        "Workspaces can be started again as far as the rest of the gate allows it.",
        "Resume the project",
        service.approve,
        "approved",
    ),
    "close": Act(
        "Close the project for ever",
        "Workspaces and grants end; its extracts, its database and the key of its pseudonyms are destroyed. A closed"
        " project is never opened again.",
        "Close the project for ever",
        service.close,
        "closed",
    ),
}


Waiting = Callable[[Session, Actor, datetime], list[Task]]
WAITING: tuple[tuple[str, str, Waiting], ...] = (
    (
        "Proposed projects",
        "Weigh the risk of sharing and the cost of withholding.",
        lambda session, actor, now: proposals(session, actor),
    ),
    (
        "Data that projects ask for",
        "Grant what the purpose needs, or refuse with what would change it.",
        lambda session, actor, now: undecided_datasets(session, actor),
    ),
    (
        "Extracts that were not built",
        "The project's page says why. Its workspaces stay closed until then.",
        failed_extracts,
    ),
    ("Projects to bring to an end", "Their data and keys are kept for as long as they are open.", unsettled),
)


@router.get("/decisions")
def decisions(visit: SignedIn) -> Response:
    """Everything that waits for a decision of this administrator or custodian."""
    check_role(visit.actor, Role.administrator, Role.custodian)
    with visit.platform.db.read() as session:
        found = [(heading, hint, waiting(session, visit.actor, visit.now)) for heading, hint, waiting in WAITING]
        return page(visit.request, "decisions.html", groups=[group for group in found if group[2]])


@router.get("/projects/{slug}/decide")
def decide_page(slug: str, visit: SignedIn) -> Response:
    return show_decide(visit, slug, NOTHING_SENT)


def show_decide(visit: Visit, slug: str, sent: Sent) -> Response:
    with looking(visit.platform.db, visit.actor, "project.see", f"project:{slug}") as session:
        found = seen(session, visit, slug)
        rules.check_decide(visit.actor, found, service.everybody_ever(found))
        return page(visit.request, "decide.html", sent=sent, project=found, codes=list(RefusalCode))


@router.post("/projects/{slug}/decide")
def decide(slug: str, visit: SignedIn, form: Submitted) -> Response:
    return answer(
        form,
        lambda: decided(visit.platform.db, visit.actor, slug, form),
        lambda: see_other("projects", slug, done="approved" if form.text("decision") == "approve" else "refused"),
        lambda sent: show_decide(visit, slug, sent),
    )


def decided(db: Database, actor: Actor, slug: str, form: Form) -> None:
    if form.text("decision") == "approve":
        service.approve(db, actor, slug, reason=form.text("reason"))
    elif form.text("decision") == "refuse":
        code = refusal_code(form)
        service.refuse(db, actor, slug, code=code, reason=form.text("reason"), would_change=form.text("would_change"))
    else:
        raise InvalidInput("Choose whether to approve or to refuse.", field="decision")


def refusal_code(form: Form) -> RefusalCode:
    try:
        return RefusalCode(form.text("code"))
    except ValueError:
        raise InvalidInput("A refusal carries one of the codes.", field="code") from None


@router.get("/projects/{slug}/members")
def members_page(slug: str, visit: SignedIn) -> Response:
    return show_members(visit, slug, NOTHING_SENT)


def show_members(visit: Visit, slug: str, sent: Sent) -> Response:
    with looking(visit.platform.db, visit.actor, "project.see", f"project:{slug}") as session:
        found = seen(session, visit, slug)
        can_change = has_role(visit.actor, Role.administrator)
        return page(visit.request, "members.html", sent=sent, project=found, can_change=can_change)


@router.post("/projects/{slug}/members")
def add_member(slug: str, visit: SignedIn, form: Submitted) -> Response:
    return answer(
        form,
        lambda: service.add_member(visit.platform.db, visit.actor, slug, username=form.text("username")),
        lambda: see_other("projects", slug, "members", done="member-added"),
        lambda sent: show_members(visit, slug, sent),
    )


@router.post("/projects/{slug}/members/{username}/remove")
def remove_member(slug: str, username: str, visit: SignedIn, form: Submitted) -> Response:
    return answer(
        form,
        lambda: service.remove_member(
            visit.platform.db, visit.actor, slug, username=username, reason=form.text("reason")
        ),
        lambda: see_other("projects", slug, done="member-removed"),
        lambda sent: show_remove(visit, slug, username, sent),
    )


@router.get("/projects/{slug}/members/{username}/remove")
def remove_page(slug: str, username: str, visit: SignedIn) -> Response:
    return show_remove(visit, slug, username, NOTHING_SENT)


def show_remove(visit: Visit, slug: str, username: str, sent: Sent) -> Response:
    with looking(visit.platform.db, visit.actor, "project.see", f"project:{slug}") as session:
        found = seen(session, visit, slug)
        act = Words(
            f"Remove {username} from the team",
            "Their workspace in this project ends within seconds. Their home and their requests stay.",
            f"Remove {username}",
        )
        back = link("projects", slug)
        return ask_reason(visit.request, act, sent, thing=found.title, detail=slug, back=back)


# Last: it would take the other pages below a project for steps of its own.
@router.get("/projects/{slug}/{step}")
def step_page(slug: str, step: str, visit: SignedIn) -> Response:
    return show_step(visit, slug, step, NOTHING_SENT)


def show_step(visit: Visit, slug: str, name: str, sent: Sent) -> Response:
    act = known_act(ACTS, name)
    with looking(visit.platform.db, visit.actor, "project.see", f"project:{slug}") as session:
        found = seen(session, visit, slug)
        rules.check_decide(visit.actor, found, service.everybody_ever(found))
        back = link("projects", slug)
        return ask_reason(visit.request, act, sent, thing=found.title, detail=slug, back=back)


@router.post("/projects/{slug}/{step}")
def take_step(slug: str, step: str, visit: SignedIn, form: Submitted) -> Response:
    known = known_act(ACTS, step)
    return answer(
        form,
        lambda: known.do(visit.platform.db, visit.actor, slug, reason=form.text("reason")),
        lambda: see_other("projects", slug, done=known.done),
        lambda sent: show_step(visit, slug, step, sent),
    )
