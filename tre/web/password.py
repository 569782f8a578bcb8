"""The page where a person changes their password.

Decides only that the new one was typed twice alike; whether it may be, and who asks, `tre.people.renewal` says.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from tre.errors import InvalidInput
from tre.people.renewal import change_password
from tre.web.form import Form, Submitted
from tre.web.page import NOTHING_SENT, Sent, answer, page
from tre.web.session import PREFIX, SignedIn, Visit, close_session

router = APIRouter()


@router.get("/me/password")
def password(visit: SignedIn) -> Response:
    return show(visit, NOTHING_SENT)


def show(visit: Visit, sent: Sent) -> Response:
    return page(visit.request, "password.html", sent=sent)


@router.post("/me/password")
def change(visit: SignedIn, form: Submitted) -> Response:
    """Ends this session with all others; the person signs in with the new password."""
    return answer(form, lambda: changed(visit, form), lambda: signed_out(visit), lambda sent: show(visit, sent))


def changed(visit: Visit, form: Form) -> None:
    new = form.secret("new")
    if new != form.secret("again"):
        raise InvalidInput("The two are not alike.", field="again", hint="Type the new password twice.")
    old, code = form.secret("password"), form.text("totp").replace(" ", "")
    change_password(visit.platform.db, visit.platform.sealer, visit.actor, password=old, totp=code, new=new)


def signed_out(visit: Visit) -> Response:
    response = RedirectResponse(f"{PREFIX}/sign-in", 303)
    close_session(visit.request, response)
    return response
