"""The one error tree.

Decides how every failure shows itself: its stable code, the exit code of the command line, the status over HTTP and
the hint that says what to do next. Leaves to others what went wrong (the message) and writing it down (a `Refusal` is
audited by `tre.audit.work`).

    TreError
    ├── InvalidInput            the request is malformed; names the field
    ├── NotFound                no such thing, or not for this person to know of
    ├── Conflict                the state of affairs does not allow it (now)
    ├── Refusal                 a rule said no; always audited
    │   ├── Unauthenticated     who are you?
    │   ├── Forbidden           not you
    │   ├── Hidden              not for you to know of; looks like NotFound
    │   ├── GateClosed          a precondition of the project or person does not hold
    │   └── LimitExceeded       too large, too many, too often
    ├── Unavailable             a part that we need does not answer; trying again may help
    └── Broken                  evidence that something was altered or lost; never retried by itself
"""

from __future__ import annotations

from typing import Any, ClassVar


class TreError(Exception):
    """A failure with a message for people. `field` names the offending input, `hint` the remedy."""

    code: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = 70
    http_status: ClassVar[int] = 500
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str = "", field: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint
        self.field = field
        self.error_code = code or self.code

    @property
    def kind(self) -> str:
        """The code of the class of this tree that it belongs to: what a machine acts on when it does not know
        `code`.
        """
        ours = (known for known in type(self).__mro__ if issubclass(known, TreError))
        return next(known.code for known in ours if known.__module__ == __name__)

    def as_dict(self) -> dict[str, Any]:
        """The error as every machine-readable edge prints it. `kind` is there where `code` is a finer one."""
        kind = self.kind if self.kind != self.error_code else ""
        body = {"code": self.error_code, "kind": kind, "message": self.message, "hint": self.hint, "field": self.field}
        return {"error": {key: value for key, value in body.items() if value}}


class InvalidInput(TreError):
    code, exit_code, http_status = "invalid", 2, 422
    default_hint = "Correct the named field and try again."


class NotFound(TreError):
    code, exit_code, http_status = "not_found", 3, 404
    default_hint = "Check the name; you may also lack the right to see it."


class Conflict(TreError):
    code, exit_code, http_status = "conflict", 4, 409


class Refusal(TreError):
    """A rule said no. Every refusal is written to the audit record, once: `audited` says that it is."""

    code, exit_code, http_status = "refused", 5, 403
    audited = False


class Unauthenticated(Refusal):
    code, exit_code, http_status = "unauthenticated", 6, 401
    default_hint = "Sign in again: `tre login`, or the sign-in page."


class Forbidden(Refusal):
    code = "forbidden"


class Hidden(Refusal):
    """There is such a thing. To the caller it is missing, in the record it is a refusal."""

    code, exit_code, http_status = NotFound.code, NotFound.exit_code, NotFound.http_status
    default_hint = NotFound.default_hint


class GateClosed(Refusal):
    """A precondition (training, accreditation, agreement, end date, approval, grant) does not hold."""

    code, exit_code = "gate_closed", 7


class LimitExceeded(Refusal):
    code, exit_code, http_status = "limit_exceeded", 8, 413


class Unavailable(TreError):
    code, exit_code, http_status = "unavailable", 75, 503
    default_hint = "A part of the platform does not answer. Try again in a minute; `tre status` says which part."


class Broken(TreError):
    code, exit_code, http_status = "broken", 20, 500
    default_hint = (
        "Do not retry. Keep everything as it is and call the administrator; `tre audit verify` shows what still holds."
    )


_KINDS: tuple[type[TreError], ...] = (
    InvalidInput,
    NotFound,
    Conflict,
    Refusal,
    Unauthenticated,
    Forbidden,
    GateClosed,
    LimitExceeded,
    Unavailable,
    Broken,
)
_BY_CODE = {kind.code: kind for kind in _KINDS}
_BY_STATUS: dict[int, type[TreError]] = {
    401: Unauthenticated,
    403: Refusal,
    404: NotFound,
    409: Conflict,
    413: LimitExceeded,
    422: InvalidInput,
    429: LimitExceeded,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def error_of(status: int, answer: object) -> TreError:
    """The error that another process of ours raised, from its HTTP answer; what cannot be read is of no known kind."""
    told = answer.get("error") if isinstance(answer, dict) else None
    said = {key: value for key, value in told.items() if isinstance(value, str)} if isinstance(told, dict) else {}
    code = said.get("code", "")
    kind = _BY_CODE.get(said.get("kind", "")) or _BY_CODE.get(code) or _BY_STATUS.get(status, TreError)
    message = said.get("message") or f"The platform answered with status {status}."
    return kind(message, hint=said.get("hint", ""), field=said.get("field", ""), code=code)
