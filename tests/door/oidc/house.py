"""The Hub as `tre up` configures it, a control plane with a database, and an identity provider, all on loopback."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from tests.door.parts import ROOT, Process, door_settings, wait_for
from tests.door.platform import Platform as Door
from tests.fixtures.people import People, Projects
from tests.web.site import TestPlatform, build_site, serving
from tre.api.app import internal_app
from tre.audit.service import events
from tre.credentials.files import write_secret
from tre.data.sources import Places as DataPlaces
from tre.door.places import Places
from tre.people import identities
from tre.settings.identity import SECRET_FILE, load_provider
from tre.stack.ports import free_ports

MODULES = ROOT / "build" / "oidc-provider" / "node_modules"
NODE = shutil.which("node")
needs_provider = pytest.mark.skipif(
    NODE is None or not (MODULES / "oidc-provider").exists(),
    reason="NOT RUN: the provider of the tests is missing (make install fetches it where there is npm)",
)
REFRESH = 5
SECOND_FACTOR = "pwd otp"


class Nothing:
    """The door's tests bring a stand-in for the control plane; here it is the real one."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


class RealProvider:
    """npm's oidc-provider in a process of its own."""

    def __init__(self, folder: Path, callback: str) -> None:
        self.issuer = f"http://127.0.0.1:{free_ports(1)}"
        self._folder, self._callback = folder, callback
        self._process: Process | None = None

    def start(self) -> None:
        program = self._folder / "provider.mjs"
        program.write_text((ROOT / "tests/door/oidc/provider/provider.mjs").read_text())
        (self._folder / "node_modules").symlink_to(MODULES)
        (self._folder / "package.json").write_text('{"type": "module"}')
        assert NODE
        self._process = Process([NODE, str(program), self.issuer, self._callback], self._folder / "provider.log")
        wait_for(self.answers, "the identity provider", 30)

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.issuer}/.well-known/openid-configuration", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def control(self, **memory: Any) -> None:
        assert httpx.post(f"{self.issuer}/control", json=memory).status_code == 200

    def stop(self) -> None:
        if self._process:
            self._process.stop()


@contextmanager
def door_of(make_provider: Any, **table: Any) -> Iterator[tuple[Door, Any]]:
    """Traefik and the Hub that asks this provider."""
    settings = door_settings("tre-oidc-")
    Places(settings).prepare()
    url = f"http://127.0.0.1:{settings.port}"
    provider = make_provider(settings.state.parent, f"{url}/hub/oauth_callback")
    found = {
        "issuer": provider.issuer,
        "client_id": "tre",
        "url": url,
        "name": "Example University",
        "amr": ["otp"],
        "refresh_seconds": REFRESH,
        "grace_seconds": 60,
        **table,
    }
    lines = [
        f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}" for key, value in found.items()
    ]
    (settings.state / "tre.toml").write_text("\n".join(["[identity_provider]", *lines, ""]))
    write_secret(settings.secret_file(SECRET_FILE), "secret-of-tre")
    write_secret(settings.secret_file("hub-database.url"), f"sqlite:///{settings.state / 'hub.sqlite'}")
    door = Door(replace(settings, identity_provider=load_provider(found)), Nothing())  # type: ignore[arg-type]
    try:
        provider.start()
        for name in ("traefik", "hub"):
            door.start_one(name)
        yield door, provider
    finally:
        for name in ("hub", "traefik"):
            if name in door.processes:
                door.processes[name].stop()
        provider.stop()
        shutil.rmtree(settings.state.parent, ignore_errors=True)


@dataclass
class House:
    """One test's people behind the door. alice is s-alice at the provider; ada is the administrator."""

    door: Door
    provider: Any
    people: People
    platform: TestPlatform

    @property
    def url(self) -> str:
        return self.door.url

    def link(self, username: str, subject: str) -> None:
        issuer = self.provider.issuer
        identities.add_identity(self.people.db, self.people.admin, username=username, issuer=issuer, subject=subject)

    def browser(self) -> httpx.Client:
        headers = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}
        return httpx.Client(base_url=self.url, follow_redirects=True, timeout=60, headers=headers)

    def events(self, action: str = "") -> list[dict[str, Any]]:
        """Oldest first."""
        with self.people.db.read() as session:
            found = sorted(events(session), key=lambda event: event["seq"])
        return [event for event in found if action in ("", event["action"])]

    def log(self) -> str:
        return self.door.log("hub")


@contextmanager
def house_of(door: Door, provider: Any, people: People) -> Iterator[House]:
    """The real control plane for one test."""
    nowhere = DataPlaces(Path("/nonexistent"), Path("/nonexistent"), "host=/nowhere")
    site = build_site(door.settings, people, Projects(people), nowhere)
    with (
        serving(site.app, Places(door.settings).web_port),
        serving(internal_app(site.platform), path=door.settings.internal_socket),
    ):
        yield House(door, provider, people, site.platform)  # type: ignore[arg-type]


def hidden(page: httpx.Response, name: str = "_xsrf") -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found, page.text
    return found[1]


def at_the_provider(page: httpx.Response, browser: httpx.Client, person: str, amr: str) -> httpx.Response:
    """The provider's own form, filled; lands wherever that leads."""
    found = re.search(r'action="(/interaction/[^"]+)"', page.text)
    assert found, (page.url, page.status_code, page.text)
    return browser.post(urljoin(str(page.url), found[1]), data={"person": person, "amr": amr})


def sign_in(browser: httpx.Client, person: str = "s-alice", amr: str = SECOND_FACTOR, next: str = "") -> httpx.Response:
    page = browser.get("/hub/oauth_login", params={"next": next} if next else {})
    return at_the_provider(page, browser, person, amr)
