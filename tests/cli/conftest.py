"""The command line as a person runs it: arguments in, exit code and two streams out, against the API on loopback."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn

from tests.fixtures.people import PASSWORD, People
from tests.fixtures.workspaces import Desk
from tre.api.app import public_app
from tre.api.platform import Platform
from tre.cli.main import main
from tre.credentials import Secrets
from tre.credentials.uses import Sealer
from tre.outputs.content.folder import in_folder
from tre.people import service
from tre.settings import Settings
from tre.stack.ports import free_ports


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def token_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config" / "token.json"
    monkeypatch.setenv("TRE_TOKEN_FILE", str(path))
    return path


@pytest.fixture
def tre(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], token_file: Path) -> Run:
    def run(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["tre", *arguments])
        capsys.readouterr()
        try:
            main()
            code: object = 0
        except SystemExit as leave:
            code = leave.code
        out, err = capsys.readouterr()
        return Ran(code if isinstance(code, int) else 0 if code is None else 1, out, err)

    return run


@dataclass(frozen=True)
class Live:
    """The public API on a loopback port; ada can sign in there, her secrets sealed by the real secrets server."""

    url: str
    people: People
    password_file: Path


@pytest.fixture
def live(desk: Desk, secrets: Secrets, settings: Settings, tmp_path: Path) -> Iterator[Live]:
    platform = Platform(settings, desk.people.db, secrets, in_folder(tmp_path / "content"))
    made = service.add_person(
        platform.db,
        Sealer(secrets),
        desk.people.admin,
        username="zoe",
        name="Zoe",
        password=PASSWORD,
        organisation="uni",
    )
    desk.people.secrets["zoe"] = made.totp_secret
    service.give_role(platform.db, desk.people.admin, username="zoe", role=service.Role.administrator)
    password_file = tmp_path / "password"
    password_file.write_text(PASSWORD + "\n")
    port = free_ports(1)
    server = uvicorn.Server(uvicorn.Config(public_app(platform), port=port, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Live(f"http://127.0.0.1:{port}", desk.people, password_file)
    server.should_exit = True
    thread.join()
