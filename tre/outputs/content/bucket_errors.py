"""What an object storage's refusals mean: nearly all are `Unavailable`, named by the value that mends them.

Decides what counts as evidence that content is gone: the server's own word for that object (`NoSuchKey`), and nothing
else. A server that is away, a bucket that is not there, keys that do not fit and an answer that breaks off say nothing
about content, so long steps wait for them. The server's words are not passed on: they quote addresses and requests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from tre.errors import TreError, Unavailable

#: A request that waits for it is not to blame: see `tre.outputs.steps`.
AWAY = "content_away"
CODE = re.compile(r"<Code>([A-Za-z0-9]{1,60})</Code>")
STATUS = re.compile(r"status(?: code)?: (\d{3})")
VALUE = "content.bucket"
KEYS = (
    f"{VALUE}.credentials",
    "The object storage does not accept our keys.",
    "Put present keys into that Secret.",
)
#: By the server's code, or the status where there is none: (value, what was found, what to do).
MEANINGS: dict[str, tuple[str, str, str]] = {
    "NoSuchBucket": (f"{VALUE}.name", "The object storage has no such bucket.", "Make it, or correct its name."),
    "InvalidBucketName": (f"{VALUE}.name", "The object storage has no such bucket.", "Make it, or correct its name."),
    "InvalidAccessKeyId": KEYS,
    "SignatureDoesNotMatch": KEYS,
    # versitygw's own.
    "XAdminUserNotFound": KEYS,
    "AccessDenied": (
        f"{VALUE}.credentials",
        "The object storage does not allow us that.",
        "Allow these keys to list the bucket and to read, write and delete below the prefix.",
    ),
    "RequestTimeTooSkewed": (
        f"{VALUE}.endpoint",
        "Its clock and ours are too far apart.",
        "Let both keep time (NTP).",
    ),
    "AuthorizationHeaderMalformed": (f"{VALUE}.region", "The bucket is of another region.", "Name its own."),
    "PermanentRedirect": (f"{VALUE}.region", "The bucket is of another region.", "Name its own."),
    "QuotaExceeded": (f"{VALUE}.name", "The bucket is full.", "Raise its quota."),
    "certificate": (
        f"{VALUE}.ca",
        "The certificate of the object storage is not believed.",
        "Name a ConfigMap with its authority as ca.pem; `tre doctor --cluster` says what is wrong with it.",
    ),
}
MEANINGS["403"] = MEANINGS["401"] = MEANINGS["AccessDenied"]
MEANINGS["301"] = MEANINGS["307"] = MEANINGS["PermanentRedirect"]


class Silent(Unavailable):
    """Nobody answered, or not to the end."""


def code_of(error: BaseException) -> str:
    """The server's code, its status where it said none, `certificate`, or nothing where nobody answered."""
    text = str(error)
    if found := CODE.search(text) or STATUS.search(text):
        return found[1]
    return "certificate" if "InvalidCertificate" in text or "certificate verify failed" in text else ""


def is_missing(error: BaseException) -> bool:
    return isinstance(error, FileNotFoundError) and code_of(error) == "NoSuchKey"


def is_not_offered(error: BaseException) -> bool:
    """The server knows no conditional writes."""
    return code_of(error) in ("NotImplemented", "501")


def unavailable(error: BaseException) -> Unavailable:
    """The refusal as it is told: by value, in our words."""
    code = code_of(error)
    if not code:
        return silent()
    other = (f"{VALUE}.endpoint", f"The object storage does not do what it should ({code}).", "Ask an administrator.")
    value, told, remedy = MEANINGS.get(code, other)
    return Unavailable(told, field=value, hint=remedy, code=AWAY)


def silent() -> Silent:
    told = "The object storage does not answer."
    return Silent(told, field=f"{VALUE}.endpoint", hint="Ask an administrator.", code=AWAY)


@contextmanager
def translated() -> Iterator[None]:
    """Around every request: whatever the client raises becomes one of our own errors."""
    from obstore.exceptions import BaseError

    try:
        yield
    except TreError:
        raise
    except (BaseError, OSError, ValueError, RuntimeError) as error:
        raise unavailable(error) from None
