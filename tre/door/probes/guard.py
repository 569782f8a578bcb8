"""Attempts through the door: every address from which a Jupyter server gives out files, asked as the workspace's owner.

Decides what counts: an answer with the content of the file that was laid there, an open websocket, or a success at an
address that is not on the guard's list was reached; a refusal counts only if the same session is let in where it should
be, before and afterwards. The session is the guard's cookie around the workspace's own Hub token, which the Hub takes
for its owner: what a signed-in browser sends, without anybody's password. Running things inside is the runtime's.
"""

from __future__ import annotations

import posixpath
import re
import secrets
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, unquote

from tornado.web import create_signed_value

from tre.door.guard.paths import MethodRefused, PathRefused, admit, clean, split_base, split_target
from tre.door.guard.routes import Route, RouteTable
from tre.door.guard.signin import SignIn
from tre.door.internal_api import read_secret
from tre.door.places import Places
from tre.door.probes.raw import Address, RawHttp
from tre.door.probes.spellings import ADDRESSES, TRAP, spellings
from tre.errors import NotFound, TreError
from tre.workspaces.probes.report import Result, Verdict
from tre.workspaces.runtime import SandboxRuntime
from tre.workspaces.sandbox.host import ENVIRONMENT

#: Per family of addresses; together more than ten thousand.
COUNT = 1300
WALL = "guard"
AT_ONCE = 4

# Lays the marker wherever a Jupyter server would look for files, or takes it away again.
TRAPS = """
import json, os, shutil, sys
verb, trap, marker = sys.argv[1:]
share = "/home/researcher/.local/share/jupyter"
folders = [f"{share}/kernels/{trap}", f"{share}/labextensions/{trap}"]
files = {f"/home/researcher/{trap}.txt": marker, **{f"{folder}/{trap}.txt": marker for folder in folders}}
cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": marker}
notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
files[f"/home/researcher/{trap}.ipynb"] = json.dumps(notebook)
files[f"{folders[0]}/kernel.json"] = json.dumps({"argv": ["x"], "display_name": "x", "language": "x"})
if verb == "lay":
    for folder in folders:
        os.makedirs(folder)
    for path, text in files.items():
        with open(path, "x") as stream:
            stream.write(text)
else:
    for path in files:
        if os.path.exists(path):
            os.unlink(path)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
"""


@dataclass(frozen=True)
class Door:
    """Where and how the owner's browser asks: `base` is the workspace's path, `headers` those of a signed-in page.

    `other_base` is the path of another person's workspace, where one runs.
    """

    address: Address
    base: str
    workspace_id: str
    headers: Mapping[str, str] = field(repr=False)
    other_base: str = ""


@dataclass(frozen=True)
class Trap:
    """A name that nobody else uses, and the text that must not come out."""

    name: str = field(default_factory=lambda: f"tre-verify-{secrets.token_hex(4)}")
    marker: str = field(default_factory=lambda: secrets.token_hex(24))


def as_the_owner(runtime: SandboxRuntime, places: Places, workspace_id: str, other_id: str) -> list[Result]:
    """Every family of addresses of a running workspace; what cannot be asked could not run."""
    try:
        return through_the_door(runtime, owners_door(places, workspace_id, other_id))
    except TreError as error:
        return [_result(workspace_id, family, "could_not_run", error.message) for family in ADDRESSES]


def owners_door(places: Places, workspace_id: str, other_id: str) -> Door:
    """Through the proxy, as the workspace's owner. Raises NotFound where the guard has no route to the workspace."""
    table = RouteTable(places.routes_file)
    table.load()
    route = table.by_workspace(workspace_id)
    if route is None:
        raise NotFound(f"The guard has no route to workspace {workspace_id}.", field="workspace")
    other = table.by_workspace(other_id)
    secret = read_secret(places.secret("guard-cookie")).encode()
    headers = session(route, secret=secret, hub_api_url=places.hub_api_url, host=f"127.0.0.1:{places.public_port}")
    other_base = other.base_url if other else ""
    return Door(("127.0.0.1", places.public_port), route.base_url, workspace_id, headers, other_base)


def session(route: Route, *, secret: bytes, hub_api_url: str, host: str) -> dict[str, str]:
    """Headers of a page of the workspace in its owner's browser."""
    token = route.hub_api_token
    cookie = create_signed_value(secret, route.oauth_client_id, token).decode()
    proof = SignIn(route, hub_api_url=hub_api_url, cookie_secret=secret).xsrf(token)
    return {"Host": host, "Cookie": f"{route.oauth_client_id}={cookie}", "X-XSRFToken": proof}


