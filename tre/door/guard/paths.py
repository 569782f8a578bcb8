"""Which requests exist at all.

Decides, from method, raw path and raw query alone, what a request asks for: a pure allowlist on the path decoded once.
Whatever is not listed does not exist (404). The path that goes on is built anew from the decoded one, so that the two
sides of the guard can never read one spelling differently. Leaves to others who asks, and how much they may take.
Source of the list: every way file bytes leave a Jupyter server, tried in `tests/door/test_guard_spellings.py`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from urllib.parse import parse_qsl, quote, unquote, unquote_to_bytes, urlencode

MAX_PATH_BYTES = 4096
MAX_QUERY_BYTES = 4096
BASE_SEGMENTS = 3  # user, <name>, <project>
#: Lab asks for the same few addresses again and again; what was admitted once is not worked out anew.
REMEMBERED = 1024


class PathRefused(Exception):
    """This spelling is not answered: the guard says 404 and nothing else."""


class MethodRefused(Exception):
    """The path exists, the method does not (405)."""


class Kind(Enum):
    """Who answers."""

    READY = "ready"  # the guard, to the Hub's question whether the server is up; no sign-in
    CALLBACK = "callback"  # the guard, the end of the sign-in
    START = "start"  # the guard: redirect to Lab
    PAGE = "page"  # the guard: Lab's index page
    STATIC = "static"  # the guard: its own copy of Lab's files
    LAB = "lab"  # the guard: Lab's settings, layouts, translations
    ME = "me"  # the guard: who is signed in
    NONE = "none"  # the guard: an empty object, where Lab asks for what is not offered
    SILENCE = "silence"  # the guard: a websocket on which nothing is ever said, so that Lab does not ask again
    UPSTREAM = "upstream"  # the workspace's Jupyter server, as JSON
    CHANNELS = "channels"  # the workspace's Jupyter server, the kernel's websocket

    #: Members are one object each. Enum's own hash is Python, asked several times for every request.
    __hash__ = object.__hash__


@dataclass(frozen=True)
class Admitted:
    """`path` is decoded and below the workspace's base URL; `target` is what goes upstream, ASCII."""

    kind: Kind
    path: str
    target: str = ""
    query: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Rule:
    pattern: re.Pattern[str]
    methods: frozenset[str]
    kind: Kind
    query: frozenset[str] = frozenset()


def rule(pattern: str, methods: str, kind: Kind, query: str = "") -> Rule:
    return Rule(re.compile(pattern), frozenset(methods.split()), kind, frozenset(query.split()))


UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"

RULES = (  # no two know the same path; those asked for most come first
    rule(r"api/contents(/.+)?", "GET POST PUT PATCH DELETE", Kind.UPSTREAM, "content type format hash"),
    rule(r"api", "GET HEAD", Kind.READY),
    rule(r"oauth_callback", "GET", Kind.CALLBACK, "code state error error_description"),
    rule(r"|tree", "GET HEAD", Kind.START),
    rule(r"(lab|doc)(/workspaces/[A-Za-z0-9_-]+)?(/tree(/.*)?)?", "GET HEAD", Kind.PAGE, "reset clone factory"),
    rule(r"static/.+|kernelspecs/python3/logo-(32x32\.png|64x64\.png|svg\.svg)", "GET HEAD", Kind.STATIC),
    rule(r"lab/api/themes/.+", "GET HEAD", Kind.STATIC),
    rule(r"lab/api/settings", "GET", Kind.LAB, "ids_only"),
    rule(r"lab/api/settings/@?[A-Za-z0-9][A-Za-z0-9@:/_.-]*", "GET PUT", Kind.LAB),
    rule(r"lab/api/workspaces", "GET", Kind.LAB),
    rule(r"lab/api/workspaces/[A-Za-z0-9_-]{1,64}", "GET PUT DELETE", Kind.LAB),
    rule(r"lab/api/translations(/[A-Za-z_-]{1,16})?", "GET", Kind.LAB),
    rule(r"api/me", "GET", Kind.ME),
    rule(r"api/nbconvert", "GET", Kind.NONE),
    rule(r"api/events/subscribe", "GET", Kind.SILENCE),
    rule(r"api/status", "GET", Kind.UPSTREAM),
    rule(rf"api/kernelspecs(/{NAME})?", "GET", Kind.UPSTREAM),
    rule(r"api/kernels", "GET POST", Kind.UPSTREAM),
    rule(rf"api/kernels/{UUID}", "GET DELETE", Kind.UPSTREAM),
    rule(rf"api/kernels/{UUID}/(interrupt|restart)", "POST", Kind.UPSTREAM),
    rule(rf"api/kernels/{UUID}/channels", "GET", Kind.CHANNELS, "session_id"),
    rule(r"api/sessions", "GET POST", Kind.UPSTREAM),
    rule(rf"api/sessions/{UUID}", "GET PATCH DELETE", Kind.UPSTREAM),
)


