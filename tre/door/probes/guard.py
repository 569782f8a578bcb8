"""Attempts through the door: every address from which a Jupyter server gives out files, asked as the workspace's owner.

Decides what counts: an answer with the content of the file that was laid there, an open websocket, and at an address
that is not on the guard's list a success or any answer of the workspace's own server was reached; a refusal counts only
if the same session is let in where it should be, before and afterwards. Leaves to `owner` by which session and where
the guard is asked, to `inside` and `contents` how a file comes to lie there.
"""

from __future__ import annotations

import posixpath
import re
import secrets
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, unquote

from tre.door.guard.paths import Admitted, MethodRefused, PathRefused, admit, clean, split_base, split_target
from tre.door.probes.raw import Address, RawHttp
from tre.door.probes.spellings import ADDRESSES, TRAP, spellings
from tre.workspaces.probes.report import Result, Verdict

#: Per family of addresses; together more than ten thousand.
COUNT = 1300
WALL = "guard"
#: One more family, where another person's workspace runs, and what is said where none does.
OTHER, NO_OTHER = "another-workspace", "another person's workspace behind the guard"
#: That what was laid is gone again; told where it is not.
TRAPS = "traps"
AT_ONCE = 4
#: What the guard's own refusals are then, and an answer of the workspace's server never is: each of those is JSON.
ASKS_FOR_PAGES = {"Accept": "text/html"}
JSON = b"\r\ncontent-type: application/json"


@dataclass(frozen=True)
class Door:
    """Where and how the owner's browser asks: `base` is the workspace's path, `headers` those of a signed-in page.

    `other_base` is the path of another person's workspace, where one runs; `proxied`: somebody else reads addresses
    before the guard; `at_once`: over how many connections.
    """

    address: Address
    base: str
    workspace_id: str
    headers: Mapping[str, str] = field(repr=False)
    other_base: str = ""
    proxied: bool = True
    at_once: int = AT_ONCE

    def opened(self) -> RawHttp:
        return RawHttp(self.address, {**self.headers, **ASKS_FOR_PAGES})

    def readings(self, target: str) -> Collection[str]:
        return as_the_proxy_may_read(target) if self.proxied else (target,)


@dataclass(frozen=True)
class Trap:
    """A name that nobody else uses, and the text that must not come out."""

    name: str = field(default_factory=lambda: f"tre-verify-{secrets.token_hex(4)}")
    marker: str = field(default_factory=lambda: secrets.token_hex(24))


def could_not_run(workspace_id: str, problem: str, families: Iterable[str] = ADDRESSES) -> list[Result]:
    """Nothing was asked: that is a failure of every family."""
    return [_result(workspace_id, family, "could_not_run", problem) for family in families]


def attempts(door: Door, trap: Trap, *, count: int = COUNT, problem: str = "") -> list[Result]:
    """One verdict per family of addresses. While the session is not let in, a refusal proves nothing."""
    if problem := problem or _not_let_in(door, trap):
        return could_not_run(door.workspace_id, problem)
    with ThreadPoolExecutor(door.at_once) as pool:
        found = list(pool.map(lambda family: _family(door, trap, family, count), ADDRESSES))
    if door.other_base:
        found.append(_other_workspace(door, trap))
    if problem := _not_let_in(door, trap):
        void: dict[str, Any] = {"verdict": "could_not_run", "detail": problem}
        found = [replace(result, **void) if result.verdict == "refused" else result for result in found]
    return found


def _not_let_in(door: Door, trap: Trap) -> str:
    """Why this session does not reach what its owner may read; "" where it does."""
    with door.opened() as browser:
        status, answer = browser.ask("GET", f"{door.base}api/contents/{trap.name}.txt?content=1")
    if status == 200 and trap.marker.encode() in answer:
        return ""
    return f"the owner's own session is answered with {status} where it should be let in"


def _family(door: Door, trap: Trap, family: str, count: int) -> Result:
    seed = secrets.randbits(32)
    addresses = [address.replace(TRAP, trap.name) for address in ADDRESSES[family]]
    targets = [f"{door.base}{spelling}" for spelling in spellings(addresses, count, seed)]
    return _ask_all(door, trap, family, targets, f"seed {seed}", never=len(addresses))


