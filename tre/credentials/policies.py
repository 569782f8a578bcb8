"""What the platform may do at the secrets server: policies, roles and keys as pure objects.

Decides the narrow set of paths of the control plane and of the token behind one lease. Leaves writing them to the first
run (`tre.stack.openbao`). The control plane may not read database logins itself and may write no policy: a login always
hangs on a token of its own, and nobody can widen their own rights.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from tre.settings import PostgresServer

KV_MOUNT = "kv"
APP_ROLE = "control-plane"
TOKEN_ROLE = "workspace"  # noqa: S105 (a name)
LEASE_POLICY = "lease"
#: Who signs in on a cluster.
CONTROL_PLANE_ACCOUNTS = ("tre-api", "tre-worker", "tre-controller")
#: Ed25519 keys made on the first run: the audit record's head, the release record, the workspaces' intake tokens.
SIGNING_KEYS = ("audit", "release", "intake")
#: One wrapping key per project is called this and the project's slug.
WRAPPING_PREFIX = "project-"
#: Longest life of a workspace's token whatever is asked, in seconds.
LONGEST_LEASE = 7 * 24 * 3600

Paths = dict[str, dict[str, Any]]


def allow(*capabilities: str, **more: Any) -> dict[str, Any]:
    return {"capabilities": list(capabilities), **more}


def control_plane_policy() -> Paths:
    """{path: rule} for api, worker and the administrator's command line."""
    signing: Paths = {}
    for key in SIGNING_KEYS:
        signing[f"transit/sign/{key}"] = allow("update")
        signing[f"transit/keys/{key}"] = allow("read")
        signing[f"transit/keys/{key}/rotate"] = allow("update")
    wrapped = f"{WRAPPING_PREFIX}*"
    return {
        **signing,
        # Nothing else may be given: an exportable key would leave the server. A project's key ends with the project.
        f"transit/keys/{wrapped}": allow(
            "create", "update", "read", "delete", allowed_parameters={"type": ["aes256-gcm96"], "deletion_allowed": []}
        ),
        # The platform's own (no project's name begins so) cannot be given up. The longer path counts.
        f"transit/keys/{WRAPPING_PREFIX}_*": allow(
            "create", "update", "read", allowed_parameters={"type": ["aes256-gcm96"]}
        ),
        f"transit/encrypt/{wrapped}": allow("update"),
        f"transit/decrypt/{wrapped}": allow("update"),
        f"{KV_MOUNT}/data/tre/*": allow("create", "read", "update", "delete"),
        f"{KV_MOUNT}/metadata/tre/*": allow("read", "list", "delete"),
        f"{KV_MOUNT}/destroy/tre/pseudonyms/*": allow("update"),
        "database/config/p_*": allow("create", "update", "delete"),
        "database/rotate-root/p_*": allow("update"),
        "database/roles/p_*": allow("create", "read", "update", "delete"),
        f"auth/token/create/{TOKEN_ROLE}": allow("update"),
        "auth/token/accessors": allow("list", "sudo"),
        "auth/token/lookup-accessor": allow("update"),
        "auth/token/renew-accessor": allow("update"),
        "auth/token/revoke-accessor": allow("update"),
        "auth/token/lookup-self": allow("read"),
        "auth/token/renew-self": allow("update"),
        "auth/token/revoke-self": allow("update"),
        "sys/leases/lookup": allow("update"),
        "sys/leases/renew": allow("update"),
        "sys/leases/revoke": allow("update"),
    }


def lease_policy(token_mount: str) -> Paths:
    """What the token behind one lease may do: fetch a login to its own project's database, nothing else. It never
    leaves the control plane.

    One policy per project without anybody who may write policies: the server fills in the name under which the token
    was made (`entity_alias`, see `token_role`), which is the database's. `token_mount` is the accessor of `auth/token`.
    """
    return {f"database/creds/{{{{identity.entity.aliases.{token_mount}.name}}}}": allow("read")}


def policy_text(paths: Paths) -> str:
    return json.dumps({"path": paths}, indent=1)


