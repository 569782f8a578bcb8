"""Which steps the worker repeats, and with what: the platform's rooms wired together.

Decides only the wiring and how often an idle step is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from tre.api.internal import token_maker
from tre.api.platform import Platform
from tre.audit.service import sign_head
from tre.data import carrying
from tre.data import snapshots as pinned
from tre.data import worker as data
from tre.data.sources import Places
from tre.door.places import ROOT
from tre.door.places import Places as DoorPlaces
from tre.outputs import checking, release
from tre.outputs import steps as outputs
from tre.outputs.keeping import collect_orphans
from tre.outputs.recomputed import Snapshot
from tre.outputs.sandboxed import RunChecked
from tre.people.signin import forget_failures
from tre.workspaces.checker.client import Checker
from tre.workspaces.controller import close, converge
from tre.workspaces.model import Workspace
from tre.workspaces.orphans import reconcile
from tre.workspaces.runtime import SandboxRuntime
from tre.workspaces.sandbox.checking import run_checked
from tre.workspaces.service import TOKEN_FILE, MakeToken


@dataclass(frozen=True)
class Step:
    """`run` does one piece of work and says whether there was any; without any, `pause` seconds rest."""

    name: str
    run: Callable[[], bool]
    pause: float


@dataclass(frozen=True)
class SandboxEnder:
    """Ends a sandbox through its keeper, also when the Hub is down; the Hub notices when it next looks."""

    runtime: SandboxRuntime

    def end_sandbox(self, workspace: Workspace) -> None:
        self.runtime.stop({"workspace_id": workspace.id})


def enders_of(platform: Platform) -> tuple[SandboxEnder, ...]:
    return (SandboxEnder(SandboxRuntime(DoorPlaces(platform.settings).workspaces, ROOT / ".workspace-env")),)


def close_workspaces(platform: Platform) -> int:
    """At the platform's end, while the servers still answer: no workspace and no login to a database stays."""
    return close(platform.db, platform.secrets, enders_of(platform), "The platform was stopped.")


@dataclass(frozen=True)
class SandboxTokens:
    """Intake tokens, signed by the secrets server, replaced in the memory of a running sandbox."""

    make: MakeToken
    runtime: SandboxRuntime

    def hand_over(self, workspace_id: str, token: str) -> None:
        self.runtime.replace_secret({"workspace_id": workspace_id}, TOKEN_FILE, token)


def steps_of(platform: Platform) -> tuple[Step, ...]:
    db = platform.db
    places = Places.from_settings(platform.settings)
    enders = enders_of(platform)
    tokens = SandboxTokens(token_maker(platform), enders[0].runtime)
    desk = checking.CheckingDesk(platform.content, checker_of(platform), snapshots(platform))
    press = release.ReleaseDesk(platform.content, platform.signing_key("release"))

    def control() -> bool:
        converge(db, platform.secrets, enders, tokens)
        return False

    def tidy() -> bool:
        return data.tidy(db, places) > 0

    def sign() -> bool:
        sign_head(db, platform.signing_key("audit"))
        return False

    # Files of this machine are a sandbox's as they are; a pod's lie in a volume of its project.
    away = (Step("carry", lambda: carrying.step(db, places, platform.secrets), 1.0),)
    # On a cluster these are the controller's, who has rights there.
    living = (
        Step("control", control, 2.0),
        Step("orphans", lambda: reconcile(db, platform.secrets) > 0, 60.0),
    )
    return (
        Step("extract", lambda: data.step(db, places, platform.secrets), 0.5),
        Step("tidy", tidy, 600.0),
        Step("check", lambda: checking.step(db, desk), 0.3),
        Step("release", lambda: release.step(db, press), 0.5),
        Step("expire", lambda: outputs.expire(db), 10.0),
        Step("collect", lambda: collect_orphans(db, platform.content) > 0, 600.0),
        *(living if platform.settings.cluster is None else away),
        Step("sign", sign, 60.0),
        Step("forget", lambda: forget_failures(db) > 0, 600.0),
    )


def checker_of(platform: Platform) -> RunChecked:
    """Files are read in a sandbox of this machine; in a pod, which may make none, by a pod that is one."""
    cluster = platform.settings.cluster
    return run_checked if cluster is None else Checker(cluster.hosts.checker).run


def snapshots(platform: Platform) -> checking.Snapshots:
    """The project's ready extracts, for making declared tables again."""

    places = Places.from_settings(platform.settings)

    def of(session: Session, project: str) -> dict[str, Snapshot]:
        today = platform.db.clock().date()
        found = {}
        for extract in pinned.ready(session, project, today):
            dataset = extract.grant.dataset
            manifest = pinned.snapshot(session, places, project, dataset.slug, today)
            units = [v.name for v in dataset.variables if v.unit]
            unit = units[0] if len(units) == 1 and units[0] in manifest.columns else None
            folder = places.extracts / extract.name
            found[dataset.slug] = Snapshot(dataset.slug, folder, manifest.digest, unit)
        return found

    return of
