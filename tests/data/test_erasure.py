"""What a closed project leaves is gone for ever, once, with its event; killed or refused at any point, later."""

import signal
import subprocess
import sys

import pytest

from tests.data.conftest import ask
from tre.credentials import Secrets
from tre.credentials.keys import DESTROYED
from tre.credentials.policies import WRAPPING_PREFIX
from tre.data.worker import step
from tre.errors import Conflict, NotFound, TreError
from tre.projects import service as projects
from tre.projects.model import Project, ProjectState
from tre.settings import Settings

WORKER = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from tre.credentials import Secrets
from tre.data.erasure import erase_one
from tre.settings import Settings
from tre.store import Database

url, now, point = sys.argv[1:]
secrets = Secrets.from_settings(Settings.load())
if point != "end":
    done = getattr(secrets, point)
    def killed(project):
        done(project)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(secrets, point, killed)
erase_one(Database(url, clock=lambda: datetime.fromisoformat(now)), secrets)
"""


@pytest.fixture
def built(visits_world, local_secrets):
    """A project with a ready extract."""
    visits_world.project("heart", [ask()])
    visits_world.grant("heart", "visits")
    assert step(visits_world.db, visits_world.places, local_secrets)
    return visits_world


def work(world, secrets) -> int:
    """Steps until there is nothing to do; how many."""
    steps = 0
    while step(world.db, world.places, secrets):
        steps += 1
    return steps


def close(world) -> None:
    projects.close(world.db, world.actor("adam"), "heart", reason="Done.")


def test_a_closed_project_loses_files_then_key_once_with_its_event(built, local_secrets):
    close(built)
    assert work(built, local_secrets) == 2
    assert local_secrets.destroyed == ["heart"]
    assert list(built.places.extracts.iterdir()) == []
    (event,) = built.events("project.erase")
    assert (event["actor"], event["subject"], event["outcome"]) == ("system", "project:heart", "done")
    assert event["detail"] == {"extracts_removed": 1, "database": "dropped", "pseudonym_key": "destroyed"}
    assert [e["action"] for e in built.events() if e["action"] in ("extract.remove", "project.erase")] == [
        "project.erase",
        "extract.remove",
    ], "newest first"
    assert work(built, local_secrets) == 0
    assert local_secrets.destroyed == ["heart"]


@pytest.mark.parametrize("state", [state for state in ProjectState if state is not ProjectState.closed])
def test_nothing_of_a_project_that_is_not_closed_is_erased(built, local_secrets, state):
    built.set_state("heart", state)
    work(built, local_secrets)
    assert local_secrets.destroyed == []


def test_a_secrets_server_that_does_not_answer_is_asked_again(built, local_secrets):
    close(built)
    local_secrets.down = True
    assert work(built, local_secrets) == 1
    assert built.events("project.erase") == []
    local_secrets.down = False
    assert work(built, local_secrets) == 1
    assert len(built.events("project.erase")) == 1


@pytest.mark.parametrize("point", ["project_remove", "pseudonym_key_destroy", "end"])
def test_killed_at_each_point_it_ends_in_the_same_place(
    world, secrets: Secrets, data_server: Settings, state_databases, point: str
):
    slug = f"k{point.replace('_', '-')}"
    world.project(slug, [ask()])
    secrets.pseudonym_key(slug)
    secrets.project_prepare(slug)
    world.set_state(slug, ProjectState.closed)
    url = world.db.engine.url.render_as_string(hide_password=False)
    argv = [sys.executable, "-c", WORKER, url, world.clock().isoformat(), point]
    done = subprocess.run(argv, env={"PATH": "/usr/bin:/bin", **data_server.environment()}, check=False)
    assert done.returncode == (0 if point == "end" else -signal.SIGKILL)
    work(world, secrets)
    assert len(world.events("project.erase")) == 1
    with pytest.raises(NotFound):
        secrets.project_database(slug)
    with pytest.raises(Conflict, match="destroyed"):
        secrets.pseudonym_key(slug)
    with world.db.read() as session:
        assert session.query(Project).filter_by(slug=slug).one().erased_at is not None


def test_a_destroyed_key_is_in_no_version_and_nothing_that_it_wrapped_opens(secrets: Secrets):
    """With the record of before, as a backup has it, and the secrets server as it is now."""
    secrets.pseudonym_key("gone")
    wrapped = (secrets.kv_get("pseudonyms/gone") or {})["wrapped"]
    assert len(secrets.unwrap("gone", wrapped)) == 32
    for _ in range(2):
        secrets.pseudonym_key_destroy("gone")
    assert secrets.kv_get("pseudonyms/gone") == DESTROYED
    with pytest.raises(TreError):
        secrets.unwrap("gone", wrapped)
    with pytest.raises(TreError):
        secrets.server.call(
            "read an old version",
            lambda client: client.secrets.kv.v2.read_secret_version(
                "tre/pseudonyms/gone", version=1, mount_point="kv", raise_on_deleted_version=True
            ),
        )


def test_the_platforms_own_keys_cannot_be_given_up(secrets: Secrets):
    """Control plane's policy: what unseals one-time codes is no project's."""
    sealed = secrets.wrap("_totp", b"a secret")
    with pytest.raises(TreError):
        secrets.pseudonym_key_destroy("_totp")
    own, project = f"{WRAPPING_PREFIX}_totp", f"{WRAPPING_PREFIX}one"
    secrets.wrap("one", b"x")
    for attempt in (
        lambda transit: transit.update_key_configuration(own, deletion_allowed=True),
        lambda transit: transit.delete_key(own),
        lambda transit: transit.update_key_configuration("audit", deletion_allowed=True),
        lambda transit: transit.update_key_configuration(project, exportable=True),
    ):
        with pytest.raises(TreError):
            secrets.server.call("give a key up", lambda client, attempt=attempt: attempt(client.secrets.transit))
    assert secrets.unwrap("_totp", sealed) == b"a secret"
