"""The pages with their rooms behind them, and visitors who use them as a browser does."""

import http.client
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import uvicorn
from bs4 import BeautifulSoup, Tag
from fastapi import FastAPI

from tests.data.conftest import visits, write_parquet
from tests.fixtures.people import People, Projects
from tre.api.app import public_app
from tre.api.platform import Platform
from tre.audit import Actor
from tre.data import service as data
from tre.data.model import Sensitivity, SourceKind
from tre.data.sources import Places
from tre.outputs.content.folder import in_folder
from tre.outputs.content.store import ContentStore
from tre.people.model import Role
from tre.people.signin import SignedIn, issue_token
from tre.projects.service import Ask
from tre.settings import Settings
from tre.web.app import web_app

DESCRIBED = {
    "nhs": data.Described("NHS number", identifier=True, scheme="nhs-number"),
    "person": data.Described("Number of the person"),
    "age": data.Described("Age in years at the visit"),
    "sex": data.Described("Sex as recorded"),
    "cost": data.Described("Cost of the visit in pounds"),
    "seen": data.Described("Day of the visit"),
}


@dataclass
class Site:
    """People: ada and adam are administrators, rita and rob researchers, carol the custodian of acme's data, cora,
    carl and cleo output checkers, olga an auditor. `url` is set while it is served on a port.
    """

    platform: Platform
    app: FastAPI
    people: People
    projects: Projects
    places: Places
    store: ContentStore
    url: str = ""
    actors: dict[str, Actor] = field(default_factory=dict)

    def furnish(self) -> None:
        for name in ("acme", "beta"):
            self.people.organisation(name)
        roles = {
            "adam": (Role.administrator,),
            "rita": (Role.researcher,),
            "rob": (Role.researcher,),
            "carl": (Role.checker,),
            "cora": (Role.checker,),
            "cleo": (Role.checker,),
            "olga": (Role.auditor,),
        }
        for name, held in roles.items():
            self.actors[name] = self.people.add(name, *held, organisation="uni" if name[0] == "r" else "beta")
        self.actors["carol"] = self.people.add("carol", organisation="acme", custodian_of=("acme",))
        self.actors["ada"] = self.people.admin
        self.register("visits", "Visits to a clinic", "Every visit of insured people to one clinic, 2020.")

    def register(self, slug: str, title: str, description: str, **changes: Any) -> None:
        write_parquet(self.places, "acme", slug, visits(records=1200, people=400))
        new = data.NewDataset(
            slug=slug,
            title=title,
            description=description,
            organisation="acme",
            legal_basis="Article 6(1)(e) UK GDPR, task in the public interest",
            terms="Research for the public benefit only.",
            sensitivity=Sensitivity.personally_identifiable,
            source_kind=SourceKind.parquet,
            source={"folder": slug},
            units=("person",),
            described=DESCRIBED,
        )
        data.register(self.platform.db, self.places, self.actors["carol"], new)

    def project(self, slug: str = "care-costs", *, by: str = "rita", approve: bool = True, **more: Any) -> str:
        asks = more.pop("asks", (Ask("visits", ("person", "age", "sex", "cost")),))
        make = self.projects.approved if approve else self.projects.propose
        return make(slug, self.actors[by], asks=asks, **more)

    def token(self, username: str, **options: Any) -> str:
        person = self.people.actor(username)
        who = SignedIn(username, username.title(), person.roles, self.people.session_round(username))
        return issue_token(self.platform.db, who, **{"scope": "all", "via": "web"} | options)[0]

    def visitor(self, username: str = "") -> "Visitor":
        """Somebody with a browser; signed in where a name is given."""
        return Visitor(self.url, {"tre-session": self.token(username)} if username else {})


@dataclass(frozen=True)
class TestPlatform(Platform):
    """Seals with the tests' own key; the secrets server's part is tested in tests/credentials."""

    __test__ = False
    local: Any = None

    @property
    def sealer(self) -> Any:
        return self.local


def build_site(settings: Settings, people: People, projects: Projects, places: Places, hub: Any = None) -> Site:
    store = in_folder(settings.content, reserve_bytes=0)
    platform = TestPlatform(settings, people.db, None, store, people.sealer)
    app = public_app(platform)
    app.mount("/tre", web_app(platform, hub))
    return Site(platform, app, people, projects, places, store)


