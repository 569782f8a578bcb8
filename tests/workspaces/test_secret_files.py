"""Secrets of a running workspace: in memory only, replaced from outside only, gone with it."""

import os
import signal
from pathlib import Path

import pytest

from tests.workspaces.conftest import Plan, processes_with
from tests.workspaces.test_keeper import sh
from tre.errors import NotFound, Unavailable
from tre.workspaces.runtime import SandboxRuntime
from tre.workspaces.sandbox import secret_files


def test_secrets_are_files_in_memory_and_nowhere_else(runtime: SandboxRuntime, plan: Plan, folder: Path) -> None:
    made = plan()
    state = runtime.start(made)
    assert sh(runtime, state, "cat /run/tre/intake.token") == made.secrets["intake.token"]
    assert sh(runtime, state, "stat -L -c %a /run/tre/intake.token") == "400"
    for secret in (made.jupyter_token, made.secrets["intake.token"]):
        assert processes_with(secret) == []
        for path in (path for path in folder.rglob("*") if path.is_file()):
            assert secret.encode() not in path.read_bytes(), path
    assert made.jupyter_token not in sh(runtime, state, "env; cat /proc/*/cmdline /proc/*/environ 2>/dev/null")


def test_a_secret_is_replaced_while_the_workspace_runs_and_from_outside_only(
    runtime: SandboxRuntime, plan: Plan, folder: Path
) -> None:
    state, other = runtime.start(plan()), runtime.start(plan("two"))
    runtime.replace_secret(state, "intake.token", "a second one")
    assert sh(runtime, state, "cat /run/tre/intake.token") == "a second one"
    assert sh(runtime, other, "cat /run/tre/intake.token").startswith("token-")
    for attempt in ("echo x > intake.token", "rm -f secrets/intake.token", "mv secrets/pg_service.conf secrets/x",
                    "chmod 600 secrets/intake.token", "ln -s /tmp secrets/link", "touch secrets/new"):  # fmt: skip
        assert sh(runtime, state, f"cd /run/tre; {attempt} 2>/dev/null || echo refused") == "refused", attempt
    with pytest.raises(NotFound):
        runtime.replace_secret(state, "other.token", "x")
    kept = secret_files.folder_of(runtime.run_dir, "one")
    assert sorted(os.listdir(kept)) == ["intake.token", "pg_service.conf"]
    assert kept.stat().st_mode & 0o777 == 0o700
    runtime.stop(state)
    assert not kept.exists()
    with pytest.raises(NotFound):
        runtime.replace_secret(state, "intake.token", "x")


def test_what_is_no_memory_gets_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    assert secret_files.file_system_of(secret_files.MEMORY) in secret_files.IN_MEMORY
    assert secret_files.file_system_of(Path("/proc/self")) == "proc"
    monkeypatch.setattr(secret_files, "MEMORY", Path("/proc"))
    with pytest.raises(Unavailable, match="is not in memory"):
        secret_files.hand_over(Path("/proc/x/w"), {})


def test_a_killed_keepers_secrets_go_when_its_workspace_is_stopped(runtime: SandboxRuntime, plan: Plan) -> None:
    state = runtime.start(plan())
    status = runtime.status(state)
    assert status is not None
    os.kill(status.pid, signal.SIGKILL)
    runtime.stop(state)
    assert not secret_files.folder_of(runtime.run_dir, "one").exists()
