"""Starting, watching and stopping workspaces as sandboxes on this machine.

Decides how a caller (the spawner, the controller, the probes) holds a workspace: by a small state dict without
secrets that survives the caller. Leaves who may run what to `rules`, the walls to `sandbox`, and the life of each
workspace to its keeper. All calls block for at most the seconds named; use a thread where an event loop must go on.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from tre.errors import Conflict, InvalidInput, Unavailable
from tre.workspaces.plan import IDENTIFIER, LaunchPlan
from tre.workspaces.sandbox import secret_files
from tre.workspaces.sandbox.arguments import Image
from tre.workspaces.sandbox.cgroups import handed_over, remove_left
from tre.workspaces.sandbox.keeper import ALREADY
from tre.workspaces.sandbox.order import Order
from tre.workspaces.sandbox.status import Status, holder, locked, read_status

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0
STOP_SECONDS = 5.0


class SandboxRuntime:
    """Workspaces below one run folder (0700, ours); any process of this user may call any method.

    `keeper` is the module run for each of them. `groups` are the control groups handed to this user, controller →
    folder; by default as the environment tells.
    """

    keeper: ClassVar[tuple[str, ...]] = ("tre.workspaces.sandbox.keeper",)

    def __init__(
        self,
        run_dir: Path,
        workspace_env: Path,
        *,
        image: Path = REPOSITORY / "images" / "workspace",
        output_checks: Path = REPOSITORY / "output_checks",
        groups: Mapping[str, str] | None = None,
        start_seconds: float = START_SECONDS,
    ) -> None:
        self.run_dir = run_dir
        self.workspace_env = workspace_env
        self.groups = handed_over() if groups is None else dict(groups)
        self.start_seconds = start_seconds
        packages = (("output_checks", str(output_checks)), ("release", str(image / "lib" / "release")))
        self.image = Image(str(image / "start"), str(image / "etc" / "ipython"), packages)

    def start(self, plan: LaunchPlan) -> dict[str, Any]:
        """Run the plan; returns once the Jupyter server answers, with the state that all other calls take.

        Raises Conflict where it already runs, Unavailable with the reason where it did not come up.
        """
        folder = self._folder(plan.workspace_id)
        self.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if locked(folder):
            raise Conflict(f"workspace {plan.workspace_id} is already running", hint="Stop it first.")
        secrets = secret_files.folder_of(self.run_dir, plan.workspace_id)
        order = Order(plan, folder, secrets, self.workspace_env, self.image, self.groups)
        keeper = subprocess.Popen(
            [sys.executable, "-P", "-m", *self.keeper],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ},
        )
        with keeper:
            assert keeper.stdin is not None
            assert keeper.stdout is not None
            with contextlib.suppress(BrokenPipeError):
                keeper.stdin.write(order.to_json().encode())
                keeper.stdin.close()
            answer = _read_answer(keeper.stdout.fileno(), self.start_seconds)
        state = {"workspace_id": plan.workspace_id}
        if answer == ALREADY:
            raise Conflict(f"workspace {plan.workspace_id} is already running", hint="Stop it first.")
        if answer != "running":
            self.stop(state)
            raise Unavailable(f"workspace {plan.workspace_id} did not start: {answer}")
        return state

    def status(self, state: Mapping[str, Any]) -> Status | None:
        """What its keeper last said, or None where there is no trace of it."""
        return read_status(self._folder(state["workspace_id"]))

    def poll(self, state: Mapping[str, Any]) -> str | None:
        """None while it starts or runs, else the reason why it does not."""
        folder = self._folder(state["workspace_id"])
        if locked(folder):
            return None
        status = read_status(folder)
        if status is None:
            return "not running"
        return status.reason if status.state == "ended" else "its keeper was killed"

    def stop(self, state: Mapping[str, Any]) -> None:
        """End it and remove what is left of it, the home excepted, within 5 s. Does nothing where it is gone."""
        folder = self._folder(state["workspace_id"])
        end = time.monotonic() + STOP_SECONDS
        while locked(folder) and (left := end - time.monotonic()) > 0:
            if (keeper := holder(folder)) is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(keeper, signal.SIGTERM if left > 1.5 else signal.SIGKILL)
            time.sleep(0.02)
        if locked(folder):
            raise Unavailable(f"workspace {state['workspace_id']} does not stop")
        remove_left(state["workspace_id"], self.groups)
        secret_files.remove(secret_files.folder_of(self.run_dir, state["workspace_id"]))
        shutil.rmtree(folder, ignore_errors=True)

    def jupyter_socket(self, state: Mapping[str, Any]) -> Path:
        """The Unix socket at which the workspace's Jupyter server answers, for the guard only."""
        return self._folder(state["workspace_id"]) / "jupyter.sock"

    def replace_secret(self, state: Mapping[str, Any], name: str, text: str) -> None:
        """Give a running workspace a new text for one of its secret files. Raises NotFound where it has none such."""
        folder = self._folder(state["workspace_id"])
        secret_files.replace(secret_files.folder_of(self.run_dir, folder.name), name, text)

    def exec_in(
        self,
        state: Mapping[str, Any],
        argv: Sequence[str],
        stdin: bytes = b"",
        *,
        seconds: float = 30.0,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program inside, as a child of process 1 behind the same walls as the researcher's code.

        Output beyond 16 MiB is cut. Raises Unavailable where the inside does not answer.
        """
        request = {
            "argv": list(argv),
            "stdin": base64.b64encode(stdin).decode(),
            "seconds": seconds,
            "env": dict(env or {}),
        }
        path = self._folder(state["workspace_id"]) / "probe.sock"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(seconds + 5)
                connection.connect(str(path))
                text = json.dumps(request).encode()
                connection.sendall(struct.pack(">I", len(text)) + text)
                answer = json.loads(_read_message(connection))
                out, err = (base64.b64decode(answer[name], validate=True) for name in ("stdout", "stderr"))
                return subprocess.CompletedProcess(list(argv), int(answer["returncode"]), out, err)
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise Unavailable(f"nothing can be run inside workspace {state['workspace_id']}: {error}") from error

    def _folder(self, workspace_id: str) -> Path:
        if not IDENTIFIER.fullmatch(workspace_id):
            raise InvalidInput("not a workspace id", field="workspace_id")
        return self.run_dir / workspace_id


LARGEST_ANSWER = 64 << 20


def _read_message(connection: socket.socket) -> bytes:
    (length,) = struct.unpack(">I", _read_exactly(connection, 4))
    if length > LARGEST_ANSWER:
        raise ValueError("the answer is too long")
    return _read_exactly(connection, length)


def _read_exactly(connection: socket.socket, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = connection.recv(min(length - len(parts), 1 << 20))
        if not part:
            raise EOFError("the connection ended early")
        parts += part
    return bytes(parts)


def _read_answer(descriptor: int, seconds: float) -> str:
    """What the keeper says first: `running`, or why not."""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        if not selector.select(seconds):
            return f"it was not ready within {seconds:.0f} s"
    return os.read(descriptor, 1 << 16).decode(errors="replace") or "its keeper ended without a word"
