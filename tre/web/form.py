"""A submitted form: read within bounds, proven to come from our own page, and kept so that it can be shown again.

Decides what counts as one of our forms. Leaves to services whether its content is acceptable; `Problems` only gathers
what they and their rules say, so that a person sees all of it at once.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, TypeVar
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from tre.errors import Forbidden, InvalidInput, LimitExceeded, TreError
from tre.web.session import SignedIn

MOST_BYTES = 512 * 1024
MOST_FIELDS = 5000
FORM_TYPE = "application/x-www-form-urlencoded"
T = TypeVar("T")


@dataclass(frozen=True)
class Form:
    """Field name → the values sent under it, in order."""

    values: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """The value, trimmed; empty when it was not sent. Raises `InvalidInput` when it was sent twice."""
        sent = self.values.get(name, ())
        if len(sent) > 1:
            raise InvalidInput("This was sent twice.", field=name)
        return sent[0].strip() if sent else ""

    def secret(self, name: str) -> str:
        """The value with its blanks: in a password they count. Raises `InvalidInput` when it was sent twice."""
        self.text(name)
        return self.shown(name)

    def all(self, name: str) -> tuple[str, ...]:
        return self.values.get(name, ())

    def day(self, name: str) -> date:
        """Raises `InvalidInput` unless it is a day in the spelling 2027-03-31."""
        try:
            return date.fromisoformat(self.text(name))
        except ValueError:
            raise InvalidInput("Give a date like 2027-03-31.", field=name) from None

    def whole(self, name: str) -> int:
        try:
            return int(self.text(name))
        except ValueError:
            raise InvalidInput("Give a whole number.", field=name) from None

    def shown(self, name: str) -> str:
        """For drawing the form again: never raises."""
        return next(iter(self.values.get(name, ())), "")


EMPTY = Form()


@dataclass
class Problems:
    """Everything that is wrong with a form, gathered in the order of its fields."""

    found: list[TreError] = field(default_factory=list)

    @contextmanager
    def gather(self) -> Iterator[None]:
        try:
            yield
        except InvalidInput as error:
            self.found.append(error)

    def attempt(self, question: Callable[[], T], otherwise: T) -> T:
        with self.gather():
            return question()
        return otherwise


def parse(body: bytes) -> Form:
    """Raises `InvalidInput` for anything that no browser would send for our forms."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except ValueError as error:
        raise InvalidInput("The form cannot be read.", field="form", hint="Send it again from its page.") from error
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value.replace("\r\n", "\n"))
    return Form({name: tuple(sent) for name, sent in values.items()})


async def read_form(request: Request) -> Form:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise InvalidInput("This is not a form of ours.", field="form", hint="Send it again from its page.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise LimitExceeded(
                f"A form holds at most {MOST_BYTES // 1024} KiB.", field="form", hint="Shorten the texts."
            )
    return parse(body)


async def submitted(visit: SignedIn) -> Form:
    """The dependency of every page that changes something. Raises `Forbidden` without the form token."""
    form = await read_form(visit.request)
    sent = form.values.get("csrf", ())
    if len(sent) != 1 or not hmac.compare_digest(sent[0].encode(), visit.csrf.encode()):
        raise Forbidden(
            "This form does not belong to your session.",
            hint="Go back, load the page again and send the form from there.",
            code="csrf",
        )
    return form


Submitted = Annotated[Form, Depends(submitted)]