def through_the_door(runtime: SandboxRuntime, door: Door, *, count: int = COUNT) -> list[Result]:
    """Lay the traps inside, ask for them in every way, take them away."""
    trap, state = Trap(), {"workspace_id": door.workspace_id}
    program = [f"{ENVIRONMENT}/bin/python", "-I", "-c", TRAPS]
    try:
        laid = runtime.exec_in(state, [*program, "lay", trap.name, trap.marker])
        problem = laid.stderr.decode(errors="replace")[-300:] if laid.returncode else ""
    except TreError as error:
        problem = error.message
    try:
        return attempts(door, trap, count=count, problem=problem)
    finally:
        runtime.exec_in(state, [*program, "remove", trap.name, trap.marker])


def attempts(door: Door, trap: Trap, *, count: int = COUNT, problem: str = "") -> list[Result]:
    """One verdict per family of addresses. While the session is not let in, a refusal proves nothing."""
    if problem := problem or _not_let_in(door, trap):
        return [_result(door.workspace_id, family, "could_not_run", problem) for family in ADDRESSES]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda family: _family(door, trap, family, count), ADDRESSES))
    if door.other_base:
        found.append(_other_workspace(door, trap))
    if problem := _not_let_in(door, trap):
        void: dict[str, Any] = {"verdict": "could_not_run", "detail": problem}
        found = [replace(result, **void) if result.verdict == "refused" else result for result in found]
    return found


def _not_let_in(door: Door, trap: Trap) -> str:
    """Why this session does not reach what its owner may read; "" where it does."""
    with RawHttp(door.address, door.headers) as browser:
        status, answer = browser.get(f"{door.base}api/contents/{trap.name}.txt?content=1")
    if status == 200 and trap.marker.encode() in answer:
        return ""
    return f"the owner's own session is answered with {status} where it should be let in"


def _family(door: Door, trap: Trap, family: str, count: int) -> Result:
    seed = secrets.randbits(32)
    addresses = [address.replace(TRAP, trap.name) for address in ADDRESSES[family]]
    targets = [f"{door.base}{spelling}" for spelling in spellings(addresses, count, seed)]
    return _ask_all(door, trap, family, targets, f"seed {seed}")


def _other_workspace(door: Door, trap: Trap) -> Result:
    """This owner's session at another's address: nothing there, and nothing of one's own below it."""
    mine, other = door.base, door.other_base
    person = other.split("/")[2]
    bases = [other, other.replace(person, f"%{ord(person[0]):02x}{person[1:]}"), f"{mine}../../..{other}"]
    bases += [f"{mine}%2e%2e/%2e%2e/%2e%2e{other}", f"/{other}", other.upper(), other.replace("/user/", "/user/./")]
    rests = ("api/contents", "api/kernels", "lab", f"files/{trap.name}.txt", f"api/contents/{trap.name}.txt")
    return _ask_all(door, trap, "another-workspace", [base + rest for base in bases for rest in rests], "")


def _ask_all(door: Door, trap: Trap, family: str, targets: list[str], told: str) -> Result:
    seen = Counter[int]()
    with RawHttp(door.address, door.headers) as browser:
        for target in targets:
            status, answer = browser.get(target)
            if reached := what_was_reached(target, status, answer, trap.marker):
                return _result(door.workspace_id, family, "reached", f"{target!r}: {reached}")
            if not 200 <= status < 500:
                return _result(door.workspace_id, family, "could_not_run", f"{target!r} is answered with {status}")
            seen[status] += 1
    answers = ", ".join(f"{times} x {status}" for status, times in sorted(seen.items()))
    return _result(door.workspace_id, family, "refused", f"{len(targets)} spellings: {answers} {told}".strip())


def what_was_reached(target: str, status: int, answer: bytes, marker: str) -> str:
    """In words what came through, or "" for a refusal."""
    if marker.encode() in answer:
        return "the file's content came out"
    if status == 101:
        return "a websocket was opened"
    if 200 <= status < 300 and not any(map(is_on_the_list, as_the_proxy_may_read(target))):
        return f"it was answered with {status}"
    return ""


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
    try:
        raw_path, raw_query = split_target(target)
        admit("GET", split_base(clean(raw_path))[1], raw_query)
    except (PathRefused, MethodRefused):
        return False
    return True


def _result(workspace_id: str, family: str, verdict: Verdict, detail: str) -> Result:
    tries = f"fetch a file through the guard: {family.replace('-', ' ')}, in every spelling"
    return Result(f"guard-{family}", workspace_id, WALL, tries, verdict, detail[:500])
