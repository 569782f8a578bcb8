"""The PostgreSQL servers: reachable, of the right version, with the rights that each login needs and none that would
undo a wall, the schema of this release, the clock.

Decides what is asked in a session and what the answers mean; nothing is written. What each login must be able to do is
`logins`'.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from tre.errors import Conflict, InvalidInput, TreError, Unavailable
from tre.settings import PostgresServer
from tre.stack.examination import certificates
from tre.stack.examination.clocks import Clock
from tre.stack.examination.finding import Finding, doubtful, right, wrong
from tre.stack.examination.logins import RIGHTS, Login, Right

SECONDS = 5
LEAST_VERSION = 18
#: Of a server at a socket nothing of the network is asked.
NO_SUCH_TABLE, NOT_ALLOWED = "42P01", "42501"


@dataclass(frozen=True)
class Seen:
    """`refused`: libpq's words where there is no session. `revision`: of the schema; None where it was not asked,
    "" where there is none, "?" where it may not be read. `unlike`: the rights whose answer is the wrong one.
    """

    refused: str = ""
    version: int = 0
    encoding: str = "UTF8"
    revision: str | None = None
    unlike: tuple[Right, ...] = ()
    clock: Clock | None = None
    nodes: tuple[Proof, ...] | None = None


@dataclass(frozen=True)
class Proof:
    """What the canary said of a node."""

    node: str
    proven: bool
    reason: str
    shown_at: datetime


#: What a server's words mean: (a part of them, which value, what to do). None: the server's own key.
MEANINGS: tuple[tuple[str, str | None, str], ...] = (
    ("password authentication failed", "logins", "Put the role's present password into {secret} of that Secret."),
    ("no password supplied", "logins", "{secret} of that Secret is to be the line *:*:*:{role}:PASSWORD."),
    ("password retrieved from file", "logins", "Put the role's present password into {secret} of that Secret."),
    ("permission denied for database", None, "GRANT CONNECT ON DATABASE {database} TO {role}"),
    (
        "pg_hba.conf",
        None,
        "Let {role} log in to {database} from the pods' addresses, with scram-sha-256 (pg_hba.conf).",
    ),
    ("not permitted to log in", None, "ALTER ROLE {role} LOGIN"),
    ("server does not support SSL", "sslmode", "Switch TLS on at the server."),
    ("root certificate file", "ca", "Name a ConfigMap with the authority as ca.pem."),
    ("certificate verify failed", "ca", "Name a ConfigMap with the present authority as ca.pem."),
    ("does not match host name", "host", "Name the server as its certificate does."),
    (
        "does not exist",
        None,
        "Make the role and the database: `tre prepare postgresql` writes the statements (docs/helm.md).",
    ),
    ("too many clients", None, "Raise max_connections at the server."),
    ("remaining connection slots", None, "Raise max_connections at the server."),
)
AWAY = (
    "Is the address right, does the server listen there, and does a firewall or a policy let us through (cidr, port)?"
)


def look(login: Login, *, revision: bool = False, nodes: bool = False) -> Seen:
    """One session, which asks and writes nothing."""
    try:
        with psycopg.connect(login.conninfo, connect_timeout=SECONDS, autocommit=True) as session:
            session.execute("SET statement_timeout = '5s'")
            version = session.info.server_version // 10000
            if version < LEAST_VERSION:
                # It would not understand the questions.
                return Seen(version=version)
            return Seen(
                version=version,
                encoding=str(_one(session, "SHOW server_encoding")),
                revision=_revision(session) if revision else None,
                unlike=tuple(
                    each for each in RIGHTS[login.secret] if _one(session, f"SELECT {each.question}") != each.wanted
                ),
                clock=_clock(session),
                nodes=_nodes(session) if nodes else None,
            )
    except psycopg.Error as error:
        return Seen(refused=" ".join(str(error).split())[:400] or type(error).__name__)


def _one(session: psycopg.Connection, question: str) -> object:
    row = session.execute(question.encode()).fetchone()
    return row[0] if row else None


def _revision(session: psycopg.Connection) -> str:
    try:
        return str(_one(session, "SELECT version_num FROM alembic_version") or "")
    except psycopg.errors.UndefinedTable:
        return ""
    except psycopg.errors.InsufficientPrivilege:
        return "?"


def _nodes(session: psycopg.Connection) -> tuple[Proof, ...] | None:
    try:
        rows = session.execute("SELECT node, proven, reason, shown_at FROM node_proof ORDER BY node").fetchall()
    except psycopg.Error:
        return None
    return tuple(Proof(*row) for row in rows)


def _clock(session: psycopg.Connection) -> Clock:
    before = time.time()
    theirs = _one(session, "SELECT extract(epoch FROM clock_timestamp())::float8")
    return Clock.between(before, float(str(theirs)), time.time())


def look_at_certificate(server: PostgresServer) -> certificates.Shown | None:
    """None where none is wanted: at a socket, or where TLS is switched off."""
    if server.host.startswith("/") or server.sslmode == "disable":
        return None
    return certificates.look(server.host, server.port, server.sslrootcert, certificates.postgres)


def judge(login: Login, seen: Seen, chain: tuple[str, ...] = (), *, coming: bool = False) -> list[Finding]:
    """`chain` are the revisions that this release knows, the oldest first. `coming`: it is to be installed yet."""
    if seen.refused:
        return [_refused(login, seen.refused)]
    found = [*_version(login, seen), *_rights(login, seen)]
    if seen.revision is not None:
        found.append(_schema(login, seen.revision, chain, coming=coming))
    return found or [right(login.name, f"{login.value}.host", f"PostgreSQL {seen.version}, with the rights it needs.")]


def _refused(login: Login, said: str) -> Finding:
    told = f"No session as {login.role} at {login.server.host}:{login.server.port}: {said}."
    for part, key, remedy in MEANINGS:
        if part in said:
            kind: type[TreError] = InvalidInput
            return wrong(login.name, _value(login, key), told, _filled(login, remedy), kind)
    return wrong(login.name, f"{login.value}.host", told, AWAY, Unavailable)


def _value(login: Login, key: str | None) -> str:
    if key in ("logins", "ca"):
        return f"postgresql.{key}"
    return f"{login.value}.{key or 'host'}"


def _filled(login: Login, text: str) -> str:
    return text.format(role=login.role, database=login.database, secret=login.secret)


def _version(login: Login, seen: Seen) -> list[Finding]:
    found = []
    if seen.version < LEAST_VERSION:
        told = f"{login.server.host} is PostgreSQL {seen.version}."
        found.append(wrong(login.name, f"{login.value}.host", told, f"Use PostgreSQL {LEAST_VERSION} or later."))
    if seen.encoding != "UTF8":
        told = f"The database {login.database} holds {seen.encoding}."
        found.append(wrong(login.name, f"{login.value}.host", told, "Make it anew with ENCODING 'UTF8'."))
    return found


def _rights(login: Login, seen: Seen) -> list[Finding]:
    value = "postgresql.logins"
    return [
        Finding(login.name, each.level, value, _filled(login, each.found), _filled(login, each.remedy))
        for each in seen.unlike
    ]


def _schema(login: Login, revision: str, chain: tuple[str, ...], *, coming: bool) -> Finding:
    name, value, newest = "schema", f"{login.value}.host", chain[-1]
    migrate = (
        "Migrations bring it there: helm upgrade runs them (docs/helm.md); look at the log of the job tre-migrate."
    )
    if revision == newest:
        return right(name, value, f"The schema is at {newest}, that of this release.")
    if coming and (not revision or revision in chain):
        return right(name, value, f"It is at {revision or 'nothing yet'}; the installation brings it to {newest}.")
    if not revision:
        return wrong(name, value, f"There is no schema in the database {login.database} yet.", migrate, Conflict)
    if revision == "?":
        return wrong(
            name, value, f"The schema is older than {newest}: its revision is not shown yet.", migrate, Conflict
        )
    if revision in chain:
        return wrong(name, value, f"The schema is at {revision}, this release wants {newest}.", migrate, Conflict)
    told = f"The schema is at {revision}, which this release does not know: a newer one made it."
    return doubtful(name, value, told, "Right after a rollback; else upgrade what runs here.")


def judge_certificate(
    value: str, server: PostgresServer, shown: certificates.Shown | None, now: datetime
) -> list[Finding]:
    name = f"certificate of {server.host}"
    if shown is None or shown.away:
        return []
    # libpq believes nobody in the mode `require`, so what is not believed does not matter there.
    believed = certificates.Shown(shown.certificate) if server.sslmode == "require" else shown
    return [certificates.judge(name, f"{value}.host", "postgresql.ca", believed, now)]


def judge_mode(value: str, server: PostgresServer) -> list[Finding]:
    """Whether somebody between us and the server could read along or answer in its place."""
    if server.host.startswith(("/", "tre-postgres-")) or server.sslmode in ("verify-full", "verify-ca"):
        return []
    told = "The wire is open to who listens." if server.sslmode == "disable" else "Who answers is not verified."
    name = f"TLS of {server.host}"
    return [doubtful(name, f"{value}.sslmode", told, "Set it to verify-full, and postgresql.ca to the authority.")]


def judge_nodes(proofs: tuple[Proof, ...] | None, holds: float, now: datetime | None = None) -> Finding:
    """The canary's word: whether the network enforces policies. `holds`: how long it does, in seconds."""
    name, value, now = "policies enforced", "kubernetes.cidr", now or datetime.now(UTC)
    wait = "The controller shows it a minute after its start; its log says what it waits for."
    if not proofs:
        return doubtful(name, value, "Nothing was shown yet of any node; until then no workspace starts.", wait)
    bad = [one for one in proofs if not one.proven]
    if bad:
        told = " ".join(f"Node {one.node}: {one.reason}" for one in bad[:3])
        return wrong(
            name, value, told, "Give the cluster a network that enforces NetworkPolicy, also for nodes' addresses."
        )
    old = [one.node for one in proofs if (now - one.shown_at).total_seconds() > holds]
    if old:
        return doubtful(
            name, value, f"Not shown lately: {', '.join(old[:5])}.", "Look at the controller: does one lead?"
        )
    return right(name, value, f"Shown by the canary on {len(proofs)} nodes.")
