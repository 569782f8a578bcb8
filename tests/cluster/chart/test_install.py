"""The chart installed for real, with the images as they were built: it comes up, its own test succeeds, a workspace
lives through an upgrade and a rollback, and what is left after its end is what was said.

In the order of a release's life: each test goes on where the one before it ended.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.house import Facts
from tests.cluster.machine import network
from tre.demo.stage import Unexpected
from tre.door.probes.guard import NO_OTHER, name_of
from tre.door.probes.spellings import ADDRESSES
from tre.stack.examination.whole import examine_cluster
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.names import namespace_of
from tre.workspaces.kubernetes.verification import AT_THE_DATABASE, AT_THE_INTAKE, SHARED

from .release import CLAIMS, VALUES, Release, plain
from .rendering import Object, changed
from .researcher import Researcher, researcher_on

KNOCK = """
import json, os, socket, sys
from concurrent.futures import ThreadPoolExecutor
def reached(target):
    host, port = target.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 3).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True
with ThreadPoolExecutor(32) as pool:
    found = [target for target, yes in zip(sys.argv[1:], pool.map(reached, sys.argv[1:])) if yes]
token = os.path.exists("/var/run/secrets/kubernetes.io")
print(json.dumps({"reached": found, "token": token, "names": sorted(os.environ)}))
"""
ASK = """
import json, sys
from tre.errors import Refusal
from tre.workspaces.checker.client import Checker
def ask(code):
    try:
        run = Checker("tre-checker").run
        argv = ["python", "-c", code]
        return run(argv=argv, files={}, memory_bytes=1 << 28, seconds=20, output_bytes=1 << 16).decode().strip()
    except Refusal as refusal:
        return refusal.code
print(json.dumps({code: ask(code) for code in json.loads(sys.argv[1])}))
"""
HOSTILE = (
    "import socket; socket.socket()",
    "import socket; socket.socketpair()",
    "open('/new', 'w')",
    "open('/usr/new', 'w')",
    "open('/proc/1/environ').read()",
    "open('/proc/1/mem', 'rb')",
    "open('/etc/tre/secrets')",
    "import os; os.setuid(0)",
    "import os; [os.fork() for _ in range(100)]",
    "import ctypes; assert ctypes.CDLL(None).unshare(0x10000000) == 0",
    "import ctypes; assert ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0",
)
LEAVE = "import os; os.fork() or [open(f'{d}/x', 'w') for d in ('/scratch', '/tmp', '/input', '/dev/shm')]"
LOOK = "import os; print([x for d in ('/scratch', '/tmp', '/input', '/dev/shm') for x in os.listdir(d)])"
#: What a kernel must not open: the answer of the kernel below it.
OPENED = """
import errno, os
def opened(path, flags):
    try:
        os.close(os.open(path, flags))
        return "open"
    except OSError as error:
        return errno.errorcode[error.errno]
mine, server = "/data/visits/mine", os.getppid()
print(opened(mine, os.O_CREAT | os.O_WRONLY), *(opened(f"/proc/{one}/mem", os.O_RDONLY) for one in (1, server)))
"""
#: With its mode and times, as file managers and pip do it: within the home, and from what is temporary to it.
COPIED = """
import os, pathlib, shutil, tempfile
for folder in (tempfile.mkdtemp(), tempfile.mkdtemp(dir=os.path.expanduser("~"))):
    inside = pathlib.Path(folder, "inside")
    inside.mkdir()
    (inside / "file").write_text("there")
    shutil.rmtree("copy", ignore_errors=True)
    shutil.copytree(folder, "copy")
    shutil.move("copy/inside", "moved")
    print(pathlib.Path("moved", "file").read_text()) if folder.startswith("/home") else shutil.rmtree("moved")
