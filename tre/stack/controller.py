"""`python -m tre.stack.controller`: keeps the cluster as the database says, as long as it leads.

Decides only what runs beside one another: projects converge, nodes are shown to confine, workspaces end with their
preconditions, their pods and their leases. It alone has rights in the projects' namespaces, the hub's few excepted.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from tre.api.internal import token_maker
from tre.api.platform import Platform, build_platform
from tre.errors import InvalidInput, TreError
from tre.settings import Settings
from tre.workspaces import service
from tre.workspaces.controller import converge
from tre.workspaces.kubernetes.absent import end_absent
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.carrying import Carriers
from tre.workspaces.kubernetes.cluster import Cluster
from tre.workspaces.kubernetes.controller import Chore, keep
from tre.workspaces.kubernetes.installation import cluster_of
from tre.workspaces.kubernetes.proving import Prover
from tre.workspaces.kubernetes.workspaces import PodRuntime
from tre.workspaces.orphans import reconcile
from tre.workspaces.service import TOKEN_FILE

#: The pod's own name, among several controllers.
IDENTITY = "POD_NAME"


@dataclass(frozen=True)
class PodTokens:
    """Intake tokens, signed by the secrets server, replaced in the Secret of a running pod."""

    platform: Platform
    runtime: PodRuntime

    def make(self, workspace_id: str, now: datetime, life: timedelta) -> str:
        return token_maker(self.platform)(workspace_id, now, life)

    def hand_over(self, workspace_id: str, token: str) -> None:
        with self.platform.db.read() as session:
            workspace = service.get(session, workspace_id)
        self.runtime.replace_secret(workspace, TOKEN_FILE, token)


def chores(platform: Platform, cluster: Cluster, api: Api) -> tuple[Chore, ...]:
    db, leases, runtime = platform.db, platform.secrets, PodRuntime(api, cluster)
    tokens, prover = PodTokens(platform, runtime), Prover(db, cluster, api)
    carriers = Carriers(db, leases, api, cluster, platform.settings.data_server)
    return (
        Chore("control", lambda world: converge(db, leases, [runtime], tokens), 2.0),
        Chore("absent", lambda world: end_absent(db, leases, world, cluster.control_namespace), 1.0),
        Chore("orphans", lambda world: reconcile(db, leases), 60.0),
        Chore("prove", lambda world: prover.prove(), 5.0),
        Chore("carry", lambda world: carriers.carry(), 2.0),
    )


def own_name() -> str:
    """The pod's own name; raises InvalidInput where the pod was not told it."""
    name = os.environ.get(IDENTITY, "")
    if not name:
        raise InvalidInput("It is not set.", field=IDENTITY, hint="Set it to the pod's own name.")
    return name


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    leave = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leave.set())
    try:
        settings = Settings.load()
        cluster, identity = cluster_of(settings), own_name()
        platform, api = build_platform(settings), Api.connect()
        keep(platform.db, cluster, api, identity, leave, chores(platform, cluster, api))
    except TreError as error:
        print(f"{error.field}: {error.message} {error.hint}".strip(": "), file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
