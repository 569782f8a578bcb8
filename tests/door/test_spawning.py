"""What a spawner tells the Hub of a workspace that it cannot see."""

from typing import Any

from tre.door.spawning import FOR_EVER, WorkspaceSpawner
from tre.errors import Unavailable


class Spawner(WorkspaceSpawner):
    """`seen` is what a look finds; an error where nobody answers."""

    _log_name = "bob:cost"
    seen: str | Exception = ""

    async def look(self) -> str:
        if isinstance(self.seen, Exception):
            raise self.seen
        return self.seen


def spawner(state: dict[str, Any]) -> Spawner:
    made = Spawner()
    made.load_state(state)
    return made


async def test_what_cannot_be_seen_has_not_ended():
    found = spawner({"workspace": {"workspace_id": "w1"}})
    found.seen = Unavailable("The cluster does not answer.")
    assert await found.poll() is None
    found.seen = "Its pod is gone."
    assert await found.poll() == 1
    assert found.ended == "Its pod is gone."


def test_one_that_ran_before_the_hub_has_all_its_time_to_answer():
    assert spawner({"workspace": {"workspace_id": "w1"}}).http_timeout == FOR_EVER
    assert spawner({}).http_timeout < 60
