"""What is done for one project: nothing where all is as asked, and each change by hand named as what it is."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.workspaces.kubernetes.house import CONTROL, LIMITS, WISH, cluster
from tre.errors import Conflict
from tre.workspaces.kubernetes import desired
from tre.workspaces.kubernetes.comparison import Todo, compare
from tre.workspaces.kubernetes.content import (
    BY_NAME,
    CLAIM,
    LIMIT_RANGE,
    NAMESPACE,
    NETWORK_POLICY,
    POD,
    RESOURCE_QUOTA,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    Kind,
)
from tre.workspaces.kubernetes.world import Seen, World

NAME = "tre-cost"
CLUSTER = cluster()
Object = dict[str, Any]
Objects = dict[tuple[Kind, str], Object]


def as_shown(made: Object) -> Object:
    """With what the API server adds to every object."""
    shown = copy.deepcopy(made)
    shown["metadata"] |= {"uid": f"u-{made['metadata']['name']}", "resourceVersion": "7", "managedFields": [{}]}
    return shown | {"status": {"phase": "x"}}


def whole(wish: desired.Wish = WISH) -> Objects:
    return {(kind, made["metadata"]["name"]): as_shown(made) for kind, made in desired.objects(CLUSTER, wish)}


def seen(objects: Objects) -> dict[tuple[Kind, str], Seen]:
    world = World(None, CONTROL)  # type: ignore[arg-type]
    for (kind, _), found in objects.items():
        world.saw(kind, found)
    return dict(world.spaces().get(NAME, {}))


def judged(objects: Objects, wish: desired.Wish = WISH) -> Todo:
    return compare(wish, NAME, desired.wanted(CLUSTER, wish), seen(objects))


def pod(workspace: str, **metadata: Any) -> Object:
    labels = {"tre.example/installation": CONTROL, "tre.example/project": "cost", "tre.example/workspace": workspace}
    named = {"name": f"workspace-{workspace}", "namespace": NAME, "uid": workspace, "resourceVersion": "7"}
    return {"metadata": {**named, "labels": labels, **metadata}}


def test_what_is_as_asked_is_left_alone():
    assert judged(whole()) == Todo()
    assert not judged(whole())


def test_what_is_not_there_is_made_in_order():
    assert judged({}).make == tuple(desired.wanted(CLUSTER, WISH))


@pytest.mark.parametrize("over", [False, True])
def test_for_a_project_that_is_not_open_nothing_new_is_made(over: bool):
    assert judged({}, replace(WISH, open=False, over=over)) == Todo()


DENY, OPENINGS = (NETWORK_POLICY, "default-deny"), (NETWORK_POLICY, "workspace")
Change = Callable[[Object], object]
BY_HAND: list[tuple[tuple[Kind, str], Change]] = [
    (DENY, lambda o: o["spec"]["podSelector"].update(matchLabels={"x": "y"})),
    (DENY, lambda o: o["spec"].update(policyTypes=["Ingress"])),
    (DENY, lambda o: o["spec"].update(egress=[{}])),
    (OPENINGS, lambda o: o["spec"]["egress"].append({})),
    (OPENINGS, lambda o: o["spec"]["egress"][0].pop("ports")),
    (OPENINGS, lambda o: o["spec"]["ingress"][0]["from"].append({"ipBlock": {"cidr": "0.0.0.0/0"}})),
    (OPENINGS, lambda o: o["spec"]["ingress"][0]["ports"][0].update(endPort=65535)),
    (OPENINGS, lambda o: o["spec"]["podSelector"].clear()),
    ((NAMESPACE, NAME), lambda o: o["metadata"]["labels"].update({"pod-security.kubernetes.io/enforce": "privileged"})),
    ((NAMESPACE, NAME), lambda o: o["metadata"]["labels"].pop("pod-security.kubernetes.io/enforce")),
    ((NAMESPACE, NAME), lambda o: o["metadata"]["labels"].update({"tre.example/more": "x"})),
    ((RESOURCE_QUOTA, "project"), lambda o: o["spec"]["hard"].pop("pods")),
    ((RESOURCE_QUOTA, "project"), lambda o: o["spec"].update(scopes=["BestEffort"])),
    ((LIMIT_RANGE, "project"), lambda o: o["spec"]["limits"].pop()),
    ((SERVICE_ACCOUNT, "default"), lambda o: o.update(automountServiceAccountToken=True)),
    ((SERVICE_ACCOUNT, "default"), lambda o: o.pop("automountServiceAccountToken")),
    ((SERVICE_ACCOUNT, "default"), lambda o: o.update(imagePullSecrets=[{"name": "x"}])),
    ((ROLE, "hub"), lambda o: o["rules"].append({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]})),
    ((ROLE_BINDING, "hub"), lambda o: o["subjects"].append({"kind": "User", "name": "eve"})),
    ((ROLE_BINDING, "hub"), lambda o: o["roleRef"].update(kind="ClusterRole", name="admin")),
    ((ROLE_BINDING, "hub"), lambda o: o["metadata"]["annotations"].clear() or o["subjects"].clear()),
    ((CLAIM, "data"), lambda o: o["metadata"]["labels"].pop("tre.example/project")),
]


@pytest.mark.parametrize(("key", "change"), BY_HAND)
def test_a_change_by_hand_is_repaired(key: tuple[Kind, str], change: Change):
    objects = whole()
    change(objects[key])
    assert judged(objects) == Todo(repair=(key,))


@pytest.mark.parametrize(("kind", "name"), [key for key in whole() if key[0] not in (NAMESPACE, CLAIM, ROLE_BINDING)])
def test_what_was_deleted_by_hand_is_repaired(kind: Kind, name: str):
    objects = whole()
    del objects[kind, name]
    assert judged(objects) == Todo(repair=((kind, name),))


@pytest.mark.parametrize("kind", [NETWORK_POLICY, SERVICE_ACCOUNT, ROLE, ROLE_BINDING])
@pytest.mark.parametrize("labels", [{}, {"tre.example/installation": CONTROL, "tre.example/project": "cost"}])
def test_what_was_added_by_hand_and_could_open_a_wall_is_removed(kind: Kind, labels: dict[str, str]):
    objects = whole()
    objects[kind, "evil"] = as_shown({"metadata": {"name": "evil", "namespace": NAME, "labels": labels}, "spec": {}})
    (removed,) = judged(objects).remove
    assert (removed[0], removed[1].uid) == ((kind, "evil"), "u-evil")
    assert judged(objects) == Todo(remove=(removed,))


def test_others_labels_on_a_namespace_and_a_volume_and_others_annotations_are_theirs():
    objects = whole()
    for key in ((NAMESPACE, NAME), (CLAIM, "data")):
        objects[key]["metadata"]["labels"]["cattle.example/id"] = "7"
    for each in objects.values():
        each["metadata"]["annotations"]["backup.example/at"] = "now"
    assert judged(objects) == Todo()


def test_another_wish_is_a_change_and_no_repair():
    assert judged(whole(), replace(WISH, open=False)) == Todo(change=((RESOURCE_QUOTA, "project"),))
    joined = replace(WISH, people=2, homes=(*WISH.homes, "cy"))
    assert judged(whole(), joined) == Todo(make=((CLAIM, "home-cy"),), change=((RESOURCE_QUOTA, "project"),))


def test_a_home_grows_and_never_shrinks():
    def with_home(size: int) -> desired.Wish:
        return replace(WISH, limits=replace(LIMITS, home_bytes=size))

    assert (CLAIM, "home-bob") in judged(whole(), with_home(20 << 30)).change
    assert [key[0] for key in judged(whole(), with_home(5 << 30)).change] == [RESOURCE_QUOTA]


def test_a_former_members_home_stays():
    assert judged(whole(), replace(WISH, homes=("bob",))) == Todo(change=((RESOURCE_QUOTA, "project"),))


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"tre.example/installation": "other", "tre.example/project": "cost"},
        {"tre.example/installation": CONTROL, "tre.example/project": "benefit"},
        {"tre.example/project": "cost"},
    ],
)
@pytest.mark.parametrize("over", [False, True])
def test_a_namespace_that_does_not_say_that_it_is_ours_is_refused(labels: dict[str, str], over: bool):
    objects = whole()
    objects[NAMESPACE, NAME]["metadata"]["labels"] = labels
    objects[NETWORK_POLICY, "theirs"] = as_shown({"metadata": {"name": "theirs", "namespace": NAME}, "spec": {}})
    with pytest.raises(Conflict, match="did not make"):
        judged(objects, replace(WISH, over=over))


def test_in_a_namespace_that_is_not_seen_nothing_is_removed():
    theirs = {(NETWORK_POLICY, "theirs"): as_shown({"metadata": {"name": "theirs", "namespace": NAME}, "spec": {}})}
    todo = judged(theirs)
    assert (todo.remove, todo.end, todo.make[0]) == ((), (), (NAMESPACE, NAME))


def test_a_namespace_that_goes_is_waited_for():
    objects = whole()
    objects[NAMESPACE, NAME]["metadata"]["deletionTimestamp"] = "now"
    del objects[DENY]
    assert judged(objects) == Todo()


def test_when_its_time_is_over_the_namespace_goes_and_only_once():
    over = replace(WISH, open=False, over=True)
    assert judged({}, over) == Todo()
    todo = judged(whole(), over)
    assert todo.delete is not None
    assert todo == Todo(delete=todo.delete)


def test_pods_of_workspaces_that_may_not_run_end():
    objects = whole()
    for workspace in ("one", "two", ""):
        objects[POD, f"workspace-{workspace}"] = pod(workspace)
    objects[POD, "workspace-going"] = pod("going", deletionTimestamp="now")

    def ended(**changes: Any) -> list[str]:
        return [key[1] for key, _ in judged(objects, replace(WISH, **changes)).end]

    assert ended(live=frozenset({"one", "two"})) == ["workspace-"]
    assert ended(live=frozenset({"two"})) == ["workspace-one", "workspace-"]
    assert ended(live=frozenset({"one", "two"}), open=False) == ["workspace-one", "workspace-two", "workspace-"]


def test_a_pod_is_of_the_workspace_whose_name_it_has_whatever_its_labels_say():
    """The hub makes pods here, with labels as it likes: one workspace, one pod."""
    objects = whole()
    objects[POD, "workspace-one"] = pod("one")
    objects[POD, "workspace-two"] = pod("one", name="workspace-two")
    objects[POD, "kept"] = pod("one", name="kept", annotations={"tre.example/digest": "x"})
    todo = judged(objects, replace(WISH, live=frozenset({"one"})))
    assert [key[1] for key, _ in todo.end] == ["workspace-two", "kept"]


def test_of_those_who_try_the_walls_exactly_one_pod_lives():
    """Not another of the same labels, and none that came into its place."""
    objects = whole()
    objects[POD, "workspace-probe-1"] = pod("probe-1", uid="true")
    objects[POD, "workspace-probe-2"] = pod("probe-1", name="workspace-probe-2", uid="other")

    def ended(*guests: tuple[str, str], **changes: Any) -> list[str]:
        return [key[1] for key, _ in judged(objects, replace(WISH, guests=frozenset(guests), **changes)).end]

    assert ended(("probe-1", "true")) == ended(("probe-1", "")) == ["workspace-probe-2"]
    assert ended(("probe-1", "another")) == ended() == ["workspace-probe-1", "workspace-probe-2"]
    assert ended(("probe-1", "true"), open=False) == ["workspace-probe-1", "workspace-probe-2"]
    # A guest is no workspace: both must be right for the one, and the other asks for a name alone.
    assert ended(("probe-1", "true"), live=frozenset({"probe-2"})) == []


def test_an_older_state_does_not_replace_a_later_one_and_another_uid_is_another_object():
    world = World(None, CONTROL)  # type: ignore[arg-type]
    shown = whole()[DENY]
    later = copy.deepcopy(shown)
    later["metadata"]["resourceVersion"] = "10"
    later["spec"]["egress"] = [{}]
    world.saw(NETWORK_POLICY, later)
    world.saw(NETWORK_POLICY, shown)
    assert world.spaces()[NAME][DENY].version == 10
    world.gone(NETWORK_POLICY, NAME, "default-deny", uid="another")
    assert DENY in world.spaces()[NAME]
    world.gone(NETWORK_POLICY, NAME, "default-deny", uid="u-default-deny")
    assert world.spaces() == {}


def test_what_is_not_in_a_projects_namespace_is_not_remembered():
    world = World(None, CONTROL)  # type: ignore[arg-type]
    shown = whole()[DENY]
    shown["metadata"]["namespace"] = "kube-system"
    world.saw(NETWORK_POLICY, shown)
    assert world.spaces() == {}


def test_paths():
    assert NAMESPACE.path(name="x") == "/api/v1/namespaces/x"
    assert POD.path() == "/api/v1/pods"
    assert NETWORK_POLICY.path("x", "y") == "/apis/networking.k8s.io/v1/namespaces/x/networkpolicies/y"
    assert {kind.name: kind for kind in BY_NAME.values()} == BY_NAME
