"""Proving the walls of a running workspace: the platform's own places as targets, a neighbour from another project
beside it, the guard in front of it.

Decides what surrounds a workspace on this machine and must not be reached, and who must go on answering. Where no
workspace of another project runs, one of nobody is started beside it. The attempts themselves, and what counts as
refused, are `tre.workspaces.probes`' and `tre.door.probes`'; the result is recorded through the internal API.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from tre.door.places import ROOT, Places
from tre.door.probes.inside import as_the_owner
from tre.errors import Unavailable
from tre.settings import Settings
from tre.workspaces.plan import Limits
from tre.workspaces.probes import nobody
from tre.workspaces.probes.ending import endings
from tre.workspaces.probes.pulse import PATIENCE_SECONDS, workspace_answers
from tre.workspaces.probes.report import Report, Subject, Surroundings
from tre.workspaces.probes.verify import verify
from tre.workspaces.runtime import SandboxRuntime

HEALTH = ("/tre/api/v1/health", "/hub/health")


def verify_workspace(settings: Settings, facts: dict[str, Any], said: Callable[[str], object]) -> Report:
    """Every attempt on one running workspace. `facts` come from the internal API; `said` hears what is done now.

    Raises `Unavailable` where no neighbour can be started.
    """
    places = Places(settings)
    runtime = SandboxRuntime(places.workspaces, ROOT / ".workspace-env")
    here = subject(facts["workspace"])
    folders = tempfile.TemporaryDirectory(prefix="verify-", dir=settings.state)
    with folders as folder, neighbour(runtime, facts, Path(folder)) as beside:
        others = {"neighbour": workspace_answers(runtime, beside), "platform": lambda: answers(places)}
        said("from inside, and from its neighbour")
        report = verify(runtime, here, beside, surroundings(places, facts), others)
        said("by filling the disk")
        filled = endings(runtime, Path(folder), {**others, "workspace": workspace_answers(runtime, here)})
        said("through the guard")
        asked = as_the_owner(runtime, places, here.workspace_id, beside.workspace_id)
        return Report((*report.results, *filled, *asked), report.left_out)


@contextlib.contextmanager
def neighbour(runtime: SandboxRuntime, facts: dict[str, Any], folder: Path) -> Iterator[Subject]:
    """The running workspace of another project, or one of nobody for as long as this takes."""
    if facts["neighbour"]:
        yield subject(facts["neighbour"])
        return
    stranger = facts["stranger"]
    with nobody.running(runtime, nobody.plan(folder, stranger["workspace_id"], token=stranger["token"])) as started:
        yield started


def subject(facts: dict[str, Any]) -> Subject:
    state, limits = {"workspace_id": facts["workspace_id"]}, Limits(**facts["limits"])
    return Subject(**{**facts, "state": state, "limits": limits})


def answers(places: Places) -> None:
    """Raises `Unavailable` unless pages, API and Hub answer people now."""
    for path in HEALTH:
        url = f"http://127.0.0.1:{places.public_port}{path}"
        try:
            status = httpx.get(url, timeout=PATIENCE_SECONDS, trust_env=False).status_code
        except httpx.HTTPError as error:
            raise Unavailable(f"{path} does not answer ({type(error).__name__})") from error
        if status != httpx.codes.OK:
            raise Unavailable(f"{path} answers with {status}")


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
        sockets={label: str(path) for label, path in unix.items()},
        services={label: ("127.0.0.1", port) for label, port in ports.items()},
        platform_folders=(str(settings.state), str(settings.run)),
        public_key=facts["public_key"],
    )
