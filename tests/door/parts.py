"""Starting and stopping the real parts."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tornado.web import create_signed_value

from tests.door.stand_in import InternalApi, StandInHub, owner_model
from tre.door.guard.signin import SignIn
from tre.door.internal_api import read_secret
from tre.door.places import Places
from tre.settings import Settings
from tre.stack.platform import PORTS
from tre.stack.ports import free_ports
from tre.workspaces.plan import DoorLimits

ROOT = Path(__file__).resolve().parents[2]
WORKSPACE_BIN = ROOT / ".workspace-env" / "bin"
TOKEN = "bare-jupyter-token-for-tests-0123456789"


def door_settings(prefix: str = "tre-door-") -> Settings:
    """Settings on a new short folder with five free ports in a row."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    return Settings(state=folder / "state", run=folder / "run", port=free_ports(PORTS))


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def wait_for(condition, what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise TimeoutError(what)


def accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


class Process:
    """A program with its output in a file; stopped by its own process group."""

    def __init__(self, command: list[str], log: Path, env: dict[str, str] | None = None, cwd: Path | None = None):
        self.log = log
        self._file = log.open("ab")
        self.popen = subprocess.Popen(
            command,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=os.environ | (env or {}),
            cwd=cwd,
            start_new_session=True,
        )

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def stop(self, number: int = signal.SIGTERM, seconds: float = 10) -> None:
        if self.running:
            self.popen.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(10)
        self._file.close()


def bare_jupyter(folder: Path, *, base_url: str = "/", token: str = TOKEN, extra: tuple[str, ...] = ()) -> Process:
    """A Jupyter server as it comes, on `folder/jupyter.sock`, with everything switched on."""
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    process = Process(
        [
            str(WORKSPACE_BIN / "jupyter-lab"),
            "--no-browser",
            f"--ServerApp.sock={folder / 'jupyter.sock'}",
            f"--ServerApp.root_dir={home}",
            f"--ServerApp.base_url={base_url}",
            f"--IdentityProvider.token={token}",
            "--ServerApp.allow_remote_access=True",
            "--LabApp.news_url=",
            "--ZMQChannelsWebsocketConnection.limit_rate=False",
            *extra,
        ],
        folder / "jupyter.log",
        env={
            "HOME": str(home),
            "JUPYTER_DATA_DIR": str(home / ".local/share/jupyter"),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "IPYTHONDIR": str(folder / "ipython"),
            "PATH": f"{WORKSPACE_BIN}:{os.environ['PATH']}",
        },
        cwd=home,
    )
    wait_for(lambda: accepts(folder / "jupyter.sock"), "the Jupyter server")
    return process


class UnixHttp(http.client.HTTPConnection):
    """http.client over a Unix socket; sends the path exactly as given."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self._path))


@dataclass
class GuardHouse:
    """A guard with stand-ins for the Hub and the control plane, and browsers that are signed in already."""

    settings: Settings
    api: InternalApi
    hub: StandInHub
    process: Process | None = None
    routes: dict[str, dict] = field(default_factory=dict)
    program: str = "tre.door.guard"

    @property
    def places(self) -> Places:
        return Places(self.settings)

    def start(self) -> None:
        self.process = Process(
            [sys.executable, "-m", self.program],
            self.settings.state / "guard.log",
            env=self.settings.environment(),
            cwd=ROOT,
        )
        wait_for(lambda: accepts(self.settings.guard_socket), "the guard")

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process:
            self.process.stop(number)
            self.process = None

    def admin(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection = UnixHttp(self.settings.guard_socket)
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def add_route(self, route: dict) -> None:
        import json

        status, text = self.admin("PUT", f"/routes/{route['workspace_id']}", json.dumps(route).encode())
        assert status == 204, text
        self.routes[route["workspace_id"]] = route

    def browser(self, route: dict, token: str = "") -> dict[str, str]:
        """Headers of a signed-in browser's page for this route."""
        from tre.door.guard.routes import Route

        token = token or f"oauth-{route['workspace_id']}"
        self.hub.tokens.setdefault(token, owner_model(route["user"], route["server_name"]))
        secret = read_secret(self.places.secret("guard-cookie")).encode()
        name = route["oauth_client_id"]
        signin = SignIn(Route.from_json(route), hub_api_url="http://x/hub/api", cookie_secret=secret)
        return {
            "Cookie": f"{name}={create_signed_value(secret, name, token).decode()}",
            "X-XSRFToken": signin.xsrf(token),
            "Host": f"127.0.0.1:{self.places.guard_port}",
        }


def route_for(folder: Path, workspace_id: str = "w1", user: str = "alice", server: str = "heart", **changes) -> dict:
    return {
        "workspace_id": workspace_id,
        "user": user,
        "server_name": server,
        "base_url": f"/user/{user}/{server}/",
        "upstream": str(folder / "jupyter.sock"),
        "upstream_base": "/",
        "upstream_token": TOKEN,
        "hub_api_token": f"hub-token-{workspace_id}",
        "oauth_client_id": f"jupyterhub-user-{user}-{server}",
        "limits": asdict(DoorLimits()),
    } | changes
