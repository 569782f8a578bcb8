"""A person's browser without a screen: sign-in through the Hub, pages and forms, the workspace through the guard.

Follows the same links, cookies and cross-site tokens that a browser does; holds nothing that a browser would not.
"""

from __future__ import annotations

import html
import re
import time
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import httpx

from tre.demo.cast import Account
from tre.demo.stage import Unexpected


class Forms(HTMLParser):
    """Every form of a page that is sent by POST: its action and the fields that carry a value already."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.inside = found.get("method", "get").lower() == "post"
            if self.inside:
                self.forms.append((found.get("action", ""), {}))
        elif tag == "input" and self.inside and found.get("type") == "hidden" and "name" in found:
            self.forms[-1][1][found["name"]] = found.get("value", "")


class Browser:
    def __init__(self, url: str, account: Account) -> None:
        self.url = url
        self.account = account
        self.http = httpx.Client(base_url=url, follow_redirects=True, timeout=120, trust_env=False)

    def close(self) -> None:
        self.http.close()

    def sign_in(self) -> None:
        """Through the Hub's sign-in page, with password and one-time code."""
        page = self.http.get("/hub/login")
        answer = self.submit(
            page,
            "login",
            username=self.account.part.username,
            password=self.account.password,
            totp=self.account.next_code(),
        )
        if answer.status_code != 200 or "/hub/login" in str(answer.url):
            raise Unexpected(f"{self.account.part.username} could not sign in: {answer.status_code} {answer.url}")
        self.page("/tre/sign-in?next=/tre/")

    def page(self, path: str) -> httpx.Response:
        """A page that must be there."""
        answer = self.http.get(path)
        if answer.status_code != 200:
            raise Unexpected(f"{path} answered {answer.status_code}: {words(answer.text)[:300]}")
        return answer

    def propose(self, fields: dict[str, str], asks: dict[str, tuple[str, ...]]) -> None:
        """Chooses the datasets, fills in the form with the columns of each, and sends it."""
        page = self.http.get("/tre/propose", params={"dataset": list(asks)})
        columns = {f"columns:{dataset}": list(chosen) for dataset, chosen in asks.items()}
        answer = self.submit(page, "propose", dataset=list(asks), **fields, **columns)
        if "/projects/" not in str(answer.url):
            raise Unexpected(f"the proposal was not taken: {words(answer.text)[:600]}")

    def submit(self, page: httpx.Response, action: str, **fields: str | list[str]) -> httpx.Response:
        """Fills in the first form whose action holds `action` and sends it from that page."""
        parser = Forms()
        parser.feed(page.text)
        for target, hidden in parser.forms:
            if action in target or (not target and action in str(page.url)):
                address = urljoin(str(page.url), target)
                headers = {"Origin": self.url, "Referer": str(page.url)}
                return self.http.post(address, data={**hidden, **fields}, headers=headers)
        raise Unexpected(f"{page.url} has no form for {action}")

    def open_workspace(self, project: str, seconds: float = 60) -> str:
        """Starts the workspace from the spawn page and waits until the Hub sends there and Lab opens; its path."""
        name = self.account.part.username
        base = f"/user/{name}/{project}/"
        answer = self._start(project)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if answer.status_code >= 400:
                raise Unexpected(f"The workspace did not start: {answer.status_code} {words(answer.text)[:400]}")
            # Before the Hub sends there it has not seen the workspace answer, and may yet end it.
            if answer.url.path.startswith(base):
                lab = self.http.get(base + "lab")
                if lab.status_code == 200 and "jupyter-config-data" in lab.text:
                    return base
            time.sleep(0.3)
            answer = self.http.get(f"/hub/spawn-pending/{name}/{project}")
        raise Unexpected(f"The workspace did not open within {seconds:.0f} s; last seen {answer.url}")

    def refused_workspace(self, project: str, seconds: float = 30) -> str:
        """The words of a refusal to start. Raises `Unexpected` when it starts."""
        name = self.account.part.username
        answer = self._start(project)
        until = time.monotonic() + seconds
        while time.monotonic() < until and answer.status_code < 400:
            if "spawn-pending" not in str(answer.url):
                raise Unexpected(f"The workspace was not refused; the page is {answer.url}")
            time.sleep(0.3)
            answer = self.http.get(f"/hub/spawn-pending/{name}/{project}")
        return words(answer.text)

    def _start(self, project: str) -> httpx.Response:
        """As the spawn page's button does, also where the page shows none; a workspace that runs is only opened."""
        address = f"/hub/spawn/{self.account.part.username}/{project}"
        page = self.http.get(address)
        if not str(page.url).endswith(address):
            return page
        headers = {"Origin": self.url, "Referer": self.url + address}
        return self.http.post(address, data={"_xsrf": self.xsrf("/hub/")["X-XSRFToken"]}, headers=headers)

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """A call of the workspace's Jupyter API with its cross-site token."""
        answer = self.http.request(method, path, json=body, headers={**self.xsrf(path), "Origin": self.url})
        if not answer.is_success:
            raise Unexpected(f"{method} {path} answered {answer.status_code}: {answer.text[:300]}")
        return answer.json() if answer.content else None

    def xsrf(self, path: str) -> dict[str, str]:
        fitting = [c for c in self.http.cookies.jar if c.name == "_xsrf" and path.startswith(c.path)]
        best = max(fitting, key=lambda cookie: len(cookie.path), default=None)
        return {"X-XSRFToken": best.value} if best and best.value else {}

    def cookie_header(self, path: str) -> str:
        fitting = [cookie for cookie in self.http.cookies.jar if path.startswith(cookie.path)]
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in sorted(fitting, key=lambda c: -len(c.path)))


def words(page: str) -> str:
    """The text of a page, without markup."""
    bare = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", page, flags=re.S | re.I)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", bare))).strip()
