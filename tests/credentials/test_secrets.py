"""Keys and records at the secrets server; what the control plane may not do there; what happens when it is gone."""

import base64
import json
import os
import ssl
import threading
from pathlib import Path

import hvac
import psutil
import pytest
import requests
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.fixtures.openbao import running_openbao
from tre.credentials import Secrets, keys, policies
from tre.credentials.client import connect, translate
from tre.credentials.files import read_secret, write_secret
from tre.errors import Broken, Conflict, InvalidInput, NotFound, TreError, Unavailable
from tre.settings import PostgresServer, Settings
from tre.stack import openbao, process


def test_signatures_verify_with_the_public_key_alone(secrets: Secrets):
    signature = secrets.sign("audit", b"head")
    assert len(signature) == 64
    assert secrets.verify("audit", b"head", signature)
    assert keys.verifies(secrets.public_key("audit"), b"head", signature)
    assert secrets.public_pem("audit").startswith("-----BEGIN PUBLIC KEY-----")


@pytest.mark.parametrize(
    ("key", "data", "change"),
    [("audit", b"heaD", 0), ("release", b"head", 0), ("audit", b"head", 1), ("audit", b"", 0)],
)
def test_a_changed_signature_key_or_text_does_not_verify(secrets: Secrets, key: str, data: bytes, change: int):
    signature = bytearray(secrets.sign("audit", b"head"))
    signature[3] ^= change
    assert not secrets.verify(key, data, bytes(signature))


def test_signature_of_wrong_length_does_not_verify(secrets: Secrets):
    assert not secrets.verify("audit", b"head", b"")
    assert not secrets.verify("audit", b"head", b"x" * 65)


def test_only_the_named_keys_sign(secrets: Secrets):
    for key in ("project-alpha", "other", "../sys/seal"):
        with pytest.raises(TreError):
            secrets.sign(key, b"text")


@given(plain=st.binary(max_size=200))
@hypothesis_settings(max_examples=10, deadline=None)
def test_wrapping_is_undone_by_the_same_project_only(secrets: Secrets, plain: bytes):
    wrapped = secrets.wrap("wrap-one", plain)
    assert secrets.unwrap("wrap-one", wrapped) == plain
    secrets.wrap("wrap-two", b"")
    with pytest.raises(InvalidInput):
        secrets.unwrap("wrap-two", wrapped)


def test_pseudonym_keys_stay_the_same_and_differ_between_projects(secrets: Secrets):
    found = {secrets.pseudonym_key(project) for project in ("one", "one", "two")}
    assert len(found) == 2
    assert {len(key) for key in found} == {32}


def test_simultaneous_first_uses_get_one_pseudonym_key(openbao_server: Settings):
    found: list[bytes] = []
    use = [Secrets.from_settings(openbao_server) for _ in range(6)]
    threads = [threading.Thread(target=lambda own=own: found.append(own.pseudonym_key("race"))) for own in use]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1


def test_the_plain_pseudonym_key_is_stored_nowhere(secrets: Secrets, openbao_server: Settings):
    plain = secrets.pseudonym_key("nowhere")
    record = secrets.kv_get("pseudonyms/nowhere")
    forms = (plain, plain.hex().encode(), base64.b64encode(plain))
    assert not any(form in json.dumps(record).encode() for form in forms)
    for path in openbao_server.state.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(form in content for form in forms), path