def app_role() -> dict[str, Any]:
    """The control plane's own login: its short token is renewed while it works and gone an hour after it stopped."""
    return {
        "token_policies": [APP_ROLE],
        "token_no_default_policy": True,
        "token_period": "1h",
        "secret_id_num_uses": 0,
        "secret_id_ttl": 0,
    }


def kubernetes_role(namespace: str, audience: str) -> dict[str, Any]:
    """The control plane's own login on a cluster: these service accounts of this namespace, with a token made for the
    secrets server alone.
    """
    return {
        "bound_service_account_names": list(CONTROL_PLANE_ACCOUNTS),
        "bound_service_account_namespaces": [namespace],
        "audience": audience,
        "token_policies": [APP_ROLE],
        "token_no_default_policy": True,
        "token_period": "1h",
    }


def token_role() -> dict[str, Any]:
    """Tokens of leases have no parent: they outlive the control plane's token and are revoked by accessor."""
    return {
        "orphan": True,
        "allowed_policies": [LEASE_POLICY],
        "allowed_entity_aliases": ["p_*"],
        "token_no_default_policy": True,
        "renewable": True,
        "token_explicit_max_ttl": LONGEST_LEASE,
    }


def creation_statements(group: str) -> list[str]:
    """A login of one workspace. Grants go to the group role, so that logins come and go without touching tables."""
    until = "VALID UNTIL '{{expiration}}' CONNECTION LIMIT 10"
    return [
        f"CREATE ROLE \"{{{{name}}}}\" LOGIN PASSWORD '{{{{password}}}}' {until}",
        f'GRANT {group} TO "{{{{name}}}}" WITH INHERIT TRUE, SET FALSE, ADMIN FALSE',
    ]


def renew_statements() -> list[str]:
    return ["ALTER ROLE \"{{name}}\" VALID UNTIL '{{expiration}}'"]


def revocation_statements() -> list[str]:
    """End a login: lock it for everyone to see, end its sessions, drop what it owns, drop it.

    The lock is committed before sessions are ended: a client that reconnects in a loop would otherwise slip in between.
    The pause lets a login that had passed the check show up among the sessions. DROP OWNED also removes default
    privileges and large objects, which anyone may make and which would keep the role from being dropped.
    """
    found = "SELECT FROM pg_roles WHERE rolname = '{{name}}'"
    lock = f'DO $$ BEGIN IF EXISTS ({found}) THEN ALTER ROLE "{{{{name}}}}" NOLOGIN; END IF; END $$'
    drop = f'DO $$ BEGIN IF EXISTS ({found}) THEN DROP OWNED BY "{{{{name}}}}"; END IF; END $$'
    return [
        lock,
        "COMMIT",
        "SELECT pg_sleep(0.1)",
        "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE usename = '{{name}}'",
        drop,
        'DROP ROLE IF EXISTS "{{name}}"',
    ]


def database_role(database: str, group: str, *, default_ttl: int, max_ttl: int) -> dict[str, Any]:
    """The secrets server's role for one project database; lives in seconds."""
    return {
        "db_name": database,
        "creation_statements": creation_statements(group),
        "renew_statements": renew_statements(),
        "revocation_statements": revocation_statements(),
        "rollback_statements": revocation_statements(),
        "default_ttl": default_ttl,
        "max_ttl": max_ttl,
    }


def database_connection(
    database: str, manager: str, password: str, server: PostgresServer, authority: str = ""
) -> dict[str, Any]:
    """The secrets server's connection to one project database, as the project's own manager.

    The file that `server` names lies in our pods, not where the secrets server runs: there it is `authority`, and where
    that is empty the server's certificate is held to what that machine trusts.
    """
    own = {"sslrootcert": authority} if authority else {}
    options = {"host": server.host, **replace(server, sslrootcert="").options(), **own}
    query = "&".join(f"{name}={value}" for name, value in options.items())
    return {
        "plugin_name": "postgresql-database-plugin",
        "connection_url": f"postgresql://{{{{username}}}}:{{{{password}}}}@/{database}?{query}",
        "username": manager,
        "password": password,
        "password_authentication": "scram-sha-256",
        "username_template": "w_{{ random 20 | lowercase }}",
        "allowed_roles": [database],
        "max_open_connections": 2,
        "max_idle_connections": -1,
        "verify_connection": True,
    }