def _other_workspace(door: Door, trap: Trap) -> Result:
    """This owner's session at another's address: nothing there, and nothing of one's own below it."""
    mine, other = door.base, door.other_base
    person = other.split("/")[2]
    bases = [other, other.replace(person, f"%{ord(person[0]):02x}{person[1:]}"), f"{mine}../../..{other}"]
    bases += [f"{mine}%2e%2e/%2e%2e/%2e%2e{other}", f"/{other}", other.upper(), other.replace("/user/", "/user/./")]
    rests = ("api/contents", "api/kernels", "lab", f"files/{trap.name}.txt", f"api/contents/{trap.name}.txt")
    targets = [base + rest for base in bases for rest in rests]
    return _ask_all(door, trap, OTHER, targets, "", never=len(targets))


def _ask_all(door: Door, trap: Trap, family: str, targets: list[str], told: str, *, never: int) -> Result:
    """The first `never` targets are on no list for this owner, whatever the guard's says now."""
    seen = Counter[int]()
    with door.opened() as browser:
        for number, target in enumerate(targets):
            status, answer = browser.ask("GET", target)
            readings = () if number < never else door.readings(target)
            if reached := what_was_reached(readings, status, answer, trap.marker):
                return _result(door.workspace_id, family, "reached", f"{target!r}: {reached}")
            if not 200 <= status < 500:
                return _result(door.workspace_id, family, "could_not_run", f"{target!r} is answered with {status}")
            seen[status] += 1
    answers = ", ".join(f"{times} x {status}" for status, times in sorted(seen.items()))
    return _result(door.workspace_id, family, "refused", f"{len(targets)} spellings: {answers} {told}".strip())


def what_was_reached(readings: Collection[str], status: int, answer: bytes, marker: str) -> str:
    """In words what came through, or "" for a refusal. `readings`: as what the guard may have read the address; none
    where it must be on no list.
    """
    from_inside, passed = is_the_workspaces(answer), 200 <= status < 300
    if marker.encode() in answer and not (from_inside and any(map(is_contents, readings))):
        return "the file's content came out"
    if status == 101:
        return "a websocket was opened"
    if not (passed or from_inside) or any(map(is_on_the_list, readings)):
        return ""
    return f"it was answered with {status}" if passed else f"the workspace's own server answered with {status}"


def is_the_workspaces(answer: bytes) -> bool:
    """Whether it is one that the guard sent on: their type is the guard's word, not the workspace's."""
    return JSON in answer.partition(b"\r\n\r\n")[0].lower()


def as_the_proxy_may_read(target: str) -> tuple[str, ...]:
    """As it is, without its dot segments, and the same after decoding all, which the proxy does where it finds a
    character that should have been encoded.
    """
    path, mark, query = target.partition("?")
    decoded = quote(unquote(path, errors="surrogateescape"), errors="surrogateescape")
    readings = (re.sub("%2e", ".", path, flags=re.IGNORECASE), decoded)
    return (target, *(without_dots(reading) + mark + query for reading in readings))


def without_dots(path: str) -> str:
    return posixpath.normpath(path) + ("/" if path.endswith(("/", "/.", "/..")) else "")


def is_on_the_list(target: str) -> bool:
    """Whether this is but another spelling of what the guard lets its owner ask for: Lab's page, contents, kernels."""
    return admitted(target) is not None


def is_contents(target: str) -> bool:
    """Whether it is where the owner reads files, on the page."""
    found = admitted(target)
    return found is not None and found.path.startswith("api/contents/")


def admitted(target: str) -> Admitted | None:
    try:
        raw_path, raw_query = split_target(target)
        return admit("GET", split_base(clean(raw_path))[1], raw_query)
    except (PathRefused, MethodRefused):
        return None


def name_of(family: str) -> str:
    return f"guard-{family}"


def _result(workspace_id: str, family: str, verdict: Verdict, detail: str) -> Result:
    tries = f"fetch a file through the guard: {family.replace('-', ' ')}, in every spelling"
    return Result(name_of(family), workspace_id, WALL, tries, verdict, detail[:500])