def test_records_are_read_as_written_and_created_once(secrets: Secrets):
    assert secrets.kv_get("things/one") is None
    secrets.kv_put("things/one", {"a": 1, "b": ["ü"]}, create_only=True)
    with pytest.raises(Conflict):
        secrets.kv_put("things/one", {"a": 2}, create_only=True)
    assert secrets.kv_get("things/one") == {"a": 1, "b": ["ü"]}
    secrets.kv_put("things/one", {"a": 3})
    assert secrets.kv_get("things/one") == {"a": 3}
    secrets.kv_delete("things/one")
    assert secrets.kv_get("things/one") is None


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("get", "database/creds/p_1", None),
        ("put", "sys/policies/acl/control-plane", {"policy": 'path "*" { capabilities = ["sudo", "read"] }'}),
        ("put", "sys/policies/acl/lease", {"policy": 'path "*" { capabilities = ["read"] }'}),
        ("post", "auth/token/create", {"policies": ["root"]}),
        ("post", "auth/token/create-orphan", {"policies": ["root"]}),
        ("post", "auth/token/create/workspace", {"policies": ["root"]}),
        ("post", "auth/token/create/workspace", {"policies": ["control-plane"]}),
        ("post", "auth/token/roles/workspace", {"allowed_policies": "root"}),
        ("post", "auth/approle/role/control-plane", {"token_policies": "root"}),
        ("post", "auth/approle/role/control-plane/secret-id", {}),
        ("get", "transit/export/signing-key/audit", None),
        ("get", "transit/backup/audit", None),
        ("delete", "transit/keys/audit", None),
        ("post", "transit/keys/audit/config", {"exportable": True}),
        ("post", "transit/keys/project-x", {"type": "aes256-gcm96", "exportable": True}),
        ("post", "transit/keys/project-x/config", {"exportable": True}),
        ("post", "transit/keys/project-_totp/config", {"deletion_allowed": True}),
        ("delete", "transit/keys/project-_totp", None),
        ("get", "kv/data/other", None),
        ("post", "sys/mounts/more", {"type": "kv"}),
        ("put", "sys/seal", {}),
        ("get", "sys/storage/raft/snapshot", None),
        ("put", "sys/audit/more", {"type": "file", "options": {"file_path": "stdout"}}),
    ],
)
def test_the_control_plane_cannot_widen_its_rights(secrets: Secrets, method: str, path: str, body: dict):
    secrets.public_key("audit")
    client = secrets.server.client
    with pytest.raises((hvac.exceptions.Forbidden, hvac.exceptions.InvalidRequest)) as refused:
        client.adapter.request(method, f"/v1/{path}", json=body)
    assert "permission denied" in str(refused.value) or "allowed" in str(refused.value)


def test_a_leases_token_reads_logins_and_nothing_else(secrets: Secrets):
    body = {"policies": ["lease"], "ttl": "60s"}
    made = secrets.server.post("test", "auth/token/create/workspace", body)["auth"]
    client = connect(secrets.settings.openbao_socket, made["client_token"])
    for path in ("kv/data/tre/databases/alpha", "transit/keys/audit", "auth/token/lookup-self"):
        with pytest.raises(hvac.exceptions.Forbidden):
            client.adapter.get(f"/v1/{path}")
    assert made["orphan"] is True
    secrets.revoke(made["accessor"])


def test_no_root_token_is_left(openbao_server: Settings):
    kept = json.loads(openbao_server.secret_file(openbao.RECOVERY_FILE).read_text())
    assert set(kept) == {"recovery_keys"}


def test_secret_files_are_private_and_no_secret_shows_in_the_process_list(
    openbao_server: Settings, data_server: Settings
):
    found = []
    for path in (openbao_server.state / "secrets").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path
        content = path.read_bytes()
        found.append(content)
        if path.suffix == ".json":
            values = json.loads(content).values()
            found += [str(value).encode() for value in values if isinstance(value, str)]
        if path.suffix == ".pgpass":
            found.append(content.strip().rsplit(b":", 1)[1])
    assert len(found) > 5
    mine = [p for p in psutil.process_iter(["uids"]) if p.info["uids"] and p.info["uids"].real == os.getuid()]
    for one in mine:
        for name in ("cmdline", "environ"):
            try:
                shown = Path(f"/proc/{one.pid}/{name}").read_bytes()
            except OSError:
                continue
            assert not any(secret in shown for secret in found)
    for log in openbao_server.logs.iterdir():
        assert not any(secret in log.read_bytes() for secret in found), log
    audit = (openbao_server.servers / "openbao" / "audit.log").read_bytes()
    assert audit
    assert not any(secret in audit for secret in found)


def test_the_loopback_listener_admits_nobody(openbao_server: Settings):
    (server,) = [
        p
        for p in psutil.process_iter(["cmdline"])
        if str(openbao_server.servers / "openbao" / "openbao.hcl") in " ".join(p.info["cmdline"] or [])
    ]
    ports = [one.laddr for one in server.net_connections("inet") if one.status == psutil.CONN_LISTEN]
    assert ports
    assert os.getuid() != 0
    for address in ports:
        assert address.ip == "127.0.0.1"
        with pytest.raises((requests.RequestException, ssl.SSLError)):
            requests.get(f"https://127.0.0.1:{address.port}/v1/sys/health", verify=False, timeout=5)
        own = openbao_server.servers / "openbao"
        pair = (str(own / "closed.pem"), str(own / "closed.key"))
        with pytest.raises(requests.RequestException):
            requests.get(f"https://127.0.0.1:{address.port}/v1/sys/health", verify=False, cert=pair, timeout=5)


def test_a_lost_token_is_replaced(openbao_server: Settings):
    own = Secrets.from_settings(openbao_server)
    own.public_key("audit")
    own.server.client.auth.token.revoke_self()
    assert len(own.public_key("audit")) == 32


