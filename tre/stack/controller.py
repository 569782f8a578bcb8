"""`python -m tre.stack.controller`: keeps the cluster as the database says, as long as it leads.

Decides only what runs beside one another: projects converge, nodes are shown to confine, walls are tried for who asks,
workspaces end with their preconditions, their pods and their leases. It alone has rights in the projects' namespaces,
the hub's few excepted.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from tre.api.internal import INTAKE_KEY, token_maker
from tre.api.platform import Platform, build_platform
from tre.credentials import Secrets
from tre.errors import InvalidInput, NotFound, TreError
from tre.settings import PostgresServer, Settings
from tre.workspaces import login, service
from tre.workspaces.controller import converge
from tre.workspaces.kubernetes.absent import end_absent
from tre.workspaces.kubernetes.aims import Surroundings
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.canary import REACHED
from tre.workspaces.kubernetes.carrying import Carriers
from tre.workspaces.kubernetes.cluster import Cluster
from tre.workspaces.kubernetes.controller import Chore, keep
from tre.workspaces.kubernetes.installation import cluster_of
from tre.workspaces.kubernetes.proving import Prover
from tre.workspaces.kubernetes.reach import reach
from tre.workspaces.kubernetes.verification import LIMITS, Intake, Login
from tre.workspaces.kubernetes.verifier import Verifier
from tre.workspaces.kubernetes.workspaces import PodRuntime
from tre.workspaces.model import VERIFICATION_TIMEOUTS, VerificationState
from tre.workspaces.orphans import reconcile
from tre.workspaces.service import TOKEN_FILE

log = logging.getLogger(__name__)

#: The pod's own name, among several controllers.
IDENTITY = "POD_NAME"
#: As long as a verification takes at most.
NOBODYS = VERIFICATION_TIMEOUTS[VerificationState.running]


@dataclass(frozen=True)
class PodTokens:
    """Intake tokens, signed by the secrets server, replaced in the Secret of a running pod."""

    platform: Platform
    runtime: PodRuntime

    def make(self, workspace_id: str, now: datetime, life: timedelta) -> str:
        return token_maker(self.platform)(workspace_id, now, life)

    def to_be_tried(self, workspace_id: str, probe: str) -> Intake:
        """For a pod of nobody: one that is sound and names nobody, one of the workspace that has expired."""
        now = self.platform.db.clock()
        return Intake(
            nobodys_token=self.make(probe, now, NOBODYS),
            expired_token=self.make(workspace_id, now - 2 * NOBODYS, NOBODYS),
            public_key=self.platform.secrets.public_pem(INTAKE_KEY),
        )

    def hand_over(self, workspace_id: str, token: str) -> None:
        with self.platform.db.read() as session:
            workspace = service.get(session, workspace_id)
        self.runtime.replace_secret(workspace, TOKEN_FILE, token)


@dataclass(frozen=True)
class PodLogins:
    """Logins to projects' databases, on this server, for pods that try walls."""

    leases: Secrets
    server: PostgresServer

    @contextmanager
    def to_be_tried(self, project: str, probe: str) -> Iterator[Login | None]:
        """As long as it is tried; None where the project has no database. One that cannot be ended ends by itself."""
        most = LIMITS.max_age_seconds
        try:
            group = self.leases.project_database(project).group
            lease = self.leases.lease(project, probe, most, most)
        except NotFound:
            yield None
            return
        try:
            yield Login(login.files(self.server, lease), (group,))
        finally:
            try:
                self.leases.revoke(lease.id)
            except TreError as error:
                log.warning("the login of %s ends by itself: %s", probe, error.message)


def chores(platform: Platform, cluster: Cluster, api: Api) -> tuple[Chore, ...]:
    db, leases, runtime = platform.db, platform.secrets, PodRuntime(api, cluster)
    tokens, prover = PodTokens(platform, runtime), Prover(db, cluster, api)
    around, logins = partial(servers, platform.settings), PodLogins(leases, platform.settings.data_server)
    verifier = Verifier(db, api, cluster, around, tokens.to_be_tried, logins.to_be_tried)
    carriers = Carriers(db, leases, api, cluster, platform.settings.data_server)
    return (
        Chore("control", lambda world, goes_on: converge(db, leases, [runtime], tokens), 2.0),
        Chore("absent", lambda world, goes_on: end_absent(db, leases, world, cluster.control_namespace), 1.0),
        Chore("orphans", lambda world, goes_on: reconcile(db, leases), 60.0),
        Chore("prove", lambda world, goes_on: prover.prove(), 5.0),
        Chore("carry", lambda world, goes_on: carriers.carry(), 2.0),
        Chore("verify", lambda world, goes_on: verifier.verify(goes_on), 2.0),
    )


def servers(settings: Settings) -> Surroundings:
    """The platform's own servers, as this process reaches them; where people sign in, a place outside."""
    state = _targets(settings.state_server.host, settings.state_server.port)
    openbao = settings.openbao
    secrets = [] if isinstance(openbao, Path) else _targets_of(openbao.url)
    own = [target for target in (*state, *secrets) if reach(target) in REACHED]
    provider = settings.identity_provider
    return Surroundings({"servers": own, "outside": _targets_of(provider.issuer) if provider else []}, frozenset(own))


def _targets_of(url: str) -> list[str]:
    parts = urlsplit(url)
    return _targets(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))


def _targets(host: str, port: int) -> list[str]:
    """Numbers for the name, since pods in projects get none; a name that nobody knows has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return sorted({f"tcp://{place[0]}:{port}" for *_, place in found})


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
