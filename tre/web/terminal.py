"""Where a signed-in person lets a terminal in: `tre login --browser` shows a code, which is typed here.

No address carries the code: whoever sends a link cannot have it filled in.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from tre.people import terminal
from tre.web.form import Submitted
from tre.web.page import NOTHING_SENT, Sent, answer, page, see_other
from tre.web.session import SignedIn, Visit

router = APIRouter()


@router.get("/terminal")
def terminal_page(visit: SignedIn) -> Response:
    return show_terminal(visit, NOTHING_SENT)


def show_terminal(visit: Visit, sent: Sent) -> Response:
    return page(visit.request, "terminal.html", sent=sent)


@router.post("/terminal")
def let_in(visit: SignedIn, form: Submitted) -> Response:
    return answer(
        form,
        lambda: terminal.approve(visit.platform.db, visit.actor, token=visit.token, code=form.text("code")),
        lambda: see_other(done="terminal"),
        lambda sent: show_terminal(visit, sent),
    )
