"""What was told in a guard's pod, taken in by who may record.

Decides what it may speak of: attempts through the guard, of the workspace that is asked about, and nothing else; what
is missing there was not tried, and that is a failure. Leaves reading bytes to who got them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tre.door.probes.guard import NO_OTHER, OTHER, TRAPS, WALL, could_not_run, name_of
from tre.door.probes.spellings import ADDRESSES
from tre.errors import InvalidInput
from tre.workspaces.probes.report import Report, Result

NAMES = frozenset(name_of(family) for family in (*ADDRESSES, OTHER, TRAPS))
AGAIN = "Take what `python -m tre.door.probes WORKSPACE` prints in a guard's pod, as it is."


def taken_in(workspace_id: str, results: Sequence[Result], left_out: Collection[str]) -> Report:
    """Raises InvalidInput where it is about another workspace, or about more than the guard."""
    for result in results:
        if result.workspace_id != workspace_id:
            raise InvalidInput(f"The guard was asked about workspace {result.workspace_id}.", field="door", hint=AGAIN)
        if result.name not in NAMES or result.wall != WALL:
            raise InvalidInput(f"{result.name} is no attempt through the guard.", field="door", hint=AGAIN)
    no_other = (NO_OTHER,) if NO_OTHER in left_out else ()
    tried = {result.name for result in results}
    missing = [family for family in (*ADDRESSES, *(() if no_other else (OTHER,))) if name_of(family) not in tried]
    return Report((*results, *could_not_run(workspace_id, "the guard's pod told nothing of it", missing)), no_other)
