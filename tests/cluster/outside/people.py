"""People of the institution: they come by its own name for the platform, over TLS, and sign in at its provider."""

from __future__ import annotations

import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.cluster.chart.release import Release
from tests.cluster.chart.researcher import NAME, Researcher
from tre.demo.browser import Browser
from tre.demo.cast import Account
from tre.demo.release_stage import ReleaseStage
from tre.settings import Settings
from tre.workspaces.kubernetes.names import namespace_of

from .town import URL

SECOND_FACTOR = "pwd otp"
SUBJECTS = {"ada": "s-ada", NAME: "s-rhea"}


@dataclass
class TownStage(ReleaseStage):
    """Everybody comes by the name that people know; no port is forwarded."""

    @property
    def url(self) -> str:
        return URL

    def login(self, username: str) -> None:
        """Who has no identity at the provider: by password and code."""
        account = self.accounts[username]
        arguments = ("login", "--url", URL, "--username", username, "--password-file", "-")
        self.tre(username, *arguments, "--totp", account.next_code(), stdin=account.password)

    def login_by_browser(self, browser: ProviderBrowser) -> None:
        """A terminal of theirs, let in by the code that it shows."""
        username = browser.account.part.username
        command = [sys.executable, "-m", "tre.cli.main", "login", "--browser", "--url", URL, "--json"]
        with subprocess.Popen(
            command, env=self.environment(username), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as asking:
            assert asking.stderr is not None
            code = next(line.strip() for line in asking.stderr if line.startswith("    "))
            browser.submit(browser.page("/tre/terminal"), "terminal", code=code)
            said, _ = asking.communicate(timeout=60)
        assert asking.returncode == 0, said


class ProviderBrowser(Browser):
    """A person's browser that knows them by the subject of the provider."""

    def __init__(self, account: Account) -> None:
        super().__init__(URL, account)
        self.http.headers.update({"Sec-Fetch-Mode": "navigate", "Accept": "text/html"})
        self.subject = SUBJECTS[account.part.username]

    def sign_in(self) -> None:
        answer = self.at_the_provider()
        assert (answer.status_code, answer.url.path) == (200, "/hub/home"), answer.text
        self.page("/tre/sign-in?next=/tre/")

    def at_the_provider(self, amr: str = SECOND_FACTOR) -> httpx.Response:
        """Its own form, filled; lands wherever that leads."""
        return self.submit(self.http.get("/hub/oauth_login"), "/interaction/", person=self.subject, amr=amr)

    def redeem(self, code: str) -> None:
        """The page of an identity that nobody here has takes the code that an administrator handed over."""
        page = self.at_the_provider()
        assert page.status_code == 403, page.text
        linked = self.submit(page, "/hub/invitation", code=code)
        assert "Your account is linked" in linked.text, linked.text

    def is_in(self) -> bool:
        return self.http.get("/hub/home").url.path == "/hub/home"


class TownResearcher(Researcher):
    def sign_in(self) -> None:
        self.browser = ProviderBrowser(self.stage.accounts[NAME])
        self.browser.sign_in()


@dataclass
class Everybody:
    """`administrator` is ada's browser, which has not signed in yet."""

    stage: TownStage
    researcher: TownResearcher

    @classmethod
    def of(cls, release: Release, folder: Path) -> Everybody:
        kubeconfig = Path(release.kubectl.environment["KUBECONFIG"])
        kubectl = (*release.kubectl.command, f"--kubeconfig={kubeconfig}")
        # The run folder is asked for and stays empty: no port and no socket is ours here.
        settings = Settings(state=folder / "state", run=Path("/tmp/tre-town"))
        stage = TownStage(settings, folder=folder, namespace=release.space.name, kubectl=kubectl, kubeconfig=kubeconfig)
        stage.wait_until_people_can_come()
        found = TownResearcher(stage, f"w{secrets.token_hex(4)}")
        release.provide(namespace_of(release.space.name, found.project), f"home-{NAME}", "data")
        return cls(stage, found)

    def browser(self, username: str) -> ProviderBrowser:
        return ProviderBrowser(self.stage.accounts[username])

    def events(self, action: str) -> list[dict[str, Any]]:
        """Of the audit record, as its administrator sees it, oldest first."""
        found: list[dict[str, Any]] = self.stage.tre("ada", "audit", "list", "--action", action)
        return sorted(found, key=lambda event: int(event["seq"]))
