"""Places extracts in the projects' volumes, and takes them out again, by pods of the projects.

Decides that each has at most one pod at a time, on a node that was shown to confine, with a login of its own that ends
with it, and what its end means. What fails is tried again after a pause, and holds up no other.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from tre.data import carrying
from tre.data.carrying import Load
from tre.errors import NotFound, TreError
from tre.settings import PostgresServer
from tre.store import Database
from tre.workspaces import login, nodes, policy
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.carrier import LONGEST_SECONDS, carrier_pod, plan_of
from tre.workspaces.kubernetes.cluster import Cluster
from tre.workspaces.kubernetes.content import POD, SECRET
from tre.workspaces.kubernetes.names import namespace_of, workspace_of
from tre.workspaces.kubernetes.namespace import Object
from tre.workspaces.kubernetes.secret import workspace_secret
from tre.workspaces.plan import Limits
from tre.workspaces.service import Leases

log = logging.getLogger(__name__)
TOLD = 300


@dataclass(frozen=True)
class Carriers:
    """What is needed for them; `server` is where the projects' databases are, as a pod reaches it."""

    db: Database
    leases: Leases
    api: Api
    cluster: Cluster
    server: PostgresServer

    def carry(self) -> int:
        """One look; returns how many arrived."""
        with self.db.read() as session:
            now = self.db.clock()
            loads = carrying.due(session, now)
            limits = {load.project: policy.limits_of(policy.policy_of(session, load.project)) for load in loads}
            where = _nodes(session, now) if loads else ()
        return sum(self._tried(load, limits[load.project], where) for load in loads)

    def _tried(self, load: Load, limits: Limits, where: tuple[str, ...]) -> bool:
        try:
            return self._look(load, limits, where)
        except TreError as error:
            log.warning("extract %s is not carried: %s", load.extract, error.message)
            return False

    def _look(self, load: Load, limits: Limits, where: tuple[str, ...]) -> bool:
        pod = self._pod(load.project, load.carrier)
        if pod is None:
            if where and self._pod(load.project, load.other) is None:
                self._start(load, limits, where)
            return False
        phase = pod["status"].get("phase")
        if phase not in ("Succeeded", "Failed"):
            return False
        told = _told(pod)
        self._end(load, pod)
        if phase == "Failed":
            carrying.failed(self.db, load, told)
            return False
        carrying.carried(self.db, load)
        return True

    def _start(self, load: Load, limits: Limits, where: tuple[str, ...]) -> None:
        files: dict[str, str] = {}
        if not load.away:
            lease = self.leases.lease(load.project, load.carrier, LONGEST_SECONDS, LONGEST_SECONDS)
            try:
                carrying.holds(self.db, load.extract, lease.id)
            except TreError:
                self.leases.revoke(lease.id)
                raise
            load, files = replace(load, lease_id=lease.id), login.files(self.server, lease)
        plan = plan_of(load, limits, files, where)
        try:
            made = self.api.create(POD, carrier_pod(self.cluster, load, plan))
            self.api.create(SECRET, workspace_secret(self.cluster, plan, pod_uid=made["metadata"]["uid"]))
        except TreError as error:
            if pod := self._pod(load.project, load.carrier):
                self._end(load, pod)
            elif load.lease_id:
                self.leases.revoke(load.lease_id)
            carrying.failed(self.db, load, error.message)

    def _end(self, load: Load, pod: Object) -> None:
        """The pod first: a login that was revoked before would look like a failure."""
        metadata = pod["metadata"]
        self.api.delete(POD, metadata["namespace"], metadata["name"], uid=metadata["uid"])
        if load.lease_id:
            self.leases.revoke(load.lease_id)

    def _pod(self, project: str, carrier: str) -> Object | None:
        try:
            return self.api.ask("GET", POD.path(self._space(project), workspace_of(carrier)), {})
        except NotFound:
            return None

    def _space(self, project: str) -> str:
        return namespace_of(self.cluster.control_namespace, project)


def _told(pod: Object) -> str:
    """Why it ended, in its own last words where it had any: they are in its status, since nobody here reads logs."""
    states = [each.get("state", {}).get("terminated") or {} for each in pod["status"].get("containerStatuses") or ()]
    said = [one.get("message") or f"It ended with code {one.get('exitCode')}." for one in states if one]
    return " ".join([str(pod["status"].get("reason") or ""), *said]).strip()[-TOLD:] or "Its pod failed."


def _nodes(session: Session, now: datetime) -> tuple[str, ...]:
    """None is no error here: it waits."""
    try:
        return nodes.proven(session, now)
    except TreError:
        return ()
