"""A real Hub starts and stops pods on a real cluster; every refusal is told on its page in words."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.projects.house import Installation
from tests.cluster.projects.pods import SMALL, PodDoor, new_door, volume
from tests.door.parts import wait_for
from tests.door.platform import Person
from tre.errors import NotFound
from tre.workspaces.kubernetes.content import POD, Kind
from tre.workspaces.kubernetes.names import workspace_of

VOLUME = Kind("PersistentVolume", "v1", "persistentvolumes", namespaced=False)
MISSING = "localhost/tre-none:1"


@pytest.fixture
def door(installation: Installation, kubeconfig: Path) -> Iterator[PodDoor]:
    installation.set_limits(SMALL)
    made = volume(installation.space, "home-bob")
    installation.api.create(VOLUME, made)
    installation.converge()
    assert not installation.controller.trouble
    found = new_door(installation, kubeconfig)
    try:
        found.start()
        found.add_person("bob", installation.slug)
        yield found
    finally:
        found.stop()
        installation.api.ask("DELETE", VOLUME.path(name=made["metadata"]["name"]), {})


@pytest.fixture
def bob(door: PodDoor) -> Person:
    person = Person(door, "bob")
    assert "Your workspaces" in person.sign_in().text, door.log("hub")
    return person


def is_gone(door: PodDoor, workspace_id: str) -> bool:
    try:
        door.pod(workspace_id)
    except NotFound:
        return True
    return False


def test_a_pod_from_its_start_to_its_end_across_a_hub_that_is_killed(door: PodDoor, bob: Person) -> None:
    slug = door.home_of_it.slug
    bob.start(slug)
    workspace = door.last()
    assert door.events(workspace) == [("running", "")], door.log("hub")
    pod = door.pod(workspace)
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["qosClass"] == "Guaranteed"
    assert door.secret(workspace)["metadata"]["ownerReferences"][0]["uid"] == pod["metadata"]["uid"]
    assert door.route(workspace).json()["base_url"] == f"/user/bob/{slug}/"
    written = door.places.routes_file.read_text()
    assert f'"{pod["status"]["podIP"]}:8888"' in written
    assert door.plans[-1]["jupyter_token"] not in door.log("hub")
    assert "the-token" not in door.log("hub")
    door.processes["hub"].stop(signal.SIGKILL)
    door.start_one("hub")
    assert door.pod(workspace)["metadata"]["uid"] == pod["metadata"]["uid"]
    bob.sign_in()
    bob.stop(slug)
    wait_for(lambda: is_gone(door, workspace), "the pod's end", 60)
    wait_for(lambda: len(door.events(workspace)) == 2, "the event", 60)
    assert door.events(workspace)[-1] == ("stopped", "")
    assert door.route(workspace).status_code == 404
    with pytest.raises(NotFound):
        door.secret(workspace)


def test_a_pod_that_somebody_deletes_is_told_as_failed(door: PodDoor, bob: Person) -> None:
    bob.start(door.home_of_it.slug)
    workspace = door.last()
    assert door.events(workspace) == [("running", "")], door.log("hub")
    uid = door.pod(workspace)["metadata"]["uid"]
    door.home_of_it.api.delete(POD, door.home_of_it.space, workspace_of(workspace), uid=uid)
    wait_for(lambda: len(door.events(workspace)) == 2, "the event", 60)
    assert door.events(workspace)[-1] in [("failed", "Its pod was deleted."), ("failed", "Its pod is gone.")]
    assert door.route(workspace).status_code == 404


def test_refusals_are_told_in_words_and_leave_nothing(door: PodDoor, bob: Person) -> None:
    installation, slug = door.home_of_it, door.home_of_it.slug
    door.api.refuse_start[slug] = "The training of bob has expired."
    assert "The training of bob has expired." in bob.start(slug).text
    door.api.refuse_start.clear()

    fillers = [installation.start(f"w{number}") for number in range(2)]
    page = bob.start(slug).text
    assert "all that it may have at once" in page, page
    assert door.events(door.last())[-1][0] == "failed"
    for each in fillers:
        installation.api.delete(POD, installation.space, each["metadata"]["name"], uid=each["metadata"]["uid"])

    door.processes["hub"].stop()
    door.write_file(MISSING)
    door.start_one("hub")
    bob.sign_in()
    page = bob.start(slug).text
    assert "its image is not on the node" in page, page
    assert door.events(door.last())[-1][0] == "failed"
    wait_for(lambda: is_gone(door, door.last()), "the pod's end", 60)
