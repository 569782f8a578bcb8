"""The bucket with submitted and released bytes: reachable, believed, ours to work with, and nobody else's to read.

Decides what our keys must be able to do there, and what a stranger must not. With `writes` it is tried with one small
object of its own, which is deleted again; without, nothing is written.
"""

from __future__ import annotations

import http.client
import secrets
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlsplit

from tre.errors import InvalidInput, TreError, Unavailable
from tre.outputs.content.bucket import BucketShelf
from tre.outputs.content.bucket_errors import VALUE, is_not_offered, translated
from tre.settings import Bucket, Settings
from tre.settings.bucket import KEY_FILE, KEY_ID_FILE
from tre.stack.examination import certificates
from tre.stack.examination.clocks import Clock
from tre.stack.examination.finding import Finding, doubtful, right, wrong

NAME = "object storage"
OURS = b"tre looks whether it may write, read and delete here"


@dataclass(frozen=True)
class Seen:
    """`refused`: why what we need cannot be done. `strangers`: what somebody without a key may do. Where nothing was
    written, `tried` is False and the rest is not known. `left`: the object that could not be deleted again.
    """

    refused: TreError | None = None
    strangers: tuple[str, ...] = ()
    clock: Clock | None = None
    tried: bool = False
    conditional: bool = True
    versions: bool = False
    left: str = ""


def shelf_of(settings: Settings, bucket: Bucket) -> BucketShelf:
    return BucketShelf(bucket, settings.secret_file(KEY_ID_FILE), settings.secret_file(KEY_FILE))


def look_at_certificate(bucket: Bucket) -> certificates.Shown | None:
    if urlsplit(bucket.endpoint).scheme != "https":
        return None
    return certificates.look(bucket.host, bucket.port, bucket.ca)


def look(shelf: BucketShelf, *, writes: bool) -> Seen:
    listing, clock = _as_a_stranger(shelf.bucket, "?list-type=2&max-keys=1")
    strangers = ("list it",) if listing else ()
    try:
        next(iter(shelf.listed()), None)
        return _try(shelf, strangers, clock) if writes else Seen(None, strangers, clock)
    except TreError as error:
        return Seen(error, strangers, clock)


def _try(shelf: BucketShelf, strangers: tuple[str, ...], clock: Clock | None) -> Seen:
    """Write, write again, read, delete."""
    from obstore import delete, get, put

    key = f"examination/{secrets.token_hex(8)}"
    with translated():
        written = put(shelf.server, key, OURS, mode="overwrite", use_multipart=False)
    try:
        with translated():
            conditional = _refuses_a_second(lambda: put(shelf.server, key, OURS, mode="create", use_multipart=False))
            if bytes(get(shelf.server, key).bytes()) != OURS:
                raise Unavailable("It gives back other bytes than it took.", field=f"{VALUE}.endpoint")
        if _as_a_stranger(shelf.bucket, quote(f"/{shelf.bucket.prefix}{key}"))[0]:
            strangers = (*strangers, "read what is in it")
    finally:
        left = _leaves(lambda: delete(shelf.server, key), f"{shelf.bucket.prefix}{key}")
    versions = written.get("version") is not None
    return Seen(None, strangers, clock, tried=True, conditional=conditional, versions=versions, left=left)


def _refuses_a_second(write: Callable[[], object]) -> bool:
    from obstore.exceptions import AlreadyExistsError

    try:
        write()
    except AlreadyExistsError:
        return True
    except Exception as error:
        if not is_not_offered(error):
            raise
    return False


def _leaves(delete: Callable[[], object], key: str) -> str:
    try:
        with translated():
            delete()
    except TreError:
        return key
    return ""


def _as_a_stranger(bucket: Bucket, rest: str) -> tuple[bool, Clock | None]:
    """Whether that is answered without a key. Who does not answer was said to be away already."""
    found = urlsplit(bucket.address)
    path = (f"/{bucket.name}" if bucket.path_style else "/" * rest.startswith("?")) + rest
    try:
        connection = _connection(bucket, found.scheme)
        try:
            before = time.time()
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status == 200, Clock.of_date(before, answer.getheader("Date") or "", time.time())
        finally:
            connection.close()
    except (OSError, http.client.HTTPException):
        return False, None


def _connection(bucket: Bucket, scheme: str) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(bucket.host, bucket.port, timeout=certificates.SECONDS)
    context = ssl.create_default_context(cafile=bucket.ca or None)
    return http.client.HTTPSConnection(bucket.host, bucket.port, timeout=certificates.SECONDS, context=context)


def judge(seen: Seen) -> list[Finding]:
    found = []
    if seen.strangers:
        told = f"Anybody may {' and '.join(seen.strangers)} without a key."
        found.append(wrong(NAME, f"{VALUE}.name", told, "Take its public access away at once."))
    if seen.refused:
        kind = Unavailable if seen.refused.field == f"{VALUE}.endpoint" else InvalidInput
        found.append(wrong(NAME, seen.refused.field, seen.refused.message, seen.refused.hint, kind))
        return found
    if not seen.tried:
        return found or [right(NAME, f"{VALUE}.endpoint", "It answers, and we may list the bucket.")]
    if seen.left:
        told = f"We may not delete there: {seen.left} stays, and so would every orphan."
        found.append(wrong(NAME, f"{VALUE}.credentials", told, "Allow these keys to delete below the prefix."))
    if not seen.conditional:
        told = "It has no conditional writes: who writes a second object of one name replaces the first."
        found.append(doubtful(NAME, f"{VALUE}.endpoint", told, "Let no other keys write below the prefix."))
    if not seen.versions:
        told = "It keeps no versions: what is overwritten or deleted there is gone."
        found.append(doubtful(NAME, f"{VALUE}.name", told, "Turn versioning on, or copy the bucket elsewhere."))
    return found or [right(NAME, f"{VALUE}.endpoint", "We may list, write, read and delete; nobody else may.")]


def judge_certificate(shown: certificates.Shown | None, now: datetime) -> list[Finding]:
    name = "certificate of the object storage"
    if shown is None or shown.away:
        return []
    return [certificates.judge(name, f"{VALUE}.endpoint", f"{VALUE}.ca", shown, now)]
