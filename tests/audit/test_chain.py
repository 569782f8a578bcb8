"""Whoever alters, removes, inserts or reorders events is found by the pure chain, whatever the events hold."""

import copy
import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audit.record import chain_of
from tre.audit.chain import GENESIS, event_digest, plain, verify_chain
from tre.people.model import Role
from tre.store.canonical import canonical_json

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))
CHAINS = st.lists(st.dictionaries(TEXT, VALUES, max_size=3), min_size=1, max_size=6).map(chain_of)
FIELDS = ("seq", "at", "actor", "via", "action", "subject", "outcome", "detail", "previous", "digest")


@given(CHAINS)
def test_an_untouched_chain_is_whole(events: list[dict[str, Any]]):
    result = verify_chain(events)
    assert (result.events, result.head, result.problem) == (len(events), events[-1]["digest"], None)


@given(CHAINS, st.data())
def test_every_altered_field_is_found_at_its_event(events: list[dict[str, Any]], data: st.DataObject):
    place = data.draw(st.integers(0, len(events) - 1))
    name = data.draw(st.sampled_from(FIELDS))
    altered = copy.deepcopy(events)
    value = data.draw(VALUES)
    altered[place][name] = value
    # 1, 1.0 and True are equal to Python; the chain must not think so.
    if canonical_json(value) == canonical_json(events[place][name]):
        assert verify_chain(altered).problem is None
        return
    problem = verify_chain(altered).problem
    assert problem is not None
    assert problem.seq == place + 1


@given(CHAINS, st.data())
def test_an_altered_event_with_a_new_digest_breaks_the_next_link(events: list[dict[str, Any]], data: st.DataObject):
    place = data.draw(st.integers(0, len(events) - 1))
    altered = copy.deepcopy(events)
    altered[place]["actor"] = "mallory"
    altered[place]["digest"] = event_digest(altered[place])
    result = verify_chain(altered)
    if place == len(events) - 1:
        # Nothing follows it: only a signed head finds this (test_verification).
        assert result.head != events[-1]["digest"]
    else:
        assert result.problem is not None
        assert result.problem.seq == place + 2


@given(CHAINS, st.data())
def test_a_removed_event_is_found(events: list[dict[str, Any]], data: st.DataObject):
    place = data.draw(st.integers(0, len(events) - 1))
    result = verify_chain(events[:place] + events[place + 1 :])
    if place == len(events) - 1:
        assert result.events == len(events) - 1
        assert result.head != events[-1]["digest"]
    else:
        assert result.problem is not None
        assert result.problem.seq == place + 1


@given(CHAINS, st.data())
def test_an_inserted_event_is_found(events: list[dict[str, Any]], data: st.DataObject):
    place = data.draw(st.integers(0, len(events) - 1))
    forged = {**events[place], "detail": {"forged": True}}
    forged["digest"] = event_digest(forged)
    result = verify_chain([*events[:place], forged, *events[place:]])
    assert result.problem is not None


@given(CHAINS.filter(lambda events: len(events) > 1), st.data())
def test_a_changed_order_is_found(events: list[dict[str, Any]], data: st.DataObject):
    shuffled = data.draw(st.permutations(events))
    problem = verify_chain(shuffled).problem
    assert (problem is None) == (shuffled == events)


@pytest.mark.parametrize("name", FIELDS)
def test_a_missing_field_is_found(name: str):
    (event,) = chain_of([{"a": 1}])
    del event[name]
    assert verify_chain([event]).problem is not None


def test_a_field_that_no_digest_covers_is_found():
    events = chain_of([{}])
    events[0]["comment"] = "added later"
    problem = verify_chain(events).problem
    assert problem is not None
    assert "comment" in problem.problem


@pytest.mark.parametrize("seq", [True, 1.0, "1"])
def test_a_sequence_number_that_only_looks_like_one_is_found(seq: Any):
    events = chain_of([{}])
    events[0]["seq"] = seq
    assert verify_chain(events).problem is not None


def test_numbers_that_skip_are_found_though_every_digest_fits():
    previous, events = GENESIS, []
    for number, event in zip((1, 3), chain_of([{}, {}]), strict=True):
        event.update(seq=number, previous=previous)
        previous = event["digest"] = event_digest(event)
        events.append(event)
    problem = verify_chain(events).problem
    assert problem is not None
    assert (problem.seq, problem.problem) == (2, "expected event 2, found 3")
    assert verify_chain(events[1:]).problem is not None


def test_an_empty_chain_ends_in_the_beginning():
    assert verify_chain([]).head == GENESIS


def test_values_become_what_the_database_gives_back():
    given_value = {
        "text": "a\0b\ud800",
        "role": Role.checker,
        "fraction": 1e22,
        "day": date(2026, 6, 1),
        "moment": datetime(2026, 6, 1, 12, tzinfo=UTC),
        "pair": (1, None),
        3: True,
    }
    assert plain(given_value) == {
        "text": "a\N{REPLACEMENT CHARACTER}b?",
        "role": "checker",
        "fraction": "1e+22",
        "day": "2026-06-01",
        "moment": "2026-06-01T12:00:00+00:00",
        "pair": [1, None],
        "3": True,
    }
    assert type(plain(Role.checker)) is str
    with pytest.raises(TypeError):
        plain(object())


@given(VALUES)
def test_plain_values_stay_as_they_are_through_json(value: Any):
    assert json.loads(canonical_json(plain(value))) == plain(value)
