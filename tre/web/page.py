"""Drawing a page: the templates, what every one of them knows, and where to go after a form.

Everything is escaped by the templates' own rule; no page marks text of people or files as safe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from jinja2 import ChoiceLoader, Environment, PackageLoader, PrefixLoader
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tre.api.platform import platform_of
from tre.errors import InvalidInput, TreError
from tre.people.model import Role
from tre.web import times, words
from tre.web.form import EMPTY, Form
from tre.web.proposal import rows_in_words
from tre.web.session import PREFIX, Visit

NAVIGATION: tuple[tuple[str, str, tuple[Role, ...]], ...] = (
    ("Home", "", ()),
    ("Projects", "projects", ()),
    ("Datasets", "datasets", ()),
    ("Requests", "requests", ()),
    ("Review", "review", (Role.checker,)),
    ("Decisions", "decisions", (Role.administrator, Role.custodian)),
)


@dataclass(frozen=True)
class Sent:
    """What was sent to this page and what was wrong with it; nothing of both when it is only looked at."""

    form: Form = EMPTY
    errors: tuple[TreError, ...] = ()

    @property
    def status(self) -> int:
        return self.errors[0].http_status if self.errors else 200

    def value(self, name: str, otherwise: str = "") -> str:
        return self.form.shown(name) if name in self.form.values else otherwise

    def error(self, name: str) -> dict[str, str] | None:
        """The error beside a field, as the components take it."""
        found = next((error for error in self.errors if error.field == name), None)
        return {"text": found.message} if found else None

    def summary(self) -> list[dict[str, str]]:
        return [
            {
                "text": words.about(error.field, error.message),
                "href": f"#{error.field}" if error.field else "",
                "hint": "" if error.hint == InvalidInput.default_hint else error.hint,
            }
            for error in self.errors
        ]


NOTHING_SENT = Sent()


def link(*parts: object, **question: object) -> str:
    """The address of one of our pages; every part is one segment, whatever is in it."""
    path = "/".join((PREFIX, *(quote(str(part), safe="") for part in parts if part != "")))
    kept = {name: value for name, value in question.items() if value not in ("", None)}
    return f"{path if parts else PREFIX + '/'}{'?' + urlencode(kept) if kept else ''}"


def make_environment() -> Environment:
    components = PrefixLoader({"govuk_frontend_jinja": PackageLoader("govuk_frontend_jinja")})
    templates = Environment(
        loader=ChoiceLoader([PackageLoader("tre.web"), components]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.filters.update(
        day=times.day,
        moment=times.moment,
        word=words.name_of,
        tag=words.tag,
        item=item,
        radio=radio,
        table_words=words.table_words,
    )
    templates.globals.update(
        link=link,
        counted=times.counted,
        due_words=times.due_words,
        rows_in_words=rows_in_words,
        EVIDENCE=words.EVIDENCE,
        TURNS=words.TURNS,
    )
    return templates


def item(word: str) -> dict[str, str]:
    """One choice of a select component."""
    return {"value": word, "text": words.name_of(word)}


def radio(choice: tuple[str, str, str]) -> dict[str, Any]:
    """One choice of a radios component: value, text, hint."""
    value, text, hint = choice
    return {"value": value, "text": text, "hint": {"text": hint} if hint else None}


TEMPLATES = make_environment()


def page(
    request: Request, template: str, *, sent: Sent = NOTHING_SENT, status: int = 0, **context: Any
) -> HTMLResponse:
    """The page as an answer. A page that shows a refused form has the status of its first error."""
    visit: Visit | None = getattr(request.state, "visit", None)
    now = platform_of(request).db.clock()
    text = TEMPLATES.get_template(template).render(
        visit=visit,
        navigation=navigation(visit, request.url.path),
        sent=sent,
        done=words.DONE.get(request.query_params.get("done", "")) if not sent.errors else None,
        ago=lambda value: times.relative(value, now),
        lasting=lambda value: times.lasting(value, now),
        now=now,
        **context,
    )
    return HTMLResponse(text, status or sent.status)


def navigation(visit: Visit | None, path: str) -> list[dict[str, Any]]:
    """Where this person can go; the section of this page is marked."""
    if visit is None:
        return []
    return [
        {"text": text, "href": link(section), "active": section_of(path) == section}
        for text, section, roles in NAVIGATION
        if not roles or visit.has(*roles)
    ]


def section_of(path: str) -> str:
    return path.removeprefix(PREFIX).strip("/").split("/")[0]


def see_other(*parts: object, done: str = "", anchor: str = "") -> Response:
    """After a form: look at the result with a new request, so that a reload sends nothing twice."""
    return RedirectResponse(link(*parts, done=done) + (f"#{anchor}" if anchor else ""), 303)


def answer(
    form: Form, do: Callable[[], object], done: Callable[[], Response], again: Callable[[Sent], Response]
) -> Response:
    """Calls a service; shows the page again with the form and the error when it refuses."""
    try:
        do()
    except TreError as error:
        return again(Sent(form, (error,)))
    return done()


def may(check: Callable[..., object], *arguments: Any, **options: Any) -> bool:
    """Whether a rule would let this pass: for drawing a button. The service asks the rule again."""
    try:
        check(*arguments, **options)
    except TreError:
        return False
    return True
