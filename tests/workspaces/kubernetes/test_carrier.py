"""Whoever carries an extract: a workspace's pod in every wall, with a program, a writable volume and no home."""

import copy
import json
from dataclasses import replace

from tests.workspaces.kubernetes.house import EVERYTHING, LIMITS, check_schema, cluster
from tre.data.carrying import Load
from tre.workspaces.kubernetes.carrier import CPUS, LONGEST_SECONDS, MEMORY_BYTES, carrier_pod, plan_of
from tre.workspaces.kubernetes.pod import workspace_pod
from tre.workspaces.kubernetes.secret import workspace_secret

LOAD = Load(7, "x_0123", "cost", False, {"part-1.parquet": ("ab" * 32, 12)}, "accessor:lease")
LOGIN = {"pg_service.conf": "[project]\n"}
PLAN = plan_of(LOAD, LIMITS, LOGIN, ("one",))


def test_it_differs_from_a_workspace_in_what_it_does_and_in_nothing_that_holds_it():
    made, workspace = carrier_pod(cluster(), LOAD, PLAN), workspace_pod(cluster(), PLAN)
    check_schema(made)
    (container,), (other,) = made["spec"].pop("containers"), workspace["spec"].pop("containers")
    volumes, theirs = made["spec"].pop("volumes"), workspace["spec"].pop("volumes")
    assert made == workspace
    mounts, their_mounts = container.pop("volumeMounts"), other.pop("volumeMounts")
    command, arguments = container.pop("command"), container.pop("args")
    assert container.pop("workingDir") == "/data"
    assert container.pop("terminationMessagePolicy") == "FallbackToLogsOnError"
    assert container == {key: value for key, value in other.items() if key in container}
    assert other.keys() - container.keys() == {
        "ports",
        "readinessProbe",
        "terminationMessagePolicy",
        "workingDir",
    }
    assert command[:3] == ["/opt/tre/env/bin/python", "-I", "-c"]
    assert json.loads(arguments[0]) == {
        "name": "x_0123",
        "away": False,
        "files": {"part-1.parquet": ["ab" * 32, 12]},
    }
    assert [each for each in volumes if each not in theirs] == [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    ]
    assert [each["name"] for each in theirs if each not in volumes] == ["home"]
    assert [each for each in mounts if each not in their_mounts] == [{"name": "data", "mountPath": "/data"}]


def test_it_is_never_larger_than_a_workspace_and_holds_no_more_than_a_login():
    assert (PLAN.limits.memory_bytes, PLAN.limits.cpus) == (MEMORY_BYTES, CPUS)
    assert PLAN.limits.max_age_seconds == LONGEST_SECONDS
    tiny = plan_of(LOAD, replace(LIMITS, memory_bytes=64 << 20, cpus=0.1), LOGIN, ())
    assert (tiny.limits.memory_bytes, tiny.limits.cpus) == (64 << 20, 0.1)
    secret = workspace_secret(cluster(), PLAN, pod_uid="u")
    assert secret["data"].keys() == {"pg_service.conf", "_server.json", "_passwd"}


def test_taking_away_needs_no_login_and_has_another_name():
    away = replace(LOAD, away=True)
    plan = plan_of(away, LIMITS, {}, ())
    made = carrier_pod(cluster(), away, plan)
    check_schema(made)
    assert made["metadata"]["name"] == "workspace-carrier-away-0123"
    assert carrier_pod(cluster(), LOAD, PLAN)["metadata"]["name"] == "workspace-carrier-0123"
    assert plan.secrets == {"none": "none"}


def test_it_computes_nothing():
    made = carrier_pod(copy.deepcopy(EVERYTHING), LOAD, PLAN)
    check_schema(made)
    assert "nvidia" not in json.dumps(made["spec"]["containers"][0]["resources"])
    assert "nodeSelector" not in made["spec"]
