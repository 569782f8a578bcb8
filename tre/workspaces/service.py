"""The use cases of a workspace: start, what the door reports, stop, end.

Decides that a workspace starts only through the whole gate, with a credential that dies with it, and that every end
revokes the credential. Running it is left to a runtime; keeping the world as the database says is left to
`controller`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from tre.audit import SYSTEM, Actor, UseCase, use_case
from tre.audit.chain import plain
from tre.credentials import Lease
from tre.data import carrying, snapshots
from tre.errors import Conflict, GateClosed, NotFound, TreError
from tre.projects import service as projects
from tre.projects.rules import check_gate
from tre.settings import make_private_folder
from tre.store import Database
from tre.workspaces import gate, login, nodes, rules
from tre.workspaces.model import LIVE, TRANSITIONS, Workspace, WorkspacePolicy, WorkspaceState
from tre.workspaces.places import Places
from tre.workspaces.plan import DataMount, LaunchPlan
from tre.workspaces.policy import door_limits_of, limits_of, policy_of

# A login outlives a platform that is gone by at most this long.
LEASE_SECONDS = 3600
#: An intake token lives so long; the next one is handed over in its second half.
TOKEN_LIFE = timedelta(hours=1)
TOKEN_FILE = "intake.token"  # noqa: S105
ACTION = {
    WorkspaceState.running: "workspace.run",
    WorkspaceState.stopping: "workspace.stop",
    WorkspaceState.stopped: "workspace.end",
    WorkspaceState.failed: "workspace.fail",
}


#: Signs an intake token: workspace, now, how long it lives → the token.
MakeToken = Callable[[str, datetime, timedelta], str]


class Leases(Protocol):
    """`tre.credentials.Secrets`. A lease's id holds no secret; the password is shown once."""

    def lease(self, project: str, workspace: str, ttl: int, longest: int) -> Lease: ...
    def renew(self, lease_id: str, ttl: int) -> datetime: ...
    def revoke(self, lease_id: str) -> None: ...


def start(db: Database, leases: Leases, places: Places, actor: Actor, project: str) -> LaunchPlan:
    """Opens the actor's workspace in a project and returns its plan (without the intake token, which the edge adds).

    Raises `GateClosed` with every obstacle, `Conflict` when one is live already, `Unavailable` when no lease can be
    had.
    """
    workspace_id = secrets.token_hex(8)
    with use_case(db, actor, "workspace.start", f"workspace:{workspace_id}") as case:
        case.note(project=project, person=actor.username)
        projects.get(case.session, project)
        check_gate(gate.obstacles(case.session, project, actor.username, case.now))
        where = _on_cluster(case, project) if places.on_cluster else ()
        live = select(Workspace.id).where(
            Workspace.project_slug == project, Workspace.username == actor.username, Workspace.state.in_(LIVE)
        )
        if running := case.session.scalars(live).first():
            raise Conflict(f"This workspace runs already ({running}).", hint="Open it, or stop it first.")
        policy = policy_of(case.session, project)
        case.session.add(
            Workspace(
                id=workspace_id,
                project_slug=project,
                username=actor.username,
                state=WorkspaceState.starting,
                state_since=case.now,
                requested_at=case.now,
                expires_at=case.now + timedelta(seconds=policy.max_age_seconds),
            )
        )
        today = case.now.date()
        found = snapshots.mounts(case.session, places.data, project, today)
        mounts = tuple(DataMount(name, str(path)) for name, path in found)
        has_database = snapshots.needs_database(case.session, project, today)
    try:
        make_private_folder(places.home(project, actor.username))
        files = _lease(db, leases, places, workspace_id, project, policy) if has_database else {}
        plan = _plan(workspace_id, actor.username, project, places, policy, mounts, files)
        return replace(plan, nodes=where)
    except TreError as error:
        end(db, leases, workspace_id, WorkspaceState.failed, error.message)
        raise


