"""The parts of the embedded platform, and running them.

Decides what `tre up` starts and in which order. Leaves starting, watching and stopping to `supervisor`, and each part's
own configuration to its room.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import httpx

from tre.credentials import Secrets
from tre.credentials.files import write_secret
from tre.door.internal_api import read_secret
from tre.door.places import ROOT, Places
from tre.door.proxy import write_traefik_static
from tre.errors import Conflict
from tre.settings import Settings
from tre.settings.identity import SECRET_FILE
from tre.stack import databases, openbao, postgres, status
from tre.stack.part import Part, environment
from tre.stack.status import PartStatus
from tre.stack.supervisor import Supervisor, end_leftovers, only_one
from tre.workspaces.runtime import SandboxRuntime

#: From the port for people on; see `tre.door.places`.
PORTS = 5


def python(*arguments: str) -> Callable[[Settings], list[str]]:
    return lambda settings: [sys.executable, *arguments]


def parts() -> tuple[Part, ...]:
    """Every part, each after those it needs."""
    return (*servers(), *control_plane(), *door())


def servers() -> tuple[Part, ...]:
    return (
        Part(
            "postgres-state",
            argv=lambda settings: databases.state_server(settings).argv(),
            ready=lambda settings: postgres.is_ready(settings.state_database),
            prepare=prepare_state,
            stop_signal=signal.SIGINT,
            environment=server_environment,
        ),
        Part(
            "postgres-data",
            argv=lambda settings: databases.data_server(settings).argv(),
            ready=lambda settings: postgres.is_ready(settings.data_database),
            prepare=prepare_data,
            # A login may ask for as much work memory as it likes: one project must not take the machine down.
            memory_share=0.25,
            stop_signal=signal.SIGINT,
            environment=server_environment,
        ),
        Part(
            "openbao",
            argv=openbao.argv,
            prepare=openbao.prepare,
            answers=openbao.answers,
            provision=provision_secrets,
            ready=openbao.is_ready,
            environment=lambda settings: openbao.environment(),
        ),
    )


def control_plane() -> tuple[Part, ...]:
    return (
        Part(
            "migrations",
            argv=python("-m", "tre.store.migrate"),
            ready=lambda settings: True,
            needs=("postgres-state",),
            one_shot=True,
        ),
        Part(
            "api",
            argv=python("-m", "tre.stack.serve"),
            ready=api_is_ready,
            needs=("migrations", "openbao"),
            prepare=lambda settings: settings.internal_socket.unlink(missing_ok=True),
        ),
        Part(
            "worker",
            argv=python("-m", "tre.stack.worker"),
            ready=lambda settings: settings.worker_ready.exists(),
            needs=("migrations", "openbao", "postgres-data"),
            prepare=prepare_worker,
            # It ends the workspaces that still run.
            stop_seconds=30.0,
        ),
    )


def door() -> tuple[Part, ...]:
    return (
        Part(
            "traefik",
            argv=lambda settings: [
                str(Path(sys.executable).parent / "traefik"),
                *write_traefik_static(Places(settings))[1:],
            ],
            ready=lambda settings: accepts_port(settings.port),
        ),
        Part(
            "guard",
            argv=python("-m", "tre.door.guard"),
            ready=lambda settings: accepts_socket(settings.guard_socket),
        ),
        Part(
            "intake",
            argv=python("-m", "tre.door.intake"),
            ready=lambda settings: accepts_socket(Places(settings).intake_admin),
            needs=("openbao",),
        ),
        Part(
            "hub",
            argv=python("-m", "jupyterhub", "-f", str(ROOT / "tre/door/hub_config.py")),
            ready=lambda settings: answers_http(f"http://127.0.0.1:{settings.port}/hub/health"),
            # The worker stops after it: a workspace that starts at the last moment is ended, too.
            needs=("traefik", "migrations", "worker"),
            environment=lambda settings: {**environment(settings), "JUPYTERHUB_CRYPT_KEY": ""},
        ),
    )


def server_environment(settings: Settings) -> dict[str, str]:
    return {"PATH": environment(settings)["PATH"], "LC_ALL": "C", "TZ": "UTC"}


def prepare_state(settings: Settings) -> None:
    databases.initialise_state(settings)
    postgres.write_configuration(databases.state_server(settings))


def prepare_data(settings: Settings) -> None:
    databases.initialise_data(settings)
    postgres.write_configuration(databases.data_server(settings))


def prepare_worker(settings: Settings) -> None:
    settings.worker_ready.unlink(missing_ok=True)
    Secrets.from_settings(settings).reconnect()


def provision_secrets(settings: Settings) -> None:
    """First run of the secrets server."""
    openbao.provision(settings)
    openbao.wait_until_ready(settings)


def prepare_folders(settings: Settings) -> None:
    """Folders and random secrets of all rooms, before anything starts; and the one secret that nobody here can make."""
    places = Places(settings)
    places.prepare()
    if settings.identity_provider:
        read_secret(places.secret(SECRET_FILE))
    # No password in it: the driver takes it from the role's password file.
    write_secret(places.hub_database_url, settings.state_url("tre_hub", "tre_hub"))


def run_platform(
    settings: Settings, on_ready: Callable[[], None], progress: Callable[[PartStatus], None] = lambda part: None
) -> None:
    """Start everything and return when SIGINT or SIGTERM has stopped everything again.

    `on_ready` is called once when all parts are ready, `progress` at every change of a part. Raises Conflict where this
    state folder or the ports are in use, Unavailable where a part does not come up.
    """
    with only_one(settings):
        end_leftovers(settings, parts())
        check_ports(settings)
        prepare_folders(settings)
        try:
            asyncio.run(supervise(settings, on_ready, progress))
        finally:
            end_workspaces(settings)


async def supervise(settings: Settings, on_ready: Callable[[], None], progress: Callable[[PartStatus], None]) -> None:
    supervisor = Supervisor(settings, parts(), progress)
    # The terminal is closed: an end like any other, unless it was started to outlive that (nohup).
    closed = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
    for number in (signal.SIGINT, signal.SIGTERM, *closed):
        asyncio.get_running_loop().add_signal_handler(number, supervisor.stop.set)
    await supervisor.run(on_ready)


def end_workspaces(settings: Settings) -> None:
    """Stop the workspaces that still run: without the platform nobody could watch them; nothing leads to them then."""
    places = Places(settings)
    places.routes_file.unlink(missing_ok=True)
    runtime = SandboxRuntime(places.workspaces, ROOT / ".workspace-env")
    with contextlib.suppress(FileNotFoundError):
        for folder in list(places.workspaces.iterdir()):
            runtime.stop({"workspace_id": folder.name})


def read_status(settings: Settings) -> list[PartStatus]:
    """The parts as they are now; [] where the platform does not run."""
    return status.read(settings)


def check_ports(settings: Settings) -> None:
    """Raise Conflict naming the port that someone else listens on."""
    for port in range(settings.port, settings.port + PORTS):
        if accepts_port(port):
            raise Conflict(
                f"port {port} is in use", field="TRE_PORT", hint=f"Set TRE_PORT so that {PORTS} ports from it are free."
            )


def api_is_ready(settings: Settings) -> bool:
    url = f"{Places(settings).web_url}/tre/api/v1/health"
    return accepts_socket(settings.internal_socket) and answers_http(url)


def accepts_port(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def accepts_socket(path: Path) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        probe.connect(str(path))
        return True
    return False


def answers_http(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    return False
