"""Where the demonstration plays: a platform of its own in a temporary folder, and the `tre` command as each person
types it.

Decides how a command is run as a person and how a refusal is expected. What is played is the journey's business.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tre.demo.cast import Account
from tre.errors import TreError, Unavailable
from tre.settings import Settings
from tre.stack.platform import PORTS
from tre.stack.ports import free_ports

if TYPE_CHECKING:
    from tre.demo.machine import Machine

START_SECONDS = 90
STOP_SECONDS = 30


class Unexpected(TreError):
    """Something in the journey did not behave: a step failed, or what had to be refused was not."""

    code, exit_code = "demo_failed", 1


@dataclass
class Stage:
    settings: Settings
    accounts: dict[str, Account] = field(default_factory=dict)
    folder: Path | None = None
    _machine: Machine | None = field(default=None, repr=False)

    @property
    def machine(self) -> Machine:
        """What is seen and done where the platform runs."""
        from tre.demo.machine import OneMachine

        if self._machine is None:
            self._machine = OneMachine(self)
        return self._machine

    @property
    def desk(self) -> Path:
        """Where tokens and forms lie: beside the state folder, unless a folder was named."""
        return self.folder or self.settings.state.parent

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    def environment(self, username: str) -> dict[str, str]:
        tokens = self.desk / "tokens"
        tokens.mkdir(mode=0o700, exist_ok=True)
        chosen = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
        return {**chosen, **self.settings.environment(), "TRE_TOKEN_FILE": str(tokens / f"{username}.json")}

    def tre(self, username: str, *arguments: str, stdin: str = "") -> Any:
        """Runs `tre ARGUMENTS --json` as a person; returns what it printed. Raises `Unexpected` when it fails."""
        done = self._run(username, arguments, stdin)
        if done.returncode != 0:
            raise Unexpected(f"`tre {' '.join(arguments)}` failed ({done.returncode}): {done.stderr.strip()[-600:]}")
        return json.loads(done.stdout)

    def refused(self, username: str, *arguments: str, code: str, stdin: str = "") -> str:
        """The same where a refusal is due; returns its message. Raises `Unexpected` when it succeeds or fails
        otherwise.
        """
        done = self._run(username, arguments, stdin)
        try:
            error = json.loads(done.stderr.strip().splitlines()[-1])["error"]
        except (IndexError, ValueError, KeyError) as problem:
            raise Unexpected(f"`tre {' '.join(arguments)}` was not refused: {done.stderr.strip()[-300:]}") from problem
        if done.returncode == 0 or code not in (error["code"], error.get("kind")):
            raise Unexpected(f"`tre {' '.join(arguments)}` should be refused as {code}, but: {error}")
        return str(error["message"])

    def _run(self, username: str, arguments: tuple[str, ...], stdin: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tre.cli.main", *arguments, "--json"]
        return subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=300,
            env=self.environment(username),
            check=False,
        )

    def login(self, username: str) -> None:
        account = self.accounts[username]
        arguments = ("login", "--username", username, "--password-file", "-", "--totp", account.next_code())
        self.tre(username, *arguments, stdin=account.password)


@contextlib.contextmanager
def temporary_stage(keep: Path | None = None) -> Iterator[Stage]:
    """A stage in a new folder, removed afterwards unless it is the one to keep."""
    folder = Path(tempfile.mkdtemp(prefix="tre-demo-")) if keep is None else keep
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        yield Stage(Settings(state=folder / "state", run=folder / "run", port=free_ports(PORTS)))
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running_platform(stage: Stage) -> Iterator[subprocess.Popen[bytes]]:
    """`tre up` on the stage, until the block ends. Raises `Unavailable` with the end of its log when it does not
    come up.
    """
    log = stage.settings.state.parent / "up.log"
    with log.open("wb") as output:
        up = subprocess.Popen(
            [sys.executable, "-m", "tre.cli.main", "up"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=stage.environment("machine"),
            start_new_session=True,
        )
    try:
        _wait_until_ready(stage, up, log)
        yield up
    finally:
        stop(up)


def stop(up: subprocess.Popen[bytes]) -> None:
    up.send_signal(signal.SIGTERM)
    try:
        up.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(up.pid, signal.SIGKILL)
        up.wait()


def _wait_until_ready(stage: Stage, up: subprocess.Popen[bytes], log: Path) -> None:
    import httpx

    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and up.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            paths = ("/tre/api/v1/health", "/hub/health")
            if all(httpx.get(stage.url + path, trust_env=False).status_code == 200 for path in paths):
                return
        time.sleep(0.2)
    raise Unavailable(f"The platform did not come up: {log.read_text(errors='replace')[-1500:]}")
