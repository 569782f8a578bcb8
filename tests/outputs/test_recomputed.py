"""The control plane's side: what a sandbox that dies, lies or stalls becomes, and hostile specifications in the real
one.
"""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.outputs.house import House
from tre.errors import LimitExceeded, Refusal, Unavailable
from tre.outputs import access, recomputed, steps
from tre.outputs.recomputed import Asked, Computed, Snapshot, recompute
from tre.workspaces.sandbox.checking import run_checked

GOOD = b'{"verified": true, "findings": []}\n'
HERE = {"d": Snapshot("d", Path("/nowhere/d.parquet"), "5" * 64)}


def tables(count: int) -> list[Asked]:
    return [Asked("d", {"rows": [f"c{number}"]}, [["a"]]) for number in range(count)]


class Sandbox:
    """Answers as told: bytes arrive, an error ends it. Keeps the jobs that it was given."""

    def __init__(self, *acts: Sequence[bytes | Exception]) -> None:
        self.acts, self.jobs = list(acts), []

    def __call__(self, *, stdin: bytes, watch: Any, **bounds: Any) -> bytes:
        self.jobs.append(json.loads(stdin))
        for act in self.acts.pop(0):
            if isinstance(act, Exception):
                raise act
            watch(act)
        return b""


def asked(sandbox: Sandbox, count: int, **more: Any) -> list[Computed]:
    return recompute(sandbox, tables(count), HERE, {}, "sacro", **more)


def test_what_takes_the_sandbox_down_is_blocked_and_the_others_are_answered() -> None:
    sandbox = Sandbox([GOOD, GOOD[:9], GOOD[9:], LimitExceeded("too much memory")], [GOOD])
    found = asked(sandbox, 4)
    assert [answer.verified for answer in found] == [True, True, False, True]
    assert found[2].findings[0].why == "The table could not be made again: too much memory"
    assert [table["spec"]["rows"] for table in sandbox.jobs[1]["tables"]] == [["c3"]]
    assert [kept["spec"]["rows"] for kept in sandbox.jobs[1]["released"]["d"]] == [["c0"], ["c1"]]


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"nonsense\n",
        b"{}\n",
        b'{"verified": 1.5, "findings": []}\n',
        b'{"verified": true, "findings": [], "approved": true}\n',
        b'{"verified": true, "findings": [{"rule": "x", "severity": "none"}]}\n',
        GOOD[:-1],
    ],
)
def test_a_sandbox_that_was_taken_over_says_nothing_we_believe(said: bytes) -> None:
    (found,) = asked(Sandbox([said]), 1)
    assert (found.verified, found.findings[0].severity) == (False, "fail")


def test_an_answer_too_many_ends_it() -> None:
    sandbox = Sandbox([GOOD + GOOD + GOOD])
    asked(sandbox, 2)
    with pytest.raises(Refusal, match="too many"):
        recomputed._Listener(lambda: None, 1)(GOOD + GOOD)


def test_one_table_does_not_take_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recomputed, "TABLE_SECONDS", -1.0)
    (first, second) = asked(Sandbox([b""], [b""]), 2)
    assert "longer than" in first.findings[0].why
    assert not second.verified


def test_all_tables_do_not_take_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recomputed, "TOTAL_SECONDS", -1.0)
    found = asked(Sandbox(), 3)
    assert found == [Computed(False, (recomputed.UNTRIED,))] * 3


def test_who_takes_down_one_sandbox_after_the_other_is_not_given_more() -> None:
    sandbox = Sandbox(*[[LimitExceeded("too much memory")]] * 3)
    found = asked(sandbox, 100)
    assert len(sandbox.jobs) == 3
    assert [answer.findings == (recomputed.UNTRIED,) for answer in found] == [False] * 3 + [True] * 97
    assert not any(answer.verified for answer in found)


def test_without_a_sandbox_nothing_is_decided_and_a_lost_lease_ends_it() -> None:
    with pytest.raises(Unavailable):
        asked(Sandbox([Unavailable("no sandbox")]), 1)

    def lost() -> None:
        raise steps.LeaseLost("Somebody else has it.")

    with pytest.raises(steps.LeaseLost):
        asked(Sandbox([GOOD]), 1, alive=lost)


# From here on the real sandbox.


def explosive(folder: Path, house: House) -> dict[str, Any]:
    """A specification that keeps to every limit; its totals over six dimensions are more than the memory holds."""
    chance = random.Random(1)
    columns: dict[str, list[object]] = {
        name: [f"{name}{chance.randrange(9)}" for _ in range(5000)] for name in "abcdef"
    }
    house.add_snapshot(folder, "wide", {**columns, "v": [chance.random() for _ in range(5000)]})
    rows = {"rows": list("abc"), "columns": list("def"), "observed": False, "margins": "all", "missing": "keep"}
    return {**rows, "values": "v", "statistic": "median"}


@pytest.mark.parametrize(
    ("bound", "value", "reason"),
    [("MEMORY_BYTES", 300 << 20, "memory"), ("TABLE_SECONDS", 2.0, "takes longer than 2 s")],
)
def test_a_specification_that_explodes_is_blocked_and_the_platform_goes_on(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, value: float, reason: str
) -> None:
    monkeypatch.setattr(recomputed, bound, value)
    house.run = run_checked
    bomb = explosive(tmp_path, house)
    house.add_snapshot(tmp_path, "trial", {"sex": ["F"] * 30 + ["M"] * 40})
    good = {"dataset": "trial", "spec": {"rows": ["sex"]}}
    cells = b"a,b,c,d,e,f,value\na0,b0,c0,d0,e0,f0,1\n"
    sent = house.submit(
        house.file("a.csv", **good),
        house.file("bomb.csv", cells, dataset="wide", spec=bomb),
        house.file("z.csv", **good),
    )
    house.check()
    with house.db.read() as session:
        first, bombed, last = access.version_of(session, access.get(session, sent.request)).files
        assert [(file.evidence, file.status) for file in (first, last)] == [("verified", "pass")] * 2
        assert (bombed.evidence, bombed.status) == ("claimed", "fail")
        (finding,) = bombed.findings
    assert finding.rule == "unreadable"
    assert reason in finding.why.lower()
    assert house.state(sent) == "returned"
    assert house.state(house.in_review()) == "in_review"


def test_the_sandbox_sees_the_extract_and_can_neither_write_nor_leave_it(house: House, tmp_path: Path) -> None:
    house.add_snapshot(tmp_path, "trial", {"sex": ["F"] * 30 + ["M"] * 40})
    snapshot = house.snapshots["trial"]
    attack = (
        "import os\n"
        "assert os.listdir('/input') == ['0-0.parquet'], os.listdir('/input')\n"
        "try: open('/input/0-0.parquet', 'ab')\n"
        "except OSError: pass\n"
        "else: raise SystemExit('writable')\n"
        f"assert not os.path.exists({str(snapshot.path.parent)!r})\n"
        "import socket\n"
        "try: socket.socket()\n"
        "except OSError: print(os.environ.get('HOME'))\n"
    )
    files = {f"0-{n}.parquet": path for n, path in enumerate(snapshot.files())}
    argv = ("python", "-c", attack)
    said = run_checked(argv=argv, files=files, stdin=b"", memory_bytes=1 << 28, seconds=20, output_bytes=1000)
    assert said == b"/work\n"
