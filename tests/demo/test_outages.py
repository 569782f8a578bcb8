"""The journey while its servers die: one is killed with -9 as each step begins.

Every step succeeds after what people do anyway, trying again where they are told that a part is missing; what the later
steps and the audit record find at the end shows that nothing was lost.
"""

import os
import signal

import pytest

from tests.demo.patience import PatientStage, patient, twice
from tests.stack.toys import part_of
from tre.demo.journey import steps
from tre.demo.stage import running_platform, temporary_stage

SERVERS = ("postgres-state", "postgres-data", "openbao", "hub")
LONG = os.environ.get("TRE_TEST_LONG") == "1"
#: In each round, each step begins with the death of another server; together every server dies at every step.
ROUNDS = range(len(SERVERS)) if LONG else range(1)
#: About a tenth of them all, each server among them.
EVERY = 1 if LONG else 3


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("shift", ROUNDS)
def test_the_journey_outlives_its_servers(shift: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with temporary_stage() as found:
        stage = PatientStage(found.settings)
        patient(monkeypatch, stage.told)
        killed = set()
        try:
            with running_platform(stage):
                for number, (name, step) in enumerate(steps(stage)):
                    if number % EVERY == 0:
                        killed.add(kill(stage, SERVERS[(number // EVERY + shift) % len(SERVERS)], name))
                    assert twice(step, stage.told), name
        finally:
            print("\n".join(stage.told))
    assert killed == set(SERVERS)


def kill(stage: PatientStage, server: str, name: str) -> str:
    """Kills it where it runs now; one that is being started again is away already."""
    stage.told.append(f"-- {server} killed: {name}")
    if pid := part_of(stage.settings, server).pid:
        os.kill(pid, signal.SIGKILL)
    return server
