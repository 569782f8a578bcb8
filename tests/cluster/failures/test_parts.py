"""Each of our pods is killed once under an open workspace: within the seconds that stand here its part does again what
it is for, and nothing is lost.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cluster.chart.researcher import NAME
from tre.demo.browser import Browser
from tre.outputs.steps import LEASE
from tre.workspaces.kubernetes.names import workspace_of

from .scene import Scene, within

pytestmark = pytest.mark.timeout(400)


def test_the_proxy(scene: Scene) -> None:
    """The only one of it: its websockets end with it, and the page connects again."""
    (proxy,) = scene.pods("proxy")
    scene.kill(proxy)
    assert scene.researcher.says_again("print(x)", seconds=30) == "41"
    scene.nothing_is_lost()


def test_each_of_two_guards(scene: Scene) -> None:
    """The one that begins in the place of the first must know every route before the second goes."""
    for guard in scene.pods("guard"):
        scene.kill(guard)
        assert scene.researcher.says_again("print(x)", seconds=30) == "41"
        scene.nothing_is_lost()
    assert len(scene.pods("guard")) == 2


def test_all_guards_at_once(scene: Scene) -> None:
    """Nobody is left who was told where the workspace is: those that begin know it from the control plane."""
    gone = scene.pods("guard")
    for guard in gone:
        scene.kill(guard)
    assert scene.researcher.says_again("print(x)", seconds=60) == "41"
    scene.nothing_is_lost()
    assert not set(gone) & set(scene.pods("guard"))


def test_the_hub_and_all_guards_at_once(scene: Scene) -> None:
    """Whoever told the guards is gone as well."""
    for part in ("hub", "guard"):
        for pod in scene.pods(part):
            scene.kill(pod)
    scene.researcher.stage.wait_until_people_can_come(90)
    assert scene.researcher.says_again("print(x)", seconds=60) == "41"
    scene.nothing_is_lost()


def test_the_hub(scene: Scene) -> None:
    """Whoever is in goes on meanwhile; people sign in again, and find their workspace."""
    (hub,) = scene.pods("hub")
    scene.kill(hub)
    assert scene.researcher.says("print(x)") == "41"
    browser = Browser(scene.researcher.stage.url, scene.researcher.stage.accounts[NAME])
    scene.researcher.stage.wait_until_people_can_come(60)
    browser.sign_in()
    assert browser.open_workspace(scene.researcher.project) == scene.researcher.kernel.base
    scene.nothing_is_lost()


def test_the_api(scene: Scene) -> None:
    (api,) = scene.pods("api")
    scene.kill(api)
    assert scene.researcher.says("print(x)") == "41"
    assert within(60, scene.researcher.live) == [scene.workspace]
    scene.nothing_is_lost()


def test_what_was_submitted_is_checked_though_all_who_check_are_killed(scene: Scene) -> None:
    """The worker reads it, the checking pod does what it is told, the intake took it. Where the worker had begun,
    another begins when its lease is over.
    """
    request = scene.researcher.submit()
    for part in ("worker", "checker", "intake"):
        for pod in scene.pods(part):
            scene.kill(pod)
    found = scene.researcher.checked(request, seconds=LEASE.total_seconds() + 60)
    assert found["state"] == "in_review", found
    assert {file["evidence"] for file in found["files"] if file["name"] == "visits.csv"} == {"verified"}
    scene.nothing_is_lost()
    assert scene.researcher.submits()["state"] == "in_review"


def test_of_two_controllers_the_other_leads(scene: Scene) -> None:
    """A Lease lasts 15 s after its holder is gone."""
    both, leader = scene.pods("controller"), scene.leader()
    assert len(both) == 2
    assert leader in both
    scene.kill(leader)
    policy = ("--namespace", scene.space, "networkpolicy/default-deny")
    scene.release.kubectl("delete", *policy)
    assert within(30, scene.leader, lambda found: found not in ("", leader))
    assert within(10, lambda: scene.release.kubectl("get", *policy, "--output=name"))
    scene.nothing_is_lost()
    assert scene.leader() in scene.pods("controller")


def test_a_verification_whose_controller_is_killed_comes_to_its_end_by_the_other(scene: Scene) -> None:
    """Nothing of the attempt that was broken off stays, nor of the one that was not."""
    asked = ("exec", "deployment/tre-api", "--", "tre", "verify", scene.workspace, "--json")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(scene.release.space, *asked)
        probes = within(60, lambda: [name for name in scene.names() if "probe" in name])
        leader = scene.leader()
        scene.kill(leader)
        report = json.loads(answer.result(timeout=300))
    assert report["ok"], [probe for probe in report["probes"] if probe["verdict"] != "refused"]
    assert not set(probes) & {workspace_of(probe["workspace_id"]) for probe in report["probes"]}
    assert within(30, scene.names, lambda names: len(names) == 1) == [scene.pod()["metadata"]["name"]]
    scene.nothing_is_lost()
