"""What a guard's pod said, taken in by the control plane."""

import pytest

from tre.door.probes.guard import NO_OTHER, OTHER, name_of
from tre.door.probes.spellings import ADDRESSES
from tre.door.probes.told import taken_in
from tre.errors import InvalidInput
from tre.workspaces.probes.report import Report, Result


def result(family: str, **changes: str) -> Result:
    values = {"name": name_of(family), "workspace_id": "w1", "wall": "guard", "tries": "x", "detail": "y"}
    return Result(**{**values, "verdict": "refused", **changes})  # type: ignore[arg-type]


WHOLE = tuple(map(result, (*ADDRESSES, OTHER)))


def test_what_is_missing_was_not_tried() -> None:
    assert taken_in("w1", WHOLE, []) == Report(WHOLE)
    assert taken_in("w1", WHOLE[:-1], [NO_OTHER, "more"]) == Report(WHOLE[:-1], (NO_OTHER,))
    assert taken_in("w1", WHOLE[:-1], []).named("could_not_run") == [name_of(OTHER)]
    assert set(taken_in("w1", (), []).named("could_not_run")) == set(map(name_of, (*ADDRESSES, OTHER)))


@pytest.mark.parametrize(
    "changes", [{"workspace_id": "w2"}, {"name": "pod-kubelet"}, {"wall": "network policy"}, {"name": "guard-new"}]
)
def test_it_speaks_of_the_guard_and_of_this_workspace_alone(changes: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        taken_in("w1", (*WHOLE, result("files", **changes)), [])