class Switch:
    """One server for all tests of a session; each test puts its own application behind it."""

    app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


@contextmanager
def serving(app: Any, port: int = 0, path: Path | None = None) -> Iterator[str]:
    """The application on a loopback port or a Unix socket, in a thread."""
    if path:
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
    else:
        listener = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", proxy_headers=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield str(path or f"http://127.0.0.1:{listener.getsockname()[1]}")
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@dataclass
class Page:
    status: int
    headers: dict[str, str]
    cookies: list[str]
    text: str
    url: str

    @property
    def soup(self) -> BeautifulSoup:
        return BeautifulSoup(self.text, "html.parser")

    @property
    def words(self) -> str:
        """What a reader sees, blanks joined."""
        return re.sub(r"\s+", " ", self.soup.get_text(" ")).strip()

    @property
    def heading(self) -> str:
        return self.soup.h1.get_text(" ", strip=True) if self.soup.h1 else ""

    @property
    def problems(self) -> dict[str, str]:
        """The error summary: text → the id that its link leads to."""
        box = self.soup.select(".govuk-error-summary__list li")
        return {(item.a or item.strong).get_text(strip=True): item.a["href"][1:] if item.a else "" for item in box}

    def form(self, number: int = 0) -> Tag:
        return self.soup.main.find_all("form", method="post")[number]

    def links(self) -> list[str]:
        return [str(a["href"]) for a in self.soup.find_all("a", href=True)]


@dataclass
class Visitor:
    """Keeps cookies, follows no redirect unless told, and sends forms with everything a browser sends."""

    base: str
    cookies: dict[str, str] = field(default_factory=dict)

    def send(self, method: str, path: str, body: str | bytes | None = None, **headers: str) -> Page:
        target = urlsplit(urljoin(self.base, path))
        connection = http.client.HTTPConnection(target.hostname, target.port, timeout=30)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookies and "cookie" not in given:
            given["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        try:
            connection.request(method, target.path + (f"?{target.query}" if target.query else ""), body, given)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        finally:
            connection.close()
        cookies = [value for name, value in answer.getheaders() if name.lower() == "set-cookie"]
        for cookie in cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            if "Max-Age=0" in cookie:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return Page(answer.status, {k.lower(): v for k, v in answer.getheaders()}, cookies, text, path)

    def open(self, path: str, **headers: str) -> Page:
        return self.send("GET", path, sec_fetch_site="same-origin", sec_fetch_mode="navigate", **headers)

    def follow(self, page: Page) -> Page:
        assert page.status == 303, (page.status, page.words)
        return self.open(page.headers["location"])

    def post(self, path: str, fields: dict[str, Any], **headers: str) -> Page:
        given = {
            "content_type": "application/x-www-form-urlencoded",
            "sec_fetch_site": "same-origin",
            "sec_fetch_mode": "navigate",
            "sec_fetch_dest": "document",
            **headers,
        }
        return self.send("POST", path, urlencode(fields, doseq=True), **given)

    def submit(self, page: Page, number: int = 0, **fields: Any) -> Page:
        """Fills in the form of a page and sends it; what is not named stays as the page has it."""
        form = page.form(number)
        values = form_values(form)
        unknown = set(fields) - set(names_of(form))
        assert not unknown, f"the form has no {unknown}, only {sorted(set(names_of(form)))}"
        return self.post(str(form.get("action") or page.url), {**values, **fields})


def names_of(form: Tag) -> list[str]:
    return [
        str(field["name"]) for field in form.find_all(["input", "textarea", "select", "button"]) if field.get("name")
    ]


def form_values(form: Tag) -> dict[str, list[str]]:
    """What a browser would send for an untouched form."""
    values: dict[str, list[str]] = {}
    for item in form.find_all(["input", "textarea", "select"]):
        name, kind = item.get("name"), item.get("type", "")
        if not name or (kind in ("checkbox", "radio") and not item.has_attr("checked")):
            continue
        if item.name == "select":
            chosen = item.find("option", selected=True) or item.find("option")
            value = chosen.get("value", chosen.get_text()) if chosen else ""
        else:
            value = item.get_text() if item.name == "textarea" else item.get("value", "")
        values.setdefault(str(name), []).append(str(value))
    return values
