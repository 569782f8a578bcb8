"""From asking for a workspace to its kernel's first reply, as a pod, beside JupyterHub with KubeSpawner as it comes.

`python -m tests.cluster.bench_start` prints JSON. Needs the cluster of the tests with our images (`make cluster`, `make
images`) and root, who made it. Both hubs run at once and are measured in turns: the same images, the same limits, one
person each. Ours does everything of a real start: the gate, the lease, the policies, the guard. The middle of each is
compared.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

from tests.cluster.chart.release import installed
from tests.cluster.chart.researcher import NAME, researcher_on
from tests.cluster.machine import lifecycle
from tests.cluster.machine.contents import Kubectl
from tests.cluster.machine.place import place
from tests.cluster.plain_hub import plain_hub
from tests.stack.bench_workspaces import end, first_reply
from tre.demo.browser import Browser
from tre.demo.cast import Account, Part

ROUNDS = 7
POLICY = ("cpus=1", "memory_bytes=1GiB")
LIMITS = {"cpu_limit": 1, "cpu_guarantee": 1, "mem_limit": "1G", "mem_guarantee": "1G"}
PERSON = Part(NAME, "Rhea", "", "researcher")
WHAT = "start of a workspace as a pod to its kernel's first reply"


def run() -> list[dict[str, Any]]:
    """Rows of the benchmark page."""
    where = place()
    if os.geteuid() != 0 or not lifecycle.is_up(where):
        return [{"what": WHAT, "ours": "did not run: it needs root and `make cluster`", "goal": "", "met": None}]
    found = measure(Kubectl(where.programs / "kubectl", {**os.environ, "KUBECONFIG": str(where.kubeconfig)}))
    own, plain = (statistics.median(found[name]) for name in ("tre", "plain"))
    return [
        {
            "what": WHAT,
            "ours": f"{own:.2f} s",
            "other": f"{plain:.2f} s (JupyterHub, KubeSpawner, the same image)",
            "ratio": round(own / plain, 2),
            "goal": "≤ 1.15",
            "met": own <= 1.15 * plain,
            "detail": found,
        }
    ]


def measure(kubectl: Kubectl) -> dict[str, list[float]]:
    where = place()
    with (
        tempfile.TemporaryDirectory() as folder,
        installed(kubectl, where, where.programs / "helm") as release,
        plain_hub(kubectl, LIMITS) as url,
    ):
        release.settle()
        with researcher_on(release, Path(folder)) as researcher:
            researcher.settle_in()
            researcher.stage.tre("ada", "workspace", "policy", "set", *POLICY, "--reason", "As the other hub's.")
            researcher.sign_in()
            researcher.wait_for_the_volume()
            return in_turns({"tre": researcher.browser, "plain": signed_in(url)}, researcher.project)


def signed_in(url: str) -> Browser:
    browser = Browser(url, Account(PERSON))
    browser.submit(browser.http.get("/hub/login"), "login", username=PERSON.username, password="any")
    return browser


def in_turns(ways: dict[str, Browser], server: str) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(ROUNDS + 1):
        for name, browser in ways.items():
            seconds = first_reply(browser, server)
            if turn:  # the first start of each fills caches
                taken[name].append(round(seconds, 2))
            end(browser, server)
    return taken


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