"""
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def researcher(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Researcher]:
    with researcher_on(release, tmp_path_factory.mktemp("stage")) as found:
        yield found


def test_every_part_becomes_ready_and_its_own_test_succeeds(release: Release) -> None:
    release.settle()
    said = release.helm("test", "tre", "--logs", "--timeout=2m")
    assert "/tre/api/v1/health 200" in said
    assert "/hub/health 200" in said
    for name, pod in release.pods().items():
        statuses = pod["status"]["containerStatuses"]
        assert {each["restartCount"] for each in statuses} == {0}, (name, statuses)


def test_the_doctor_finds_nothing_to_mend(release: Release) -> None:
    """From outside, by the release that is installed; and from a pod, by its own logins and token."""
    kubeconfig = Path(release.kubectl.environment["KUBECONFIG"])
    outside = examine_cluster(Api.connect(kubeconfig), release.space.name, ())
    assert [one.line for one in outside if one.level == "fail"] == []
    assert {"kubernetes.cidr", "pods", "content.claim"} <= {one.value for one in outside if one.level == "ok"}
    inside = json.loads(release.space("exec", "deploy/tre-api", "--", "tre", "doctor", "--cluster", "--json"))
    assert [one for one in inside if one["level"] == "fail"] == []
    right = {one["value"] for one in inside if one["level"] == "ok"}
    assert {"postgresql.state.host", "postgresql.data.host", "openbao.url", "openbao.role"} <= right


def test_a_workspace_opens(release: Release, researcher: Researcher) -> None:
    researcher.settle_in()
    researcher.open()
    assert researcher.says("x = 41; print(x)") == "41"
    assert researcher.rows() == "60 60"
    # The project's data, and the memory of process 1 and of the server, which run as the same user.
    assert researcher.says(OPENED) == "EROFS EACCES EACCES"
    assert researcher.says(COPIED) == "there"


def test_the_guard_is_asked_in_its_own_pod_and_that_is_a_part_of_the_report(
    release: Release, researcher: Researcher
) -> None:
    """By the two commands of docs/kubernetes.md; nothing is left in the home of who works there."""
    (workspace,) = researcher.live()
    asked = ("exec", "deploy/tre-guard", "--", "python", "-m", "tre.door.probes", workspace)
    found = json.loads(release.space(*asked))
    assert {probe["verdict"] for probe in found["probes"]} == {"refused"}, found
    assert {probe["name"] for probe in found["probes"]} == {name_of(family) for family in ADDRESSES}
    assert found["left_out"] == [NO_OTHER]
    assert researcher.says("import os; print([n for n in os.listdir() if n.startswith('tre-verify-')])") == "[]"
    report = researcher.stage.tre("machine", "verify", workspace, "--door", "-", stdin=json.dumps(found))
    assert report["probes"][-len(found["probes"]) :] == found["probes"]
    assert report["left_out"][-1] == NO_OTHER
    assert report["ok"], [probe for probe in report["probes"] if probe["verdict"] != "refused"]
    tried = {probe["name"] for probe in report["probes"]}
    assert tried >= {*SHARED, *AT_THE_INTAKE, *AT_THE_DATABASE}, "with tokens and a login of nobody's"


def test_what_is_submitted_is_read_in_the_checking_pod(release: Release, researcher: Researcher) -> None:
    request = researcher.submits()
    assert request["state"] == "in_review", request
    levels = {file["name"]: file["evidence"] for file in request["files"]}
    # Made again from the pinned extract, which the checking pod was given.
    assert levels["visits.csv"] == "verified", request


def test_from_the_checking_pod_nothing_is_reached(release: Release, researcher: Researcher, facts: Facts) -> None:
    services = ("postgres-state", "postgres-data", "openbao", "api", "hub", "proxy", "intake")
    addresses = {name: release.space.service_address(f"tre-{name}") for name in services}
    ports = {"postgres-state": 5432, "postgres-data": 5432, "openbao": 8200, "api": 8005, "hub": 8001}
    targets = [f"{address}:{ports.get(name, 8000)}" for name, address in addresses.items()]
    targets += [one.removeprefix("tcp://") for one in (*facts.outside(), *facts.node()) if one.startswith("tcp://")]
    targets += [f"{network.API_SERVICE}:443", f"{network.DNS_SERVICE}:53"]
    seen = json.loads(between_orders(researcher, KNOCK, *targets))
    assert seen["reached"] == []
    # That they are there is known: who may reach them does.
    assert json.loads(researcher.stage.inside(KNOCK, targets[0], part="worker"))["reached"] == targets[:1]
    assert seen["token"] is False
    assert not [name for name in seen["names"] if "TRE" in name or "PASS" in name or "TOKEN" in name]


def between_orders(researcher: Researcher, code: str, *arguments: str, seconds: float = 60) -> str:
    """In the checking pod, where the end of an order kills whatever else runs: then once more."""
    until = time.monotonic() + seconds
    while True:
        try:
            return researcher.stage.inside(code, *arguments, part="checker")
        except Unexpected as error:
            if "exit code 137" not in error.message or time.monotonic() > until:
                raise


def test_what_it_reads_gains_nothing_by_it(researcher: Researcher) -> None:
    """Asked by the worker, as files are; nobody else can ask."""
    said = json.loads(researcher.stage.inside(ASK, json.dumps(HOSTILE), part="worker"))
    assert said == dict.fromkeys(HOSTILE, "check_failed")
    assert json.loads(researcher.stage.inside(ASK, json.dumps([LEAVE, LOOK]), part="worker")) == {LEAVE: "", LOOK: "[]"}
    with pytest.raises(Unexpected, match="No checking pod answers"):
        researcher.stage.inside(ASK, json.dumps([LOOK]), part="api")


def test_an_upgrade_replaces_every_part_and_no_workspace(release: Release, researcher: Researcher) -> None:
    before, workspace = release.pods(), researcher.live()
    # What every part reads changed, so every part is replaced.
    release.upgrade(changed(VALUES, "projects.retentionDays", 91))
    release.settle()
    lasting = {name for name in before if name in release.pods() and "test" not in name}
    assert lasting == {f"tre-{name}-0" for name in ("postgres-state", "postgres-data", "openbao")} | unread(before)
    assert researcher.says_again("print(x + 1)") == "42"
    assert researcher.rows() == "60 60"
    assert researcher.live() == workspace


def unread(pods: dict[str, Object]) -> set[str]:
    """Those that do not read the file of the cluster: the proxy, the names and the checking pod."""
    parts = ("tre-proxy-", "tre-dns-", "tre-checker-")
    return {name for name in pods if name.startswith(parts)}


def test_a_rollback_does_the_same(release: Release, researcher: Researcher) -> None:
    workspace = researcher.live()
    release.helm("rollback", "tre", "1", "--timeout=4m")
    release.settle()
    assert "retention_days = 90" in release.space("get", "configmap/tre-cluster", "--output=yaml")
    assert researcher.says_again("print(x + 2)") == "43"
    assert researcher.rows() == "60 60"
    assert researcher.live() == workspace


def test_after_its_end_there_is_what_must_survive_and_nothing_else(release: Release, researcher: Researcher) -> None:
    project = namespace_of(release.space.name, researcher.project)
    release.helm("uninstall", "tre", "--wait", "--timeout=2m")
    # Helm keeps the pod of its last test, for its log; who led was said by a controller, not by Helm.
    until = time.monotonic() + 60
    while (left := release.left()) != {"pod/tre-test", "lease/tre-controller"}:
        assert time.monotonic() < until, left
        time.sleep(1)
    claims = {plain(name) for name in release.space("get", "persistentvolumeclaims", "--output=name").split()}
    assert claims == {f"persistentvolumeclaim/{name}" for name in CLAIMS}
    # A project's people and their homes outlive a release, too; it is for people to remove them.
    assert "persistentvolumeclaim/home-rhea" in release.kubectl(
        "--namespace", project, "get", "persistentvolumeclaims", "--output=name"
    )
