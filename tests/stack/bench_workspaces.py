"""From asking for a workspace to its kernel's first reply, beside plain JupyterHub; the platform's start and size.

`python -m tests.stack.bench_workspaces` prints JSON. Both hubs run at once and are measured in turns: the same proxy,
the same environment, one person each, an empty home. Ours does everything of a real start: the gate, the lease, the
sandbox, the guard, the sign-in through the guard. The fastest of each is compared: plain starts grow slower with every
turn, which is not to our credit.
"""

import json
import time
from typing import Any

import httpx
import psutil

from tests.stack.plain_hub import PlainHub
from tre.demo.browser import Browser
from tre.demo.cast import Account, Part
from tre.demo.governance import PROJECT
from tre.demo.journey import steps
from tre.demo.kernel import Kernel
from tre.demo.stage import Stage, running_platform, temporary_stage

ROUNDS = 7
#: The journey's steps up to a project whose members may start a workspace.
PREPARED_BY = "project: members accept the agreement"
PERSON = Part("rhea", "Rhea", "", "researcher")


def first_reply(browser: Browser, server: str) -> float:
    """Seconds from the request to start until a cell has run, as a person's browser goes."""
    name = browser.account.part.username
    base = f"/user/{name}/{server}/"
    home = browser.http.get("/hub/home")
    assert home.status_code == 200, home.url
    begun = time.perf_counter()
    answer = browser.http.post(f"/hub/spawn/{name}/{server}", data={"_xsrf": cross_site_token(browser)})
    assert answer.status_code < 400, answer.text
    while True:
        lab = browser.http.get(base + "lab", headers={"Sec-Fetch-Mode": "navigate", "Accept": "text/html"})
        if lab.status_code == 200 and "jupyter-config-data" in lab.text and base in str(lab.url):
            break
        assert time.perf_counter() - begun < 120, (lab.status_code, lab.url)
        time.sleep(0.05)
    kernel = Kernel(browser, base)
    assert kernel.must("print(6 * 7)").text.strip() == "42"
    taken = time.perf_counter() - begun
    kernel.close()
    return taken


def cross_site_token(browser: Browser) -> str:
    return next(c.value or "" for c in browser.http.cookies.jar if c.name == "_xsrf" and c.path == "/hub/")


def end(browser: Browser, server: str) -> None:
    """Stop it and wait until it is gone."""
    name = browser.account.part.username
    stop = f"/hub/api/users/{name}/servers/{server}"
    proof = {"X-XSRFToken": cross_site_token(browser), "Referer": f"{browser.url}/hub/home"}
    answer = browser.http.delete(stop, headers=proof)
    assert answer.status_code in (202, 204), answer.text
    while "stop" in answer.text or answer.status_code == 202:
        time.sleep(0.2)
        answer = browser.http.get("/hub/home")
        if f"/user/{name}/{server}/" not in answer.text:
            return


def plain_browser(hub: PlainHub) -> Browser:
    browser = Browser(hub.url, Account(PERSON))
    page = browser.http.get("/hub/login")
    browser.submit(page, "login", username=PERSON.username, password="any")
    return browser


def memory(supervisor: psutil.Process) -> dict[str, float]:
    """Resident megabytes of each part, by what it is; PostgreSQL's own processes share most of theirs (PSS)."""
    found: dict[str, float] = {}
    for process in [supervisor, *supervisor.children(recursive=True)]:
        words = process.cmdline()
        name = next((w for w in words if w.startswith("tre.") or w in ("jupyterhub",)), "") or process.name()
        found[name] = found.get(name, 0.0) + process.memory_full_info().pss / 1e6
    return {name: round(size, 1) for name, size in sorted(found.items(), key=lambda item: -item[1])}


def measure() -> dict[str, Any]:
    with temporary_stage() as stage:
        starts = []
        for _ in range(2):
            begun = time.perf_counter()
            with running_platform(stage) as up:
                starts.append(time.perf_counter() - begun)
                time.sleep(20)
                idle = memory(psutil.Process(up.pid))
        with running_platform(stage), PlainHub() as plain:
            return {"start_seconds": starts, "idle_mb": idle, **side_by_side(stage, plain)}


def side_by_side(stage: Stage, plain: PlainHub) -> dict[str, Any]:
    for name, step in steps(stage):
        step()
        if name == PREPARED_BY:
            break
    own = Browser(stage.url, stage.accounts["rhea"])
    own.sign_in()
    ways = {"tre": (own, PROJECT), "plain": (plain_browser(plain), PROJECT)}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(ROUNDS + 1):
        for name, (browser, server) in ways.items():
            seconds = first_reply(browser, server)
            if turn:  # the first start of each fills caches
                taken[name].append(seconds)
            end(browser, server)
    return {"first_reply_seconds": taken}


def run() -> list[dict[str, Any]]:
    """Rows of the benchmark page."""
    found = measure()
    own, plain = (min(found["first_reply_seconds"][name]) for name in ("tre", "plain"))
    ratio = own / plain
    slowest = max(found["start_seconds"])
    listed = ", ".join(f"{name} {size:g}" for name, size in found["idle_mb"].items())
    return [
        {
            "what": "start of a workspace to its kernel's first reply",
            "ours": f"{own:.2f} s",
            "other": f"{plain:.2f} s (JupyterHub, SimpleLocalProcessSpawner)",
            "ratio": round(ratio, 2),
            "goal": "≤ 1.1",
            "met": ratio <= 1.1,
            "detail": found,
        },
        {
            "what": "`tre up` to ready, on a new state folder and again",
            "ours": ", ".join(f"{seconds:.1f} s" for seconds in found["start_seconds"]),
            "goal": "≤ 15 s",
            "met": slowest <= 15,
        },
        {
            "what": f"memory of the idle platform, MB (PSS): {listed}",
            "ours": f"{sum(found['idle_mb'].values()):.0f} MB",
            "goal": "stated",
        },
    ]


if __name__ == "__main__":
    try:
        print(json.dumps(run(), indent=2))
    except httpx.HTTPError as error:
        raise SystemExit(f"the platform did not answer: {error}") from error
