"""A worker killed with -9 at any moment: the next one ends in the same place, and nothing of the dead one stays."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from sqlalchemy import select

from tests.data.conftest import ask, visits, visits_dataset, write_parquet
from tre.data import service, snapshots
from tre.data.model import Extract
from tre.data.worker import step, tidy

KILLS = 60 if os.environ.get("TRE_TEST_LONG") else 4
WORKER = """
import hashlib, sys
from datetime import datetime
from pathlib import Path
from tre.data.sources import Places
from tre.data.worker import step
from tre.store import Database

class Keys:
    def pseudonym_key(self, project):
        return hashlib.sha256(project.encode()).digest()

url, now, incoming, extracts = sys.argv[1:]
db = Database(url, clock=lambda: datetime.fromisoformat(now))
places = Places(Path(incoming), Path(extracts), lambda database: "")
print("ready", flush=True)
step(db, places, Keys())
print("done", flush=True)
"""


@pytest.mark.timeout(900)
def test_a_build_killed_at_random_points_is_resumed(world, local_secrets):
    write_parquet(world.places, "acme", "visits", visits(20_000, 2_000))
    service.register(world.db, world.places, world.actor("carol"), visits_dataset())
    world.project("heart", [ask()])
    world.grant("heart", "visits")
    chance, finished = random.Random(1), 0
    for _ in range(KILLS):
        finished += _killed(world, chance.uniform(0, 0.6))
        world.clock.forward(seconds=3600)
        _forgive(world)
    while step(world.db, world.places, local_secrets):
        pass
    with world.db.read() as session:
        today = world.clock.now.date()
        found = snapshots.snapshot(session, world.places, "heart", "visits", today)
        (extract,) = session.scalars(select(Extract))
        name = extract.name
    assert found.rows == 20_000
    tidy(world.db, world.places)
    assert [path.name for path in world.places.extracts.iterdir()] == [name]
    assert len(world.events("extract.ready")) == 1


def _killed(world, after: float) -> bool:
    """Whether the worker was done before it was killed."""
    url = world.db.engine.url.render_as_string(hide_password=False)
    places = world.places
    argv = [sys.executable, "-c", WORKER, url, world.clock.now.isoformat(), str(places.incoming), str(places.extracts)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
        time.sleep(after)
        worker.send_signal(signal.SIGKILL)
        return "done" in worker.stdout.read()


def _forgive(world) -> None:
    """More deaths than a worker is allowed; each is counted, none is final here."""
    with world.db.transaction() as session:
        extract = session.scalars(select(Extract)).one()
        assert extract.state in ("queued", "building", "ready")
        extract.attempts = 0
