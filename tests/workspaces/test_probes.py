"""The probes: all refused on whole walls, and each turns red when its wall is taken away."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.workspaces.conftest import ENVIRONMENT, make_plan
from tests.workspaces.weakened import ARGUMENTS, CODE, IMAGE
from tre.errors import Unavailable
from tre.workspaces.plan import Limits
from tre.workspaces.probes.__main__ import on_this_machine
from tre.workspaces.probes.ending import TRIES
from tre.workspaces.probes.pulse import Pulse, watching
from tre.workspaces.probes.report import Report, Subject
from tre.workspaces.probes.verify import ATTEMPTS, BOMBS, of_sandboxes, run
from tre.workspaces.runtime import REPOSITORY, SandboxRuntime

# Wall → probes that must no longer say refused when it is missing.
EXPECTED: dict[str, list[str]] = {
    "network namespace": [
        *("tcp-to-host-loopback", "udp-to-host-loopback", "tcp-to-host-addresses", "udp-to-host-addresses"),
        *("tcp-to-outside", "udp-to-outside", "dns-to-resolver", "metadata-address", "abstract-socket"),
        *("platform-services", "shared-namespaces"),
    ],
    "process namespace": ["host-processes", "signal-host-process", "shared-namespaces"],
    "ipc namespace": ["shared-namespaces"],
    "uts namespace": ["shared-namespaces"],
    "cgroup namespace": ["shared-namespaces"],
    "filter": [
        *("filter-present", "netlink", "any-other-family", "unshare-any", "ptrace", "key-rings", "file-handles"),
        *("system-v-ipc", "personality", "make-setuid", "other-process-memory", "machine-administration"),
        *("userfaultfd", "bpf", "io-uring", "perf", "vsock", "family-in-upper-half", "new-mount-calls"),
        *("compatibility-calls", "watch-shared-files", "lease-file"),
    ],
    "filter and user namespaces": ["unshare-user", "clone-user", "clone3-user", "mount"],
    "capabilities": ["capabilities"],
    "read-only data": ["write-to-data", "change-data"],
    "read-only environment": ["write-to-environment"],
    "read-only programs": ["write-to-our-programs"],
    "read-only root": ["write-to-environment", "write-to-system", "swap-socket-for-link", "socket-in-shared-folder"],
    "read-only /proc": ["write-to-proc"],
    "hidden /proc": ["kernel-wide-proc"],
    "own /etc": ["host-etc"],
    "own /home": ["host-homes"],
    "no /root": ["host-root-home"],
    "no /var": ["host-var"],
    "no /srv": ["host-other-folders"],
    "own /tmp": [
        *("host-temporary-file", "platform-sockets", "platform-folders", "other-home", "other-data"),
        *("other-workspace-sockets", "own-sockets-by-host-path", "through-proc-root"),
    ],
    "own devices": ["host-devices"],
    "own data only": ["foreign-names-below-data"],
    "no system sockets": ["system-sockets"],
    "bounded /tmp": ["fill-temporary-folders", "fill-memory-folder"],
    "home limit": ["fill-home"],
    "end of everything": ["credentials-after-stop"],
    "resource limits": ["raise-limits", "file-too-large", "fork-bomb"],
    "memory limit": ["memory-bomb", "memory-file-bomb"],
    "lower priority": ["more-cpus"],
    "secrets in memory only": ["secrets-in-sight"],
    "hidden processes": ["memory-of-server"],
    "closed descriptors": ["inherited-descriptors"],
    "process 1": ["kill-process-1"],
    "careful client": ["hostile-outputs"],
    "regular outputs": ["hostile-outputs"],
}

# Attempts whose wall cannot be taken away here, and why.
NOT_REMOVABLE = {
    "setuid-program": "bubblewrap always sets no_new_privs and mounts nosuid",
    "make-device": "the kernel refuses device files in every user namespace",
    "setns": "without capabilities the kernel refuses it anyhow",
    "kernel-modules": "without capabilities the kernel refuses it anyhow",
    "packet-socket": "bubblewrap's inner user namespace has no rights over the network namespace",
    "raw-socket": "bubblewrap's inner user namespace has no rights over the network namespace",
    "kernel-crypto-socket": "a kernel may be built without AF_ALG",
    "x32-calls": "a kernel may be built without the x32 convention",
    "terminal-injection": "a kernel since 6.2 may refuse TIOCSTI by itself",
    "dns-by-name": "without a resolv.conf there is no resolver to ask",
    "other-interfaces": "see test_other_interfaces_are_seen",
}


@pytest.fixture(scope="module")
def weakened() -> dict[str, dict[str, str]]:
    """Every wall removed once, in a network of its own."""
    argv = [sys.executable, "-m", "tests.workspaces.outside", sys.executable, "-m", "tests.workspaces.selftest"]
    done = subprocess.run(
        argv,
        input=json.dumps(EXPECTED),
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, dict[str, str]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("wall", EXPECTED)
def test_a_missing_wall_is_seen(weakened: dict[str, dict[str, str]], wall: str) -> None:
    if wall == "read-only environment" and not os.access(ENVIRONMENT / "lib", os.W_OK):
        pytest.skip("the environment is another user's, who alone could write to it; see also read-only root")
    found = weakened[wall]
    unseen = [name for name in EXPECTED[wall] if found.get(name, "missing").startswith(("refused", "missing"))]
    assert not unseen, found


def test_every_wall_is_removed_once() -> None:
    assert set(EXPECTED) == {*ARGUMENTS, *CODE, *IMAGE}


def test_every_attempt_has_a_self_test() -> None:
    """Or says why not. Those that need an intake or a database are tried in test_credentials."""
    tried = {name for names in EXPECTED.values() for name in names} | set(NOT_REMOVABLE)
    assert set(TRIES) <= tried
    elsewhere = ("intake tokens", "database roles")
    assert {one.name for one in of_sandboxes() if one.wall not in elsewhere} <= tried


def test_other_interfaces_are_seen(monkeypatch: pytest.MonkeyPatch, folder: Path, quick_image: Path) -> None:
    """Read from a list, so no packet is sent: this may run where real interfaces are."""
    if not set(os.listdir("/sys/class/net")) - {"lo"}:
        pytest.skip("this machine has no interface but its loopback")

    class Weakened(SandboxRuntime):
        keeper = ("tests.workspaces.weakened", "network namespace", str(folder))

    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    runtime = Weakened(folder / "run", ENVIRONMENT, image=quick_image)
    plan = make_plan(folder, "one")
    subject = Subject.of(runtime.start(plan), plan)
    try:
        (result,) = run(runtime, subject, [ATTEMPTS["other-interfaces"]], {})
        assert result.verdict == "reached"
    finally:
        runtime.stop(subject.state)


@pytest.mark.parametrize(
    "answer",
    [b"", b"{", b"[]\n", b'{"name": "host-var", "verdict": "fine", "detail": ""}\n', b'{"verdict": "refused"}\n', None],
)
def test_silence_and_nonsense_count_as_failed(answer: bytes | None) -> None:
    """What the inside says is not trusted to be an answer."""

    class Broken:
        def exec_in(self, *_: object, **__: object) -> subprocess.CompletedProcess[bytes]:
            if answer is None:
                raise Unavailable("it does not answer")
            return subprocess.CompletedProcess([], 0, answer, b"")

    subject = Subject({"workspace_id": "x"}, "x", "/h", "/i", {}, Limits())
    (result,) = run(Broken(), subject, [ATTEMPTS["host-var"]], {})  # type: ignore[arg-type]
    assert result.verdict == "could_not_run"
    assert not Report((result,)).ok
    assert not Report(()).ok, "nothing tried is nothing proved"


def test_without_a_target_it_could_not_run() -> None:
    class Never:
        def exec_in(self, *_: object, **__: object) -> subprocess.CompletedProcess[bytes]:
            return subprocess.CompletedProcess([], 0, b"", b"")

    subject = Subject({"workspace_id": "x"}, "x", "/h", "/i", {}, Limits())
    for one in ATTEMPTS.values():
        (result,) = run(Never(), subject, [one], {})  # type: ignore[arg-type]
        assert result.verdict == "could_not_run"
        if one.needs:
            assert result.detail == "no target was given"


def test_others_that_are_silent_or_fail_are_seen() -> None:
    def silent() -> None:
        raise Unavailable("it does not answer")

    with watching({"one": silent, "two": lambda: 1 // 0, "three": lambda: None}, "bomb", "x") as found:
        pass
    verdicts = {result.name: (result.verdict, result.detail) for result in found}
    assert verdicts["one-answers-during-bomb"] == ("reached", "it does not answer")
    assert verdicts["two-answers-during-bomb"][0] == "reached"
    assert verdicts["three-answers-during-bomb"][0] == "refused"


def test_an_answer_after_the_patience_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tre.workspaces.probes.pulse.PATIENCE_SECONDS", 0.05)
    with Pulse(lambda: time.sleep(0.1)) as pulse:
        pass
    assert pulse.verdict()[0] == "reached"


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return on_this_machine(ENVIRONMENT).to_dict()


def test_all_are_refused_in_both_workspaces(report: dict[str, Any]) -> None:
    wrong = [
        f"{one['name']}: {one['verdict']}, {one['detail']}" for one in report["probes"] if one["verdict"] != "refused"
    ]
    assert report["ok"], "; ".join(wrong)
    names = {probe["name"] for probe in report["probes"]}
    assert len(names) >= 75
    once = {f"neighbour-answers-during-{what}" for what in (*BOMBS, "fill-home")} | {*BOMBS, *TRIES}
    assert once <= names
    for name in names:
        inside = {probe["workspace_id"] for probe in report["probes"] if probe["name"] == name}
        assert len(inside) == (1 if name in once else 2), name
        assert "probe-two" not in inside or name not in once, "what uses up a limit stays out of the neighbour's"


def test_the_report_says_what_was_left_out(report: dict[str, Any]) -> None:
    names = ("probe-one", "probe-two")
    assert report["left_out"] == [f"{what} of {name}" for name in names for what in ("intake", "database")]
    assert json.loads(json.dumps(report)) == report