def _on_cluster(case: UseCase, project: str) -> tuple[str, ...]:
    """The nodes where it may run. Raises `GateClosed` also while the project's files are not in its volume."""
    where = nodes.proven(case.session, case.now)
    if names := carrying.on_the_way(case.session, project, case.now.date()):
        raise GateClosed(
            f"The data are on their way to the project's volume: {', '.join(names)}.",
            hint="Try again in a minute. Where it takes long, an administrator sees why in the record.",
            code="data_on_the_way",
        )
    return where


def _lease(
    db: Database, leases: Leases, places: Places, workspace_id: str, project: str, policy: WorkspacePolicy
) -> dict[str, str]:
    """The files of a login (`login`). The lease is recorded before anybody may use it; one that cannot be
    recorded is revoked here, since nobody else knows of it.
    """
    lease = leases.lease(project, workspace_id, LEASE_SECONDS, policy.max_age_seconds + LEASE_SECONDS)
    try:
        with use_case(db, SYSTEM, "credential.lease", f"workspace:{workspace_id}") as case:
            workspace = get(case.session, workspace_id, lock=True)
            workspace.lease_id, workspace.lease_expires_at = lease.id, lease.expires
            case.note(login=lease.username)
            wanted = workspace.state == WorkspaceState.starting
    except TreError:
        leases.revoke(lease.id)
        raise
    if not wanted:
        raise Conflict("The workspace was ended while it started.", hint="Start it again.")
    return login.files(places.data_server, lease)


def _plan(
    workspace_id: str,
    username: str,
    project: str,
    places: Places,
    policy: WorkspacePolicy,
    mounts: tuple[DataMount, ...],
    files: dict[str, str],
) -> LaunchPlan:
    return LaunchPlan(
        workspace_id=workspace_id,
        person=username,
        project=project,
        home=str(places.home(project, username)),
        base_url=f"/user/{username}/{project}/",
        intake_socket=str(places.intake_socket(workspace_id)),
        jupyter_token=secrets.token_urlsafe(32),
        data=mounts,
        secrets=files,
        postgres_socket_dir=login.socket_folder(places.data_server) if files else None,
        limits=limits_of(policy),
        door=door_limits_of(policy),
    )


def outline(session: Session, places: Places, workspace: Workspace, today: date) -> dict[str, Any]:
    """Where a running workspace lies on the host, and its limits, without any secret: for proving its walls."""
    mounts = snapshots.mounts(session, places.data, workspace.project_slug, today)
    return {
        "workspace_id": workspace.id,
        "home": str(places.home(workspace.project_slug, workspace.username)),
        "intake_socket": str(places.intake_socket(workspace.id)),
        "data": {name: str(path) for name, path in mounts},
        "limits": asdict(limits_of(policy_of(session, workspace.project_slug))),
    }


def report(
    db: Database, leases: Leases, workspace_id: str, event: WorkspaceState, reason: str, route: str | None = None
) -> None:
    """What the door saw happen. Told twice is told once; too late changes nothing; what was stopping has stopped.
    `route` is that of a workspace that runs, where other guards must find it.
    """
    if event is WorkspaceState.running:
        _mark_running(db, workspace_id, route)
        return
    with db.read() as session:
        stopping = get(session, workspace_id).state == WorkspaceState.stopping
    end(db, leases, workspace_id, WorkspaceState.stopped if stopping else event, reason)


def _mark_running(db: Database, workspace_id: str, route: str | None) -> None:
    with use_case(db, SYSTEM, ACTION[WorkspaceState.running], f"workspace:{workspace_id}") as case:
        workspace = get(case.session, workspace_id, lock=True)
        if workspace.state == WorkspaceState.running:
            case.nothing_changed()
            return
        rules.check_transition(workspace, WorkspaceState.running)
        workspace.state, workspace.state_since, workspace.route = WorkspaceState.running, case.now, route


