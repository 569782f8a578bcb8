"""Every pair of states is as the table says; every state has an owner and, where it is the system's, an end."""

from pathlib import Path

import pytest

from tests.outputs.house import House
from tre.audit import SYSTEM, use_case
from tre.errors import Conflict
from tre.outputs import access, rules, service
from tre.outputs.states import OPEN, OWNERS, TIMEOUTS, TRANSITIONS, Owner, RequestState, diagram

S = RequestState
# Written out by hand: a change of the table is a decision, never a slip.
ALLOWED = {
    (S.draft, S.submitted),
    (S.draft, S.withdrawn),
    (S.submitted, S.checking),
    (S.submitted, S.failed),
    (S.checking, S.in_review),
    (S.checking, S.returned),
    (S.checking, S.failed),
    (S.in_review, S.approved),
    (S.in_review, S.returned),
    (S.in_review, S.rejected),
    (S.approved, S.releasing),
    (S.approved, S.returned),
    (S.returned, S.submitted),
    (S.returned, S.withdrawn),
    (S.releasing, S.released),
    (S.releasing, S.failed),
    (S.released, S.recalled),
    (S.failed, S.submitted),
    (S.failed, S.approved),
    (S.failed, S.withdrawn),
}
PAIRS = [(source, target) for source in S for target in S]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_every_pair_of_states_is_as_the_table_says(source: S, target: S) -> None:
    if (source, target) in ALLOWED:
        rules.check_transition(1, source, target)
    else:
        with pytest.raises(Conflict):
            rules.check_transition(1, source, target)


def test_the_database_moves_along_the_table_only(house: House) -> None:
    sent = house.submit()
    for source, target in PAIRS:
        with house.db.transaction() as session:
            access.get(session, sent.request).state = source
        try:
            with use_case(house.db, SYSTEM, "test.move", "request:1") as case:
                service.move(case, access.get(case.session, sent.request, lock=True), target)
            moved = True
        except Conflict:
            moved = False
        assert moved == ((source, target) in ALLOWED), (source, target)


def test_every_state_has_an_owner_and_the_systems_states_an_end() -> None:
    assert set(TRANSITIONS) == set(OWNERS) == set(S)
    assert set(TIMEOUTS) == {state for state, owner in OWNERS.items() if owner is Owner.system}


def test_there_are_no_dead_ends() -> None:
    for state in OPEN:
        assert TRANSITIONS[state], state
    for state in set(S) - set(OPEN):
        assert TRANSITIONS[state] <= {S.recalled}, state


def test_only_the_authors_states_can_be_withdrawn() -> None:
    for state in S:
        assert (S.withdrawn in TRANSITIONS[state]) == (OWNERS[state] is Owner.author), state


def test_the_diagram_in_the_documentation_is_the_table() -> None:
    page = Path(__file__).parents[2] / "docs" / "release-request-states.md"
    assert diagram() in page.read_text(), "python -m tre.outputs.states prints it"