def split_target(raw: str) -> tuple[str, str]:
    """The request target as (path, query); a fragment or an absolute form is refused."""
    path, _, query = raw.partition("?")
    if not path.startswith("/") or "#" in raw:
        raise PathRefused("not a path")
    if len(path) > MAX_PATH_BYTES or len(query) > MAX_QUERY_BYTES:
        raise PathRefused("too long")
    return path, query


@lru_cache(REMEMBERED)
def place(raw_path: str) -> tuple[str, str]:
    """A raw path as (base URL of the workspace, rest below it), decoded once; raises PathRefused."""
    return split_base(clean(raw_path))


def clean(raw_path: str) -> str:
    """The path decoded once. Raises PathRefused for every spelling that another reader could read as another path."""
    try:
        raw_path.encode("ascii")
        path = unquote_to_bytes(raw_path).decode("utf-8", errors="strict")
    except UnicodeError:
        raise PathRefused("not UTF-8") from None
    if unquote(path) != path:
        raise PathRefused("encoded twice")
    if not path.startswith("/") or "//" in path or has_unsafe_character(path):
        raise PathRefused("not plain")
    for segment in path.split("/"):
        if looks_like_dots(segment):
            raise PathRefused("dot segment")
    return path


def has_unsafe_character(path: str) -> bool:
    """Control, format-breaking and backslash characters, also where compatibility folding would make them."""
    if "\\" in path or any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in path):
        return True
    if path.isascii():
        return False
    folded = unicodedata.normalize("NFKC", path)
    return any(folded.count(character) != path.count(character) for character in "/\\%")


def looks_like_dots(segment: str) -> bool:
    """`.` and `..`, also with blanks around, path parameters behind, or in another script's dots."""
    folded = segment if segment.isascii() else unicodedata.normalize("NFKC", segment)
    return folded.partition(";")[0].strip() in {".", ".."}


def split_base(path: str) -> tuple[str, str]:
    """A clean path as (base URL of the workspace, rest below it without leading slash)."""
    parts = path.split("/", BASE_SEGMENTS + 1)
    if len(parts) <= BASE_SEGMENTS or parts[1] != "user" or not parts[2] or not parts[3]:
        raise PathRefused("no workspace")
    rest = parts[BASE_SEGMENTS + 1] if len(parts) > BASE_SEGMENTS + 1 else ""
    return f"/user/{parts[2]}/{parts[3]}/", rest


@lru_cache(REMEMBERED)
def admit(method: str, rest: str, raw_query: str) -> Admitted:
    """What a clean path below the base URL asks for.

    Raises PathRefused where no rule knows the path, MethodRefused where only the method is wrong.
    """
    path = rest.removesuffix("/")
    known = False
    for candidate in RULES:
        if candidate.pattern.fullmatch(path) is None:
            continue
        known = True
        if method in candidate.methods:
            return admitted(candidate, path, raw_query)
    raise MethodRefused(method) if known else PathRefused("not on the list")


def admitted(found: Rule, path: str, raw_query: str) -> Admitted:
    try:
        given = parse_qsl(raw_query, keep_blank_values=True, max_num_fields=32) if raw_query else []
    except ValueError:
        raise PathRefused("query") from None
    query = tuple((name, value) for name, value in given if name in found.query)
    if found.kind not in {Kind.UPSTREAM, Kind.CHANNELS}:
        return Admitted(found.kind, path, query=query)
    target = "/" + quote(path, safe="/")
    return Admitted(found.kind, path, target + ("?" + urlencode(query) if query else ""), query)