def test_absent_sealed_and_coming_back(fresh_settings: Settings):
    absent = Secrets.from_settings(fresh_settings)
    with pytest.raises(Unavailable, match="does not exist"):
        absent.sign("audit", b"x")
    with running_openbao(fresh_settings) as child:
        own = Secrets.from_settings(fresh_settings)
        signature = own.sign("audit", b"x")
        process.stop(child, 9)
        with pytest.raises(Unavailable, match="does not answer"):
            own.sign("audit", b"x")
    with running_openbao(fresh_settings):
        assert own.verify("audit", b"x", signature)


def test_first_run_broken_off_at_any_step_is_finished_by_the_next(
    fresh_settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    real = openbao.make_rules

    def fails(client: hvac.Client) -> None:
        real(client)
        raise KeyboardInterrupt

    monkeypatch.setattr(openbao, "make_rules", fails)
    with pytest.raises(KeyboardInterrupt), running_openbao(fresh_settings):
        pass
    assert "root_token" in fresh_settings.secret_file(openbao.RECOVERY_FILE).read_text()
    monkeypatch.setattr(openbao, "make_rules", real)
    with running_openbao(fresh_settings):
        assert Secrets.from_settings(fresh_settings).sign("audit", b"x")
    assert "root_token" not in fresh_settings.secret_file(openbao.RECOVERY_FILE).read_text()


def test_a_secret_file_that_others_may_read_is_refused(fresh_settings: Settings):
    path = fresh_settings.secret_file("one")
    write_secret(path, "text")
    assert read_secret(path) == "text"
    path.chmod(0o640)
    with pytest.raises(Broken, match="may be read by others"):
        read_secret(path)
    link = fresh_settings.secret_file("link")
    link.symlink_to(path)
    with pytest.raises(Broken, match="cannot be opened"):
        read_secret(link)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (hvac.exceptions.InvalidPath("x"), NotFound),
        (hvac.exceptions.InvalidRequest(errors=["check-and-set parameter did not match"]), Conflict),
        (hvac.exceptions.InvalidRequest(errors=["no"]), InvalidInput),
        (hvac.exceptions.InvalidRequest(errors=["err: failed to connect to `user=m_1`: dial error"]), Unavailable),
        (hvac.exceptions.Forbidden("x"), Unavailable),
        (hvac.exceptions.VaultDown("x"), Unavailable),
        (hvac.exceptions.InternalServerError(errors=["x"]), Unavailable),
        (requests.ConnectionError("x"), Unavailable),
        (ConnectionRefusedError("x"), Unavailable),
    ],
)
def test_errors_are_ours(error: Exception, expected: type[TreError]):
    assert type(translate(error, "ask")) is expected


def test_policies_as_whole_objects():
    assert policies.lease_policy("auth_token_1") == {
        "database/creds/{{identity.entity.aliases.auth_token_1.name}}": {"capabilities": ["read"]}
    }
    found = policies.control_plane_policy()
    assert {path for path, rule in found.items() if "sudo" in rule["capabilities"]} == {"auth/token/accessors"}
    assert not [path for path in found if path.startswith(("sys/policies", "database/creds", "*"))]
    assert policies.token_role() == {
        "orphan": True,
        "allowed_policies": ["lease"],
        "allowed_entity_aliases": ["p_*"],
        "token_no_default_policy": True,
        "renewable": True,
        "token_explicit_max_ttl": 604800,
    }
    assert policies.database_connection("p_1", "m_1", "pw", PostgresServer("/r/pg")) == {
        "plugin_name": "postgresql-database-plugin",
        "connection_url": "postgresql://{{username}}:{{password}}@/p_1?host=/r/pg",
        "username": "m_1",
        "password": "pw",
        "password_authentication": "scram-sha-256",
        "username_template": "w_{{ random 20 | lowercase }}",
        "allowed_roles": ["p_1"],
        "max_open_connections": 2,
        "max_idle_connections": -1,
        "verify_connection": True,
    }
    there = PostgresServer("data.example", 5433, "verify-full", "/etc/tre/ca/postgresql/ca.pem")
    urls = [
        policies.database_connection("p_1", "m_1", "pw", there, authority)["connection_url"]
        for authority in ("", "/etc/ssl/institution.pem")
    ]
    reached = "postgresql://{{username}}:{{password}}@/p_1?host=data.example&port=5433&sslmode=verify-full"
    # Where our pods have the authority is no place of the secrets server's machine.
    assert urls == [reached, f"{reached}&sslrootcert=/etc/ssl/institution.pem"]
    assert policies.creation_statements("g_1") == [
        "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' CONNECTION LIMIT 10",
        'GRANT g_1 TO "{{name}}" WITH INHERIT TRUE, SET FALSE, ADMIN FALSE',
    ]
