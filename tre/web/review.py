"""What people do to a release request: vote, comment, decide, release, withdraw, retry, recall."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from tre.errors import Forbidden, InvalidInput, TreError
from tre.outputs import release, review, service
from tre.outputs.model import Audience, Choice
from tre.outputs.review import Ballot, Verdict
from tre.web.acts import Act, ask_reason, known_act
from tre.web.form import Form, Problems, Submitted
from tre.web.page import NOTHING_SENT, Sent, answer, link, page, see_other
from tre.web.requests import show, view_of
from tre.web.session import SignedIn, Visit

router = APIRouter()


ACTS = {
    "withdraw": Act(
        "Withdraw the request",
        "It ends for ever. What was submitted stays on record; a new request may follow.",
        "Withdraw the request",
        service.withdraw,
        "withdrawn",
    ),
    "recall": Act(
        "Recall the release",
        "For ever: nobody downloads it again, and the record says why. What was downloaded already is not undone.",
        "Recall the release",
        release.recall,
        "recalled",
    ),
}


@router.post("/requests/{request_id}/vote")
def vote(request_id: int, visit: SignedIn, form: Submitted) -> Response:
    problems = Problems()
    version = problems.attempt(lambda: form.whole("version"), 0)
    ballots = read_ballots(form, problems)
    errors: tuple[TreError, ...] = tuple(problems.found)
    if not errors:
        try:
            review.vote(visit.platform.db, visit.actor, request_id, version=version, ballots=ballots)
        except TreError as error:
            errors = (error,)
    return show(visit, request_id, Sent(form, errors)) if errors else see_other("requests", request_id, done="voted")


def read_ballots(form: Form, problems: Problems) -> list[Ballot]:
    """One ballot for each file with a choice. A file without one stays without a vote; none at all is a mistake."""
    found = []
    for name in form.values:
        number = name.removeprefix("choice-")
        if name != number and number.isdecimal():
            ballot = problems.attempt(lambda n=number: read_ballot(form, n), None)  # type: ignore[misc]
            found += [ballot] if ballot else []
    if not found and not problems.found:
        problems.found.append(InvalidInput("Vote on at least one file.", field="files"))
    return found


def read_ballot(form: Form, number: str) -> Ballot:
    try:
        choice = Choice(form.text(f"choice-{number}"))
    except ValueError:
        raise InvalidInput("Choose one of the three.", field=f"choice-{number}") from None
    comment = form.text(f"comment-{number}")
    if choice is not Choice.approve and not comment:
        raise InvalidInput(f"File {number}: say what must change, or why it is rejected.", field=f"comment-{number}")
    return Ballot(int(number), choice, comment)


@router.post("/requests/{request_id}/comment")
def comment(request_id: int, visit: SignedIn, form: Submitted) -> Response:
    def do() -> None:
        audience = form.text("audience") or Audience.everybody
        service.comment(visit.platform.db, visit.actor, request_id, text=form.text("text"), audience=audience)

    return answer(
        form,
        do,
        lambda: see_other("requests", request_id, done="commented", anchor="comments"),
        lambda sent: show(visit, request_id, sent),
    )


@router.get("/requests/{request_id}/decide")
def decide_page(request_id: int, visit: SignedIn) -> Response:
    return show_decide(visit, request_id, NOTHING_SENT)


def show_decide(visit: Visit, request_id: int, sent: Sent) -> Response:
    view = view_of(visit, request_id)
    if "decide" not in view.actions and not sent.errors:
        raise Forbidden(
            "You do not decide on this request now.", hint="Those who reviewed it decide, once all votes are in."
        )
    return page(visit.request, "verdict.html", sent=sent, view=view)


@router.post("/requests/{request_id}/decide")
def decide(request_id: int, visit: SignedIn, form: Submitted) -> Response:
    def do() -> None:
        try:
            verdict = Verdict(form.text("decision"))
        except ValueError:
            raise InvalidInput("Choose one.", field="decision") from None
        version, reason = form.whole("version"), form.text("reason")
        review.decide(visit.platform.db, visit.actor, request_id, version=version, verdict=verdict, reason=reason)

    return answer(
        form,
        do,
        lambda: see_other("requests", request_id, done="decided"),
        lambda sent: show_decide(visit, request_id, sent),
    )


@router.post("/requests/{request_id}/release")
def start_release(request_id: int, visit: SignedIn, form: Submitted) -> Response:
    return answer(
        form,
        lambda: release.release(visit.platform.db, visit.actor, request_id, version=form.whole("version")),
        lambda: see_other("requests", request_id, done="releasing"),
        lambda sent: show(visit, request_id, sent),
    )


@router.post("/requests/{request_id}/retry")
def retry(request_id: int, visit: SignedIn, form: Submitted) -> Response:
    return answer(
        form,
        lambda: service.retry(visit.platform.db, visit.actor, request_id),
        lambda: see_other("requests", request_id, done="retried"),
        lambda sent: show(visit, request_id, sent),
    )


@router.get("/requests/{request_id}/{act}")
def act_page(request_id: int, act: str, visit: SignedIn) -> Response:
    return show_act(visit, request_id, act, NOTHING_SENT)


def show_act(visit: Visit, request_id: int, name: str, sent: Sent) -> Response:
    act, view = known_act(ACTS, name), view_of(visit, request_id)
    if name not in view.actions and not sent.errors:
        raise Forbidden("You cannot do this to the request now.", hint="Its page shows what is possible.")
    detail, back = f"request {view.id}, version {view.version}", link("requests", view.id)
    return ask_reason(visit.request, act, sent, thing=view.title, detail=detail, back=back)


@router.post("/requests/{request_id}/{act}")
def take_act(request_id: int, act: str, visit: SignedIn, form: Submitted) -> Response:
    known = known_act(ACTS, act)
    return answer(
        form,
        lambda: known.do(visit.platform.db, visit.actor, request_id, reason=form.text("reason")),
        lambda: see_other("requests", request_id, done=known.done),
        lambda sent: show_act(visit, request_id, act, sent),
    )
