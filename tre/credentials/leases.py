"""A workspace's login to its project's database: leased, renewed, revoked.

Decides that each lease hangs on a token of its own without a parent, of which only the accessor is kept: revoking it or
its expiry ends the login. Leaves to the workspaces when that is, and to `policies.revocation_statements` how a login
ends.
"""

from __future__ import annotations

import contextlib
import datetime
from dataclasses import dataclass, field
from typing import Any

from tre.credentials.client import connect, translated
from tre.credentials.policies import LEASE_POLICY, LONGEST_LEASE, TOKEN_ROLE
from tre.credentials.server import Server
from tre.errors import InvalidInput, NotFound, TreError, Unavailable


@dataclass(frozen=True)
class Lease:
    """A login. `id` is what to keep (it holds no secret) for `renew` and `revoke`; the password is shown once, here."""

    id: str
    database: str
    username: str
    password: str = field(repr=False)
    expires: datetime.datetime


@dataclass(frozen=True)
class Held:
    """A lease that the secrets server still holds, for whoever compares with the workspaces that should run."""

    id: str
    project: str
    workspace: str
    expires: datetime.datetime


def issue(server: Server, database: str, project: str, workspace: str, ttl: int, longest: int) -> Lease:
    """A new login to `database` for `ttl` seconds, renewable up to `longest`. Nothing is left over where it fails."""
    if not 0 < ttl <= longest <= LONGEST_LEASE:
        raise InvalidInput(f"a lease of {ttl} s within {longest} s is not possible", field="ttl")
    token = {
        "policies": [LEASE_POLICY],
        "ttl": f"{ttl}s",
        "explicit_max_ttl": f"{longest}s",
        "meta": {"project": project, "workspace": workspace},
        "no_default_policy": True,
        "entity_alias": database,
    }
    made = server.post("lease a login", f"auth/token/create/{TOKEN_ROLE}", token)["auth"]
    try:
        with translated("lease a login"):
            found = connect(server.address, made["client_token"]).secrets.database.generate_credentials(database)
        lease_id = f"{made['accessor']}:{found['lease_id']}"
        data = found["data"]
        return Lease(lease_id, database, data["username"], data["password"], renew(server, lease_id, ttl))
    except BaseException:
        with contextlib.suppress(TreError):
            revoke_accessor(server, made["accessor"])
        raise


def renew(server: Server, lease_id: str, ttl: int) -> datetime.datetime:
    """Prolong to `ttl` seconds from now; returns when it ends (earlier where its longest life is near).

    Raises NotFound where it has ended: a lease that is gone does not come back.
    """
    accessor, login = parts(lease_id)
    try:
        token = server.post("renew a lease", "auth/token/renew-accessor", {"accessor": accessor, "increment": ttl})
        seconds = int(token["auth"]["lease_duration"])
        if login:
            body = {"lease_id": login, "increment": seconds}
            seconds = min(seconds, int(server.post("renew a lease", "sys/leases/renew", body)["lease_duration"]))
    except (InvalidInput, NotFound):
        raise NotFound("the lease has ended", hint="Start the workspace again.") from None
    return now() + datetime.timedelta(seconds=seconds)


def revoke(server: Server, lease_id: str) -> None:
    """End a login and its open sessions. When this returns they have ended; for a bare accessor they are about to.

    A lease that is gone already is no error. Raises Unavailable where the database does not answer; the secrets server
    keeps trying then, and calling again is right.
    """
    accessor, login = parts(lease_id)
    if login and is_held(server, login):
        try:
            server.post("revoke a lease", "sys/leases/revoke", {"lease_id": login, "sync": True})
        except InvalidInput as error:
            # Whatever the reason, the login may be alive: never to be taken for done, always to be tried again.
            raise Unavailable(error.message) from error
    revoke_accessor(server, accessor)


def is_held(server: Server, login: str) -> bool:
    try:
        server.post("look a lease up", "sys/leases/lookup", {"lease_id": login})
    except (InvalidInput, NotFound):
        return False
    return True


def revoke_accessor(server: Server, accessor: str) -> None:
    with contextlib.suppress(InvalidInput, NotFound):
        server.post("revoke a lease", "auth/token/revoke-accessor", {"accessor": accessor})


def held(server: Server) -> list[Held]:
    """Every lease that the secrets server holds for a workspace, whoever issued it."""
    answer = server.call("list leases", lambda client: client.list("auth/token/accessors")) or {"data": {"keys": []}}
    found = (look_up(server, accessor) for accessor in answer["data"]["keys"])
    return [to_held(data) for data in found if data.get("path") == f"auth/token/create/{TOKEN_ROLE}"]


def look_up(server: Server, accessor: str) -> dict[str, Any]:
    """What is known of a token; {} where it ended since it was listed."""
    try:
        return dict(server.post("look a lease up", "auth/token/lookup-accessor", {"accessor": accessor})["data"])
    except (InvalidInput, NotFound):
        return {}


def to_held(data: dict[str, Any]) -> Held:
    meta = data.get("meta") or {}
    expires = now() + datetime.timedelta(seconds=int(data["ttl"]))
    return Held(data["accessor"], meta.get("project", ""), meta.get("workspace", ""), expires)


def parts(lease_id: str) -> tuple[str, str]:
    """(accessor, the secrets server's lease) of a lease's id; a bare accessor has no second part."""
    accessor, _, login = lease_id.partition(":")
    if not accessor:
        raise InvalidInput("a lease's id is empty", field="lease")
    return accessor, login


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
