"""Lists: scope, filters, search, pages."""

import pytest

from tests.outputs.house import House
from tre.errors import InvalidInput
from tre.outputs.lists import Filters, RequestPage, list_requests, words


def listed(house: House, who: str, **filters: object) -> RequestPage:
    with house.db.read() as session:
        return list_requests(session, house.actor(who), Filters(**filters), now=house.clock())


def ids(page: RequestPage) -> list[int]:
    return [row.id for row in page.rows]


def test_each_sees_their_own(house: House) -> None:
    sent = house.in_review()
    for who in ("ada", "ben", "cora", "adam", "audrey"):
        assert ids(listed(house, who)) == [sent.request]
    for who in ("old", "eve", "bias"):
        assert ids(listed(house, who)) == []


def test_pages_follow_one_another_without_gap_or_double(house: House) -> None:
    sent = [house.submit(title=f"Number {number}").request for number in range(7)]
    for who in ("ada", "adam"):
        found, after = [], None
        while True:
            page = listed(house, who, limit=3, after=after)
            found += ids(page)
            after = page.after
            if after is None:
                break
        assert found == sorted(sent, reverse=True)


def test_filters(house: House) -> None:
    first = house.in_review(title="Costs by sex")
    second = house.submit(title="Visits by plan", who="ben")
    assert ids(listed(house, "adam", state="in_review")) == [first.request]
    assert ids(listed(house, "adam", author="ben")) == [second.request]
    assert ids(listed(house, "adam", turn="reviewer")) == [first.request]
    for who in ("ada", "cora", "adam"):
        assert ids(listed(house, who, turn="reviewer")) == [first.request]
        assert ids(listed(house, who, turn="author")) == []
    assert ids(listed(house, "ada", turn="system")) == [second.request]
    assert ids(listed(house, "adam", project="other")) == []
    assert ids(listed(house, "ada", search="visi")) == [second.request]
    assert ids(listed(house, "ada", search="by, ben")) == [second.request]
    assert ids(listed(house, "ada", search="';--by")) == [second.request, first.request]


def test_a_checkers_queue_is_what_they_may_still_vote_on(house: House) -> None:
    first, second = house.in_review(), house.in_review()
    assert ids(listed(house, "cora", waiting=True)) == [first.request, second.request]
    house.vote("cora", first)
    assert ids(listed(house, "cora", waiting=True)) == [second.request]
    house.vote("carl", first)
    assert ids(listed(house, "cleo", waiting=True)) == [second.request]
    for who in ("ben", "old", "bias", "adam", "audrey"):
        assert ids(listed(house, who, waiting=True)) == []


def test_overdue_and_whose_turn(house: House) -> None:
    house.in_review()
    (row,) = listed(house, "cora").rows
    assert (row.turn, row.overdue, row.reviews, row.required, row.mine) == ("reviewer", False, 0, 2, False)
    assert row.due_in == 3, "from Monday to Thursday"
    house.clock.forward(hours=73)
    (row,) = listed(house, "cora").rows
    assert (row.overdue, row.due_in) == (True, 0)
    house.clock.forward(days=4)
    assert listed(house, "cora").rows[0].due_in == -2, "the weekend between does not count"


@pytest.mark.parametrize(
    ("filters", "field"),
    [
        ({"state": "open"}, "state"),
        ({"turn": "mine"}, "turn"),
        ({"limit": 0}, "limit"),
        ({"limit": 1000}, "limit"),
        ({"search": "%&|!"}, "search"),
    ],
)
def test_a_filter_that_makes_no_sense_names_itself(house: House, filters: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        listed(house, "adam", **filters)
    assert refused.value.field == field


def test_search_words_cannot_become_operators() -> None:
    assert words("a & !b | (c:*) <-> 'd'") == "a:* & b:* & c:* & d:*"
