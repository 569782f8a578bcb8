"""Proving the walls of a running workspace: the platform's own places as targets, a neighbour from another project
beside it.

Decides what surrounds a workspace on this machine and must not be reached. The attempts themselves, and what counts
as refused, are `tre.workspaces.probes`'; the result is recorded through the internal API.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tre.door.places import ROOT, Places
from tre.errors import InvalidInput
from tre.settings import Settings
from tre.workspaces.plan import Limits
from tre.workspaces.probes.report import Report, Subject, Surroundings
from tre.workspaces.probes.verify import verify
from tre.workspaces.runtime import SandboxRuntime


def verify_workspace(settings: Settings, facts: dict[str, Any]) -> Report:
    """Runs every attempt inside the workspace and inside its neighbour. `facts` come from the internal API.

    Raises `InvalidInput` when no workspace of another project runs beside it.
    """
    if facts["neighbour"] is None:
        raise InvalidInput(
            "No workspace of another project runs.",
            field="workspace",
            hint="Start one, so that each can try to reach the other.",
        )
    places = Places(settings)
    runtime = SandboxRuntime(places.workspaces, ROOT / ".workspace-env")
    here, beside = subject(facts["workspace"]), subject(facts["neighbour"])
    left_out = () if facts["own_roles"] else ("database",)
    return verify(runtime, here, beside, surroundings(places, facts), left_out=left_out)


def subject(facts: dict[str, Any]) -> Subject:
    return Subject(
        state={"workspace_id": facts["workspace_id"]},
        workspace_id=facts["workspace_id"],
        home=facts["home"],
        intake_socket=facts["intake_socket"],
        data=facts["data"],
        limits=Limits(**facts["limits"]),
    )


def surroundings(places: Places, facts: dict[str, Any]) -> Surroundings:
    """Every socket, port and folder of the platform itself."""
    settings = places.settings
    unix = {
        "the state database": settings.state_database / ".s.PGSQL.5432",
        "the secrets server": settings.openbao_socket,
        "the internal API": settings.internal_socket,
        "the guard's other side": settings.guard_socket,
        "the intake's other side": places.intake_admin,
    }
    ports = {
        "the proxy": places.public_port,
        "the Hub": places.hub_port,
        "the guard": places.guard_port,
        "the API": places.web_port,
        "the proxy's own API": places.traefik_api_port,
    }
    return Surroundings(
        sockets={label: str(path) for label, path in unix.items() if Path(path).exists()},
        services={label: ("127.0.0.1", port) for label, port in ports.items()},
        platform_folders=(str(settings.state), str(settings.run)),
        public_key=facts["public_key"],
        expired_token=facts["expired_token"],
        own_roles=tuple(facts["own_roles"]),
        intake=True,
        database=bool(facts["own_roles"]),
    )
