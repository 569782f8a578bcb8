"""The files for a server's superuser do what the examination asks for, and no password is in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.examination.values import installation
from tests.stack.preparation.house import Database, database
from tre.errors import Conflict, InvalidInput
from tre.settings import PostgresServer, Settings
from tre.settings.cluster import OnCluster, SecretsServer
from tre.stack.examination import servers
from tre.stack.preparation.postgresql import CA, files, hba, hub_url, script, write


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with database(tmp_path_factory.mktemp("pg")) as found:
        yield found


def beside(server: Database) -> dict[str, object]:
    own = {"host": "127.0.0.1", "port": server.port, "sslmode": "disable"}
    return {f"postgresql__{name}__{key}": value for name in ("state", "data") for key, value in own.items()}


def test_what_was_prepared_is_what_the_examination_wants(server: Database, tmp_path: Path):
    wanted = installation(**beside(server), postgresql__ca="")
    folder = tmp_path / "prepared"
    write(wanted, folder)
    for name in ("state", "data"):
        done = server.psql("--quiet", f"--file={folder / name}.sql")
        assert (done.returncode, done.stderr) == (0, "")
        server.let_in((folder / f"{name}.hba").read_text())
    here = PostgresServer("127.0.0.1", server.port, "disable")
    settings = Settings(tmp_path, Path("/run/tre"), cluster=OnCluster(here, here, SecretsServer("https://x")))
    for file in (folder / "logins").iterdir():
        settings.secret_file(file.name).parent.mkdir(mode=0o700, exist_ok=True)
        settings.secret_file(file.name).write_text(file.read_text())
        settings.secret_file(file.name).chmod(0o600)
    asked = servers.logins(settings)
    assert {login.role for login in asked} == {"tre_app", "tre_owner", "tre_admin", "tre_hub"}
    found = [one for login in asked for one in servers.examine_login(login, canary=False, coming=True)]
    assert {(one.level.value, one.found) for one in found if one.level != "ok"} == set()


def test_no_password_is_in_what_goes_to_the_servers(tmp_path: Path):
    made = files(installation())
    lines = [text for name, text in made.items() if name.startswith("logins/")]
    passwords = [line.strip().rsplit(":", 1)[1] for line in lines if line.startswith("*:")]
    (url,) = [line for line in lines if not line.startswith("*:")]
    passwords.append(url.split("@")[0].rsplit(":", 1)[1])
    assert len({len(password) for password in passwords}) == 1
    assert len(set(passwords)) == 4
    others = "".join(text for name, text in made.items() if not name.startswith("logins/"))
    assert not [password for password in passwords if password in others]
    assert others.count("SCRAM-SHA-256$") == 4
    paths = write(installation(), tmp_path / "new")
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}


def test_a_second_set_beside_the_first_is_refused(tmp_path: Path):
    write(installation(), tmp_path / "new")
    with pytest.raises(Conflict) as refused:
        write(installation(), tmp_path / "new")
    assert refused.value.field == "FOLDER"


def test_the_small_profile_needs_none_of_it():
    with pytest.raises(InvalidInput) as refused:
        files(installation(small__enabled=True))
    assert refused.value.field == "small.enabled"


def test_each_file_as_a_whole():
    server = PostgresServer("pg.example", 5433, "verify-full", CA)
    assert hub_url(server, "p") == (
        "postgresql+psycopg://tre_hub:p@pg.example:5433/tre_hub?sslmode=verify-full&sslrootcert=/etc/tre/ca/postgresql/ca.pem"
    )
    assert hub_url(PostgresServer("pg.example"), "p").endswith(
        "?sslmode=verify-full&sslrootcert=/etc/ssl/certs/ca-certificates.crt"
    )
    assert hub_url(PostgresServer("pg.example", sslmode="require"), "p").endswith("/tre_hub?sslmode=require")
    assert script(["A"], ["B"]) == "\\set ON_ERROR_STOP on\n\\connect template1\nB;\n\\connect postgres\nA;\n"
    assert script(["A"]) == "\\set ON_ERROR_STOP on\nA;\n"
    pairs = (("tre", "tre_app"), ("all", "tre_admin"))
    assert hba(server, pairs) == "hostssl tre tre_app all scram-sha-256\nhostssl all tre_admin all scram-sha-256\n"
    assert hba(PostgresServer("x", sslmode="disable"), pairs[:1]) == "host tre tre_app all scram-sha-256\n"
