"""Proposing a project in two steps without script: choose datasets, then describe the project and choose columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session
from starlette.responses import Response

from tre.data import service as data
from tre.data.model import Dataset
from tre.errors import InvalidInput, NotFound, TreError
from tre.people.model import Role
from tre.people.rules import check_role
from tre.people.service import get_person
from tre.projects import service
from tre.projects.service import Proposal
from tre.web.form import EMPTY, Form, Problems, Submitted
from tre.web.page import NOTHING_SENT, Sent, page, see_other
from tre.web.proposal import OPERATORS, read_proposal
from tre.web.session import SignedIn, Visit

router = APIRouter()
MOST_DATASETS = 20


@router.get("/propose")
def propose_page(visit: SignedIn, dataset: Annotated[list[str] | None, Query()] = None) -> Response:
    """Without `dataset`, the choice of datasets; with it, the form for them."""
    check_role(visit.actor, Role.researcher)
    with visit.platform.db.read() as session:
        open_ones = [found for found in data.list_datasets(session) if found.withdrawn_at is None]
        if dataset is None:
            return page(visit.request, "propose_datasets.html", datasets=open_ones)
        chosen = [found for found in open_ones if found.slug in dataset][:MOST_DATASETS]
        if not chosen:
            none_chosen = InvalidInput("Choose at least one dataset.", field="dataset")
            return page(visit.request, "propose_datasets.html", sent=Sent(EMPTY, (none_chosen,)), datasets=open_ones)
        return show_form(visit, chosen, NOTHING_SENT)


def show_form(visit: Visit, chosen: Sequence[Dataset], sent: Sent) -> Response:
    return page(visit.request, "propose.html", sent=sent, datasets=chosen, operators=OPERATORS)


@router.post("/propose")
def propose(visit: SignedIn, form: Submitted) -> Response:
    problems = Problems()
    with visit.platform.db.read() as session:
        proposal = read_proposal(form, chosen_of(session, form), visit.now.date(), problems)
        check_known(session, proposal, problems)
    errors: tuple[TreError, ...] = tuple(problems.found) or proposed(visit, proposal)
    if not errors:
        return see_other("projects", proposal.slug, done="proposed")
    with visit.platform.db.read() as session:
        return show_form(visit, chosen_of(session, form), Sent(form, errors))


def chosen_of(session: Session, form: Form) -> list[Dataset]:
    return [data.get(session, slug) for slug in dict.fromkeys(form.all("dataset"))][:MOST_DATASETS]


def check_known(session: Session, proposal: Proposal, problems: Problems) -> None:
    """Whether the team and the columns exist; asked only once the rest is right, so that nothing is said twice."""
    for username in proposal.team:
        try:
            get_person(session, username)
        except NotFound as error:
            problems.found.append(InvalidInput(error.message, field="team"))
    if not problems.found:
        problems.attempt(lambda: data.check_asks(session, proposal.asks), None)


def proposed(visit: Visit, proposal: Proposal) -> tuple[TreError, ...]:
    try:
        service.propose(visit.platform.db, visit.actor, proposal)
    except TreError as error:
        return (error,)
    return ()