def stop(db: Database, leases: Leases, actor: Actor, workspace_id: str, reason: str) -> Workspace:
    """Marks it stopping and revokes its credential at once; the controller and the Hub end the sandbox. Asked again,
    where the secrets server did not answer the first time, it revokes again.
    """
    with use_case(db, actor, ACTION[WorkspaceState.stopping], f"workspace:{workspace_id}") as case:
        workspace = get(case.session, workspace_id, lock=True)
        rules.check_stop(actor, workspace)
        if workspace.state == WorkspaceState.stopping:
            case.nothing_changed()
        else:
            rules.check_transition(workspace, WorkspaceState.stopping)
            workspace.state, workspace.state_since, workspace.reason = WorkspaceState.stopping, case.now, plain(reason)
            case.note(reason=reason)
    revoke(db, leases, workspace_id)
    return workspace


def end(db: Database, leases: Leases, workspace_id: str, state: WorkspaceState, reason: str) -> None:
    """To stopped or failed, and the credential revoked."""
    with use_case(db, SYSTEM, ACTION[state], f"workspace:{workspace_id}") as case:
        workspace = get(case.session, workspace_id, lock=True)
        if workspace.state not in LIVE:
            case.nothing_changed()
        else:
            if WorkspaceState.stopped not in TRANSITIONS[WorkspaceState(workspace.state)]:
                state = WorkspaceState.failed
            case.action = ACTION[state]
            workspace.state, workspace.state_since, workspace.route = state, case.now, None
            workspace.reason = workspace.reason or plain(reason)
            case.note(reason=workspace.reason)
    revoke(db, leases, workspace_id)


def revoke(db: Database, leases: Leases, workspace_id: str) -> None:
    """Ends the database login and its open sessions. Safe to repeat; what fails is repeated by the controller."""
    with db.read() as session:
        workspace = get(session, workspace_id)
        if workspace.lease_id is None or workspace.lease_revoked_at is not None:
            return
    leases.revoke(workspace.lease_id)
    with use_case(db, SYSTEM, "credential.revoke", f"workspace:{workspace_id}") as case:
        held = get(case.session, workspace_id, lock=True)
        if held.lease_revoked_at is not None:
            case.nothing_changed()
            return
        held.lease_revoked_at = case.now


def renew(db: Database, leases: Leases, workspace_id: str) -> None:
    """Prolongs the lease of a running workspace. A lease that is gone is `NotFound`: the workspace must end."""
    with db.read() as session:
        lease_id = get(session, workspace_id).lease_id
    if lease_id is None:
        return
    expires = leases.renew(lease_id, LEASE_SECONDS)
    with db.transaction() as session:
        get(session, workspace_id, lock=True).lease_expires_at = expires


def issue_token(
    db: Database, make: MakeToken, workspace_id: str, hand_over: Callable[[str], None] = lambda token: None
) -> str:
    """A new intake token, noted once it is handed over, so that what fails in between is done again."""
    now = db.clock()
    token = make(workspace_id, now, TOKEN_LIFE)
    hand_over(token)
    with db.transaction() as session:
        get(session, workspace_id, lock=True).token_expires_at = now + TOKEN_LIFE
    return token


def get(session: Session, workspace_id: str, *, lock: bool = False) -> Workspace:
    """Raises `NotFound`."""
    workspace = session.get(Workspace, workspace_id, with_for_update=lock or None)
    if workspace is None:
        raise NotFound(f"There is no workspace {workspace_id}.", field="workspace")
    return workspace


def list_workspaces(
    session: Session, *, username: str = "", project: str = "", live: bool = False
) -> Sequence[Workspace]:
    query = select(Workspace).order_by(Workspace.requested_at.desc()).limit(500)
    if username:
        query = query.where(Workspace.username == username)
    if project:
        query = query.where(Workspace.project_slug == project)
    if live:
        query = query.where(Workspace.state.in_(LIVE))
    return session.scalars(query).all()
