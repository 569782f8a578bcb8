"""Projects on a real API server: what a pass makes, leaves alone, repairs and refuses, and what it tells the record."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.cluster.projects.house import Installation, Object
from tre.errors import NotFound, Unavailable
from tre.people.model import Role
from tre.projects import service as projects
from tre.workspaces.kubernetes.api import APPLY
from tre.workspaces.kubernetes.content import CLAIM, NAMESPACE, NETWORK_POLICY, POD, ROLE, ROLE_BINDING, SECRET, Kind
from tre.workspaces.kubernetes.controller import Controller, keep
from tre.workspaces.kubernetes.leader import LEASE, Leader
from tre.workspaces.kubernetes.names import MANAGER
from tre.workspaces.kubernetes.pod import workspace_pod
from tre.workspaces.kubernetes.workspaces import PodRuntime


def test_a_project_is_made_once_and_a_pass_with_nothing_to_do_writes_nothing(installation: Installation) -> None:
    assert installation.converge() == 1
    (event,) = installation.events()
    assert (event["action"], event["actor"]) == ("cluster.converge", "system")
    assert event["detail"]["made"][0] == f"Namespace/{installation.space}"
    assert event["detail"]["made"][-1] == "RoleBinding/hub"
    before = installation.writes()
    assert [installation.converge(), installation.converge()] == [0, 0]
    assert (installation.writes(), len(installation.events())) == (before, 1)


def test_every_object_and_a_workspace_is_admitted_and_taken_whole(installation: Installation) -> None:
    installation.converge()
    assert not installation.controller.trouble
    made = workspace_pod(installation.cluster, installation.plan("w1"))
    shown = installation.start("w1")
    assert contains(shown["spec"], made["spec"] | {"nodeSelector": {"tre.example/none": "x"}})


def contains(shown: Any, asked: Any) -> bool:
    """What is false need not be shown."""
    if isinstance(asked, dict):
        return isinstance(shown, dict) and all(contains(shown.get(key, False), asked[key]) for key in asked)
    if isinstance(asked, list):
        return len(shown) == len(asked) and all(map(contains, shown, asked))
    return bool(shown == asked)


MORE_EGRESS = {"spec": {"egress": [{}], "policyTypes": ["Ingress"]}}
PATCHES: list[tuple[Kind, str, Object]] = [
    (NETWORK_POLICY, "default-deny", {"spec": {"podSelector": {"matchLabels": {"x": "y"}}}}),
    (NETWORK_POLICY, "default-deny", MORE_EGRESS),
    (NETWORK_POLICY, "workspace", MORE_EGRESS),
    (NETWORK_POLICY, "workspace", {"metadata": {"labels": {"more": "x"}}}),
    (ROLE, "hub", {"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}),
    (ROLE_BINDING, "hub", {"subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "eve"}]}),
    (CLAIM, "data", {"metadata": {"labels": {"tre.example/project": "other"}}}),
]


@pytest.mark.parametrize(("kind", "name", "patch"), PATCHES)
def test_what_was_changed_by_hand_is_as_it_was_and_on_record(
    installation: Installation, kind: Kind, name: str, patch: Object
) -> None:
    installation.converge()
    before = installation.get(kind, name)
    installation.api.ask("PATCH", kind.path(installation.space, name), {}, patch, "application/merge-patch+json")
    assert installation.converge() == 1
    after = installation.get(kind, name)
    for part in ("spec", "rules", "subjects"):
        assert after.get(part) == before.get(part)
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    assert installation.events()[-1]["action"] == "cluster.repair"
    assert installation.events()[-1]["detail"]["repaired"] == [f"{kind.name}/{name}"]
    assert installation.converge() == 0


def test_fields_that_another_manager_applied_are_taken_back(installation: Installation) -> None:
    """A forced apply alone would leave what the other one added."""
    installation.converge()
    path = NETWORK_POLICY.path(installation.space, "default-deny")
    named = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "default-deny"}}
    theirs = {**named, "spec": {"podSelector": {"matchLabels": {"x": "y"}}, "egress": [{}]}}
    for manager in ("kubectl", MANAGER):
        installation.api.ask("PATCH", path, {"fieldManager": manager, "force": "true"}, theirs, APPLY)
        assert installation.converge() == 1
        found = installation.get(NETWORK_POLICY, "default-deny")
        assert found["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert installation.converge() == 0


@pytest.mark.parametrize(
    ("kind", "name"), [(NETWORK_POLICY, "default-deny"), (NETWORK_POLICY, "workspace"), (ROLE, "hub")]
)
def test_what_was_deleted_by_hand_is_back(installation: Installation, kind: Kind, name: str) -> None:
    installation.converge()
    installation.api.ask("DELETE", kind.path(installation.space, name), {})
    assert installation.converge() == 1
    assert installation.get(kind, name)["metadata"]["name"] == name
    assert installation.events()[-1]["detail"]["repaired"] == [f"{kind.name}/{name}"]


def test_what_was_added_by_hand_and_opens_a_wall_is_gone(installation: Installation) -> None:
    installation.converge()
    metadata = {"name": "evil", "namespace": installation.space}
    open_all = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}
    installation.api.create(
        NETWORK_POLICY,
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": open_all},
    )
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "eve"}],
    }
    installation.api.create(ROLE_BINDING, binding)
    assert installation.converge() == 1
    event = installation.events()[-1]
    assert (event["action"], sorted(event["detail"]["removed"])) == (
        "cluster.repair",
        ["NetworkPolicy/evil", "RoleBinding/evil"],
    )
    # A binding of our name that refers to another role cannot be changed, only made anew.
    installation.api.ask("DELETE", ROLE_BINDING.path(installation.space, "hub"), {})
    installation.api.create(ROLE_BINDING, {**binding, "metadata": {**metadata, "name": "hub"}})
    assert installation.converge() == 1
    assert installation.get(ROLE_BINDING, "hub")["roleRef"]["name"] == "hub"
    assert installation.converge() == 0


def test_somebody_elses_namespace_of_our_name_is_refused_and_untouched(installation: Installation) -> None:
    theirs = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": installation.space}}
    installation.api.create(NAMESPACE, theirs)
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "theirs", "namespace": installation.space},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]},
    }
    installation.api.create(NETWORK_POLICY, policy)
    before = installation.api.ask("GET", NAMESPACE.path(name=installation.space), {})
    other = f"{installation.slug}b"
    installation.desk.projects.approved(other, installation.desk.bob)
    # The other project is made all the same.
    assert installation.converge() == 1
    assert "did not make" in installation.controller.trouble[installation.slug].reason
    assert installation.api.ask("GET", NAMESPACE.path(name=installation.space), {}) == before
    listed = installation.api.ask("GET", NETWORK_POLICY.path(installation.space), {})["items"]
    assert [each["metadata"]["name"] for each in listed] == ["theirs"]
    assert not installation.events()
    # It is not tried again and again.
    writes = installation.writes()
    assert installation.converge() == 0
    assert installation.writes() == writes
    installation.now += 2
    assert installation.converge() == 0
    assert installation.writes() == writes + 1


def test_a_project_named_like_our_own_namespace_is_refused(installation: Installation) -> None:
    cluster = replace(installation.cluster, control_namespace=installation.space)
    controller = Controller(installation.desk.people.db, cluster, installation.controller.hand)
    assert controller.converge() == 0
    assert "platform's own namespace" in controller.trouble[installation.slug].reason


def test_pods_live_as_long_as_their_workspaces_may(installation: Installation) -> None:
    installation.converge()
    workspace = "0123456789abcdef"
    installation.start(workspace)
    # The database knows of no such workspace.
    assert installation.converge() == 1
    assert installation.events()[-1]["detail"]["ended"] == [f"Pod/workspace-{workspace}"]
    gone(lambda: installation.get(POD, f"workspace-{workspace}"))


def test_a_suspended_projects_pods_end_and_no_new_one_is_admitted(installation: Installation) -> None:
    installation.converge()
    installation.start("w1")
    admin = installation.desk.people.admin
    projects.suspend(installation.desk.people.db, admin, installation.slug, reason="A breach.")
    assert installation.converge() == 1
    gone(lambda: installation.get(POD, "workspace-w1"))
    with pytest.raises(Unavailable, match="exceeded quota"):
        installation.start("w2")
    projects.approve(installation.desk.people.db, admin, installation.slug, reason="Mended.")
    assert installation.converge() == 1
    assert installation.get(CLAIM, "home-bob")
    until(lambda: installation.start("w3"))


def test_a_closed_projects_namespace_goes_after_its_retention(installation: Installation) -> None:
    installation.converge()
    people = installation.desk.people
    projects.close(people.db, people.admin, installation.slug, reason="Done.")
    installation.converge()
    people.clock.advance(days=installation.cluster.retention_days, seconds=-1)
    assert installation.converge() == 0
    people.clock.advance(seconds=1)
    assert installation.converge() == 1
    assert installation.events()[-1]["action"] == "cluster.remove"
    assert installation.events()[-1]["detail"]["deleted"] == [f"Namespace/{installation.space}"]
    assert installation.converge() == 0


def test_the_pods_of_a_project_that_the_database_does_not_know_end_and_its_homes_stay(
    installation: Installation,
) -> None:
    installation.converge()
    installation.start("w1")
    with installation.desk.people.db.transaction() as session:
        projects.get(session, installation.slug).state = "proposed"
    assert installation.converge() == 1
    gone(lambda: installation.get(POD, "workspace-w1"))
    assert installation.get(CLAIM, "home-bob")
    assert installation.converge() == 0


def test_a_new_member_gets_a_home_and_the_former_ones_stays(installation: Installation) -> None:
    installation.converge()
    people = installation.desk.people
    people.add("cy", Role.researcher)
    projects.add_member(people.db, people.admin, installation.slug, username="cy")
    projects.remove_member(people.db, people.admin, installation.slug, username="bob", reason="left")
    assert installation.converge() == 1
    assert [installation.get(CLAIM, f"home-{name}")["kind"] for name in ("bob", "cy")] == [CLAIM.name] * 2
    assert installation.events()[-1]["action"] == "cluster.converge"


def test_a_secret_is_replaced_while_it_runs_and_an_end_is_asked_twice(installation: Installation) -> None:
    installation.converge()
    installation.start("w1")
    runtime = PodRuntime(installation.api, installation.cluster)
    workspace: Any = type("Row", (), {"project_slug": installation.slug, "id": "w1"})()
    runtime.replace_secret(workspace, "intake.token", "new")
    assert installation.get(SECRET, "workspace-w1")["data"]["intake.token"] == "bmV3"
    runtime.end_sandbox(workspace)
    runtime.end_sandbox(workspace)
    gone(lambda: installation.get(POD, "workspace-w1"))
    # It belonged to the pod.
    gone(lambda: installation.get(SECRET, "workspace-w1"))
    with pytest.raises(NotFound):
        runtime.replace_secret(workspace, "intake.token", "new")


def test_who_does_not_lead_writes_nothing_and_records_nothing(installation: Installation) -> None:
    installation.leads = False
    before = installation.writes()
    assert installation.converge() == 0
    assert (installation.writes(), installation.events()) == (before, [])
    assert "does not lead" in installation.controller.trouble[installation.slug].reason


def test_of_two_controllers_one_leads(installation: Installation, control: str) -> None:
    one, two = (Leader(installation.api, control, name) for name in ("one", "two"))
    assert [one.campaign(), two.campaign(), one.campaign()] == [True, False, True]
    one.resign()
    assert [two.campaign(), one.campaign()] == [True, False]


@pytest.mark.parametrize(
    ("verb", "what", "may"),
    [
        ("create", "pods", True),
        ("delete", "pods", True),
        ("create", "secrets", True),
        ("get", "secrets", False),
        ("list", "secrets", False),
        ("create", "pods/exec", False),
        ("get", "pods/log", False),
        ("create", "persistentvolumeclaims", False),
        ("delete", "networkpolicies.networking.k8s.io", False),
        ("create", "rolebindings.rbac.authorization.k8s.io", False),
        ("create", "serviceaccounts/token", False),
    ],
)
def test_what_the_hub_may_there(installation: Installation, verb: str, what: str, may: bool) -> None:
    installation.converge()
    hub = f"system:serviceaccount:{installation.cluster.control_namespace}:hub"
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": hub, "resourceAttributes": _attributes(installation.space, verb, what)},
    }
    answer = installation.api.ask("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {}, review)
    assert answer["status"]["allowed"] is may


def _attributes(space: str, verb: str, what: str) -> Object:
    resource, _, group = what.partition(".")
    resource, _, part = resource.partition("/")
    return {"namespace": space, "verb": verb, "group": group, "resource": resource, "subresource": part}


@pytest.fixture
def control(installation: Installation) -> Iterator[str]:
    """The control namespace, for the Lease."""
    name = installation.cluster.control_namespace
    installation.api.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    installation.api.ask("DELETE", NAMESPACE.path(name=name), {})


def test_drift_is_seen_without_being_looked_for_also_when_one_of_two_controllers_leaves(
    installation: Installation, control: str
) -> None:
    db = installation.desk.people.db
    leave = {name: threading.Event() for name in ("one", "two")}
    running = {
        name: threading.Thread(target=keep, args=(db, installation.cluster, installation.api, name, leave[name]))
        for name in leave
    }
    for thread in running.values():
        thread.start()
    try:
        until(lambda: installation.events())
        assert installation.get(ROLE_BINDING, "hub")
        assert len(installation.events()) == 1, "only one of them acts"
        for repairs in (1, 2):
            installation.api.ask("DELETE", NETWORK_POLICY.path(installation.space, "default-deny"), {})
            until(lambda: installation.get(NETWORK_POLICY, "default-deny"))
            until(lambda expected=repairs: len(installation.events()) == 1 + expected)  # type: ignore[misc]
            holder = installation.api.ask("GET", LEASE.path(control, MANAGER), {})["spec"]["holderIdentity"]
            leave[holder].set()
            running[holder].join()
        assert {event["action"] for event in installation.events()[1:]} == {"cluster.repair"}
    finally:
        for name in leave:
            leave[name].set()
            running[name].join()


def until(true: Callable[[], object], *, within: float = 20) -> None:
    """Asked again while it is false, missing or refused."""
    end = time.monotonic() + within
    while True:
        try:
            if true():
                return
        except (NotFound, Unavailable):
            pass
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.05)


def gone(get: Callable[[], object]) -> None:
    def missing() -> bool:
        try:
            get()
        except NotFound:
            return True
        return False

    until(missing)
