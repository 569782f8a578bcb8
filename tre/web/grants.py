"""What custodians decide about their own data: grant or refuse a dataset to a project, and end a grant."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from tre.audit import Actor
from tre.data import extracts, grants
from tre.data import rules as data_rules
from tre.data import service as data
from tre.data.grants import Terms
from tre.data.model import Delivery
from tre.errors import InvalidInput
from tre.outputs.access import looking
from tre.people.service import custodian_of
from tre.projects import service
from tre.projects.model import RefusalCode
from tre.store import Database
from tre.web.acts import Words, ask_reason
from tre.web.decide import refusal_code
from tre.web.form import Form, Submitted
from tre.web.page import NOTHING_SENT, Sent, answer, link, page, see_other
from tre.web.projects import asked, seen, show_project
from tre.web.session import SignedIn, Visit

router = APIRouter()


@router.get("/projects/{slug}/datasets/{dataset}")
def grant_page(slug: str, dataset: str, visit: SignedIn) -> Response:
    return show_grant(visit, slug, dataset, NOTHING_SENT)


def show_grant(visit: Visit, slug: str, dataset: str, sent: Sent) -> Response:
    with looking(visit.platform.db, visit.actor, "project.see", f"project:{slug}") as session:
        project = seen(session, visit, slug)
        found = data.get(session, dataset)
        mine = custodian_of(session, visit.actor.username)
        data_rules.check_decide(visit.actor, found.organisation_slug, mine, service.everybody_ever(project))
        ask = data_rules.check_asked(project, dataset)
        context: dict[str, Any] = {"project": project, "dataset": found, "ask": ask, "codes": list(RefusalCode)}
        variables = [variable for variable in found.variables if variable.name in ask.columns]
        now = asked(session, visit, project, ask)
        return page(
            visit.request, "grant.html", sent=sent, asked=now, variables=variables, deliveries=list(Delivery), **context
        )


@router.post("/projects/{slug}/datasets/{dataset}")
def decide(slug: str, dataset: str, visit: SignedIn, form: Submitted) -> Response:
    return answer(
        form,
        lambda: decided(visit.platform.db, visit.actor, slug, dataset, form),
        lambda: see_other("projects", slug, done="granted" if form.text("decision") == "grant" else "grant-refused"),
        lambda sent: show_grant(visit, slug, dataset, sent),
    )


def decided(db: Database, actor: Actor, slug: str, dataset: str, form: Form) -> None:
    reason = form.text("reason")
    if form.text("decision") == "grant":
        grants.give(db, actor, project=slug, dataset=dataset, terms=terms(form), reason=reason)
    elif form.text("decision") == "refuse":
        code, would_change = refusal_code(form), form.text("would_change")
        grants.refuse(db, actor, project=slug, dataset=dataset, code=code, reason=reason, would_change=would_change)
    else:
        raise InvalidInput("Choose whether to grant or to refuse.", field="decision")


def terms(form: Form) -> Terms:
    """At least one column must be chosen here: to the service none would mean all."""
    columns = form.all("columns")
    if not columns:
        raise InvalidInput("Choose at least one column, or refuse.", field="columns")
    try:
        delivery = Delivery(form.text("delivery"))
    except ValueError:
        raise InvalidInput("Choose how the extract is delivered.", field="delivery") from None
    return Terms(form.day("until"), delivery, columns, form.all("pseudonymised"))


@router.get("/grants/{grant_id}/end")
def end_page(grant_id: int, visit: SignedIn) -> Response:
    return show_end(visit, grant_id, NOTHING_SENT)


def show_end(visit: Visit, grant_id: int, sent: Sent) -> Response:
    with looking(visit.platform.db, visit.actor, "grant.see", f"grant:{grant_id}") as session:
        grant = grants.get(session, grant_id)
        mine = custodian_of(session, visit.actor.username)
        data_rules.check_end(visit.actor, grant.dataset.organisation_slug, mine)
        act = Words(
            f"End the grant of {grant.dataset.title}",
            "Workspaces that rest on it end within seconds, and its extract is removed.",
            "End the grant",
        )
        project = grant.project
        back = link("projects", project.slug)
        return ask_reason(visit.request, act, sent, thing=project.title, detail=project.slug, back=back)


@router.post("/grants/{grant_id}/build")
def build(grant_id: int, visit: SignedIn, form: Submitted) -> Response:
    """A failed extract once more, from the project's page."""
    with looking(visit.platform.db, visit.actor, "grant.see", f"grant:{grant_id}") as session:
        slug = grants.seen(session, visit.actor, grant_id).project.slug
    return answer(
        form,
        lambda: extracts.build_again(visit.platform.db, visit.actor, grant_id),
        lambda: see_other("projects", slug, done="queued"),
        lambda sent: show_project(visit, slug, sent),
    )


@router.post("/grants/{grant_id}/end")
def end(grant_id: int, visit: SignedIn, form: Submitted) -> Response:
    def done() -> Response:
        with visit.platform.db.read() as session:
            return see_other("projects", grants.get(session, grant_id).project.slug, done="grant-ended")

    return answer(
        form,
        lambda: grants.end(visit.platform.db, visit.actor, grant_id, reason=form.text("reason")),
        done,
        lambda sent: show_end(visit, grant_id, sent),
    )
