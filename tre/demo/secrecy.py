"""What the journey shows of its secrets: none of them can be read where secrets use to slip out.

Decides which secrets are looked for (the platform's files, the people's passwords, tokens and cookies, what the running
workspaces hold) and where: command lines and environments of every process in sight, the platform's logs, and whatever
else a caller brings. Says where a secret was seen and which, never the secret itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tre.demo.analysis import Analysis, printed
from tre.demo.browser import Browser
from tre.demo.stage import Stage, Unexpected

#: Shorter texts are no secrets: names, schemes, stars of a password file.
SHORTEST = 12
DOOR_TOKENS = ("hub_api_token", "upstream_token")
HELD = """
import os, pathlib
held = {path.name: path.read_text() for path in pathlib.Path("/run/tre").iterdir() if path.is_file()}
print({"held": held, "environment": dict(os.environ)})
"""


@dataclass
class Secrecy:
    stage: Stage
    analysis: Analysis
    browsers: dict[str, Browser]
    known: dict[bytes, str] = field(default_factory=dict)

    def look(self) -> str:
        """While everything runs and everybody is signed in."""
        self.known = {**self.stage.machine.secrets(), **self._of_people()}
        self.known.update(self._of_workspaces())
        if seen := list(self.stage.machine.shown(self.known)):
            raise Unexpected(f"secrets can be read: {'; '.join(seen)}")
        return f"{len(self.known)} secrets looked for in every command line, environment and log: none seen"

    def look_through(self, name: str, content: bytes) -> None:
        """The same for a text that was made later, such as the export of the record. Raises `Unexpected`."""
        if seen := named(self.known, content):
            raise Unexpected(f"{name} shows {', '.join(seen)}")

    def _of_people(self) -> dict[bytes, str]:
        found = {}
        for username, account in self.stage.accounts.items():
            found[account.password.encode()] = f"{username}'s password"
            found[account.totp_secret.encode()] = f"{username}'s authenticator secret"
            token = Path(self.stage.environment(username)["TRE_TOKEN_FILE"])
            if token.exists():
                found[json.loads(token.read_text())["token"].encode()] = f"{username}'s token"
        for username, browser in self.browsers.items():
            found.update(secrets_of({c.name: c.value for c in browser.http.cookies.jar}, f"{username}'s cookie"))
        return found

    def _of_workspaces(self) -> dict[bytes, str]:
        """What each running workspace was given. It has it in files in memory, not in its environment."""
        found: dict[bytes, str] = {}
        for username, kernel in self.analysis.kernels.items():
            inside = printed(kernel.must(HELD).text)
            mine = secrets_of(inside["held"], f"{username}'s workspace")
            if len(mine) < len(inside["held"]):
                raise Unexpected(f"{username}'s workspace holds something unknown: {list(inside['held'])}")
            found.update(mine)
            if seen := named({**self.known, **mine}, json.dumps(inside["environment"]).encode()):
                raise Unexpected(f"the environment of {username}'s kernel shows {', '.join(seen)}")
        return found


def platform_secrets(folder: Path) -> dict[bytes, str]:
    """Every secret in the platform's folder of secrets → the name of its file."""
    found = {}
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        text = content.decode(errors="replace").strip()
        if path.suffix == ".json":
            found.update(secrets_of(json.loads(text), path.name))
        elif path.suffix == ".pgpass":
            found[text.rpartition(":")[2].encode()] = path.name
        elif path.suffix != ".url":
            found[content.strip()] = path.name
    return found


def secrets_of(value: Any, name: str) -> dict[bytes, str]:
    """Every text in a JSON-like value, or behind `password=` in a service file."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        return {secret: label for inner in value for secret, label in secrets_of(inner, name).items()}
    passwords = [line.partition("=")[2] for line in str(value).splitlines() if line.startswith("password=")]
    return {text.strip().encode(): name for text in passwords or [str(value)] if len(text.strip()) >= SHORTEST}


def in_processes(known: Mapping[bytes, str]) -> Iterator[str]:
    """Where a command line or an environment of a process that this user can read shows a secret."""
    for process in psutil.process_iter(["pid", "name"]):
        for part in ("cmdline", "environ"):
            try:
                content = Path(f"/proc/{process.info['pid']}/{part}").read_bytes()
            except OSError:
                continue
            for name in named(known, content):
                yield f"{name} in the {part} of {process.info['name']} ({process.info['pid']})"


def in_files(known: Mapping[bytes, str], places: Iterable[Path]) -> Iterator[str]:
    for place in places:
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file():
                for name in named(known, path.read_bytes()):
                    yield f"{name} in {path}"


def named(known: Mapping[bytes, str], content: bytes) -> list[str]:
    return sorted({name for secret, name in known.items() if secret in content})
