"""The canary's objects as wholes, and its judgement: nothing but a shown wall counts as one."""

import json
import subprocess
import sys

import pytest

from tests.workspaces.kubernetes.house import check_schema, cluster
from tre.errors import InvalidInput
from tre.stack.ports import free_ports
from tre.workspaces.kubernetes import canary, reach
from tre.workspaces.kubernetes.canary import CONFINED, FREE, Node, judge
from tre.workspaces.kubernetes.names import namespace_of

NODE = Node("node1", "u-1", "10.90.0.1")
TRIED = canary.targets("10.1.0.1", "10.1.0.2", ("10.96.0.1", 443), NODE)
ALL_SILENT = dict.fromkeys(TRIED, "silent")
FREE_SEES = dict.fromkeys(TRIED, "open") | {"tcp://10.1.0.2:8080": "silent"}


def test_the_targets():
    assert TRIED == [
        "tcp://10.1.0.1:8080",
        "udp://10.1.0.1:8080",
        "tcp://10.1.0.2:8080",
        "tcp://10.96.0.1:443",
        "tcp://10.90.0.1:10250",
    ]


def test_a_wall_that_holds():
    assert judge(TRIED, FREE_SEES, ALL_SILENT) == canary.Verdict(True, "")


@pytest.mark.parametrize("target", TRIED)
@pytest.mark.parametrize("answer", ["open", "refused"])
def test_each_thing_that_a_confined_pod_reaches_counts(target: str, answer: str):
    found = judge(TRIED, FREE_SEES, ALL_SILENT | {target: answer})
    assert (found.proven, target in found.reason, "egress" in found.reason) == (False, True, True)


@pytest.mark.parametrize(
    ("free", "confined", "words"),
    [
        (FREE_SEES | {TRIED[2]: "open"}, ALL_SILENT, "ingress is not enforced"),
        (FREE_SEES | {TRIED[0]: "silent"}, ALL_SILENT, "nothing can be told"),
        (FREE_SEES | {TRIED[1]: "error 113"}, ALL_SILENT, "nothing can be told"),
        ({}, ALL_SILENT, "did not tell"),
        (FREE_SEES, {}, "did not tell"),
    ],
)
def test_what_shows_no_wall(free: dict[str, str], confined: dict[str, str], words: str):
    found = judge(TRIED, free, confined)
    assert not found.proven
    assert words in found.reason


def test_the_objects():
    installation = cluster()
    pods = [
        canary.listener(installation, "beacon-1", FREE, "1"),
        canary.listener(installation, "closed-1", CONFINED, "1", NODE),
        canary.trier(installation, "free-1", FREE, "1", NODE, TRIED),
    ]
    for made in [canary.namespace(installation), *canary.policies(installation), *pods]:
        check_schema(made)
    assert [pod["spec"].get("nodeName") for pod in pods] == [None, "node1", "node1"]
    container = pods[2]["spec"]["containers"][0]
    assert container["command"] == ["/opt/tre/env/bin/python", "-I", "-c", canary.CODE]
    assert container["args"] == ["reach", *TRIED]
    assert [each["spec"] for each in canary.policies(installation)] == [
        {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
        {
            "podSelector": {"matchLabels": {"app.kubernetes.io/component": "canary-free"}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{}],
            "egress": [{}],
        },
    ]


def test_no_project_lives_in_the_canarys_namespace():
    with pytest.raises(InvalidInput):
        namespace_of("tre-system", "system-canary")


def test_what_it_runs():
    port = free_ports(2)
    command = [sys.executable, "-I", "-c", canary.CODE]
    server = subprocess.Popen([*command, "serve", str(port)])
    try:
        targets = [f"tcp://127.0.0.1:{port}", f"udp://127.0.0.1:{port}", f"tcp://127.0.0.1:{port + 1}"]
        for _ in range(100):
            seen = json.loads(subprocess.run([*command, "reach", *targets], capture_output=True, check=True).stdout)
            if seen[targets[0]] == "open":
                break
        assert seen == dict(zip(targets, ["open", "open", "refused"], strict=True))
    finally:
        server.kill()
        server.wait()
    assert reach.reach("tcp://256.0.0.1:1").startswith("error")
