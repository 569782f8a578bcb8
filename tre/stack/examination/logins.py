"""What each of our roles must and must not be able to do at a PostgreSQL server, as questions to the server itself.

Pure. Leaves asking, and what the server's own words mean, to `databases`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tre.settings import PostgresServer
from tre.stack.examination.finding import Level


@dataclass(frozen=True)
class Right:
    """A question to the server, the right answer, and what to do about the other one."""

    question: str
    wanted: bool
    found: str
    remedy: str
    level: Level = Level.fail


@dataclass(frozen=True)
class Login:
    """One role at one server. `value` is the server's key, `secret` the key of the Secret with its password."""

    value: str
    role: str
    database: str
    secret: str
    server: PostgresServer
    conninfo: str = field(repr=False)

    @property
    def name(self) -> str:
        return f"database {self.database} as {self.role}"


def _member(group: str, how: str = "MEMBER") -> str:
    return f"pg_has_role(current_user, '{group}', '{how}')"


SUPERUSER = Right(
    "(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)",
    False,
    "{role} is a superuser: no rule of the database holds it.",
    "ALTER ROLE {role} NOSUPERUSER",
)
STATE_APP = (
    SUPERUSER,
    Right(
        "has_schema_privilege('public', 'CREATE')",
        False,
        "{role} may make tables: it should work with those that migrations made.",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC, {role}",
        Level.warning,
    ),
    Right(
        "has_schema_privilege('public', 'USAGE')",
        True,
        "{role} may not use the schema public.",
        "Run the migrations as the owner of the database tre: they grant it.",
        Level.fail,
    ),
    Right(
        "EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND relname <> 'alembic_version' AND NOT has_table_privilege(oid, 'SELECT'))",
        False,
        "{role} may not read some of the tables.",
        "Run the migrations as tre_owner, which gives {role} what it needs, not as another role.",
    ),
)
OWNER = (
    Right(
        "has_schema_privilege('public', 'CREATE')",
        True,
        "{role} may make no tables.",
        "ALTER DATABASE {database} OWNER TO {role}",
    ),
)
DATA_ADMIN = (
    Right(
        "(SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user)",
        True,
        "{role} may make no databases: no project would get one.",
        "ALTER ROLE {role} CREATEDB",
    ),
    Right(
        "(SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user)",
        True,
        "{role} may make no roles: no workspace would get a login.",
        "ALTER ROLE {role} CREATEROLE",
    ),
    Right(
        _member("pg_signal_backend"),
        True,
        "{role} may not end sessions: a revoked login would go on.",
        "GRANT pg_signal_backend TO {role}",
    ),
    Right(_member("pg_read_all_stats"), True, "{role} may not see sessions.", "GRANT pg_read_all_stats TO {role}"),
    Right(
        "EXISTS (SELECT FROM pg_auth_members m WHERE m.roleid = 'pg_use_reserved_connections'::regrole"
        " AND m.member = current_user::regrole AND m.admin_option)"
        " OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)",
        True,
        "{role} may not hand on the slots that are kept for revoking.",
        "GRANT pg_use_reserved_connections TO {role} WITH ADMIN OPTION",
    ),
    Right(SUPERUSER.question, False, "{role} is a superuser, which it need not be.", SUPERUSER.remedy, Level.warning),
    Right(
        "current_setting('reserved_connections')::int > 0",
        True,
        "The server keeps no connection for revoking: researchers could take them all.",
        "Set reserved_connections = 8 at the server.",
        Level.warning,
    ),
    Right(
        "EXISTS (SELECT FROM pg_database WHERE datallowconn AND datname <> 'template0'"
        " AND has_database_privilege('public', oid, 'CONNECT'))",
        False,
        "Everybody who may log in may connect to some database there.",
        "REVOKE ALL ON DATABASE datasets, postgres, template1 FROM PUBLIC, and whichever else there is.",
        Level.warning,
    ),
    Right(
        "has_function_privilege('public', 'lo_create(oid)', 'EXECUTE')"
        " OR has_function_privilege('public', 'pg_advisory_lock(bigint)', 'EXECUTE')",
        False,
        "Everybody may make large objects or take advisory locks: a researcher could fill the server.",
        "Revoke these functions from PUBLIC in template1 and datasets (tre/stack/databases.py, data_template).",
        Level.warning,
    ),
)
#: By the key of the Secret: the hub's role may be called otherwise.
RIGHTS: dict[str, tuple[Right, ...]] = {
    "state-tre_app.pgpass": STATE_APP,
    "state-tre_owner.pgpass": OWNER,
    "data-tre_admin.pgpass": DATA_ADMIN,
    "hub-database.url": OWNER,
}
