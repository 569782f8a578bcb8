"""Working days: until when an answer is due."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.outputs.house import House
from tre.errors import InvalidInput
from tre.outputs import limits
from tre.outputs.calendar import due_after, is_working, read_holidays, working_days

MONDAY = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))
HOLIDAYS = st.frozensets(st.dates(date(2020, 1, 1), date(2035, 3, 1)), max_size=30)


@pytest.mark.parametrize(
    ("since", "days", "holidays", "due"),
    [
        (MONDAY, 1, [], datetime(2026, 3, 3, 9, 30, tzinfo=UTC)),
        (MONDAY, 3, [], datetime(2026, 3, 5, 9, 30, tzinfo=UTC)),
        (MONDAY, 5, [], datetime(2026, 3, 9, 9, 30, tzinfo=UTC)),
        (MONDAY, 3, [date(2026, 3, 4), date(2026, 3, 6)], datetime(2026, 3, 9, 9, 30, tzinfo=UTC)),
        (datetime(2026, 3, 7, 22, tzinfo=UTC), 1, [], datetime(2026, 3, 10, tzinfo=UTC)),
        (datetime(2026, 3, 6, 22, tzinfo=UTC), 1, [], datetime(2026, 3, 9, 22, tzinfo=UTC)),
        (MONDAY, 1, [date(2026, 3, 2)], datetime(2026, 3, 4, tzinfo=UTC)),
        # Still Sunday by UTC: the calendar is not the server's own.
        (datetime(2026, 3, 2, 1, tzinfo=timezone(timedelta(hours=5))), 1, [], datetime(2026, 3, 3, tzinfo=UTC)),
    ],
)
def test_due_after(since: datetime, days: int, holidays: list[date], due: datetime) -> None:
    assert due_after(since, days, holidays) == due


@given(MOMENTS, st.integers(1, 60), HOLIDAYS)
def test_due_is_a_working_day_so_many_days_away(since: datetime, days: int, holidays: frozenset[date]) -> None:
    due = due_after(since, days, holidays)
    assert is_working(due.date(), holidays)
    assert due > since
    assert working_days(since, due, holidays) == days
    start = due_after(since, 0, holidays)
    assert working_days(due, start, holidays) == -days


def test_the_house_has_holidays(house: House) -> None:
    said = limits.change(house.db, house.actor("adam"), {"holidays": ["2026-03-04", "2026-03-03", "2026-03-03"]})
    assert said.holidays == ["2026-03-03", "2026-03-04"]
    sent = house.in_review()
    with house.db.read() as session:
        from tre.outputs import access

        due = access.get(session, sent.request).due_at
        assert due is not None
        assert due.date() == date(2026, 3, 9), "three working days after Monday the 2nd, Tuesday and Wednesday off"
        assert limits.read(session).working_days(house.clock(), due) == 3
    assert house.events("outputs.change_limits")[0]["detail"]["after"] == {"holidays": ["2026-03-03", "2026-03-04"]}


@pytest.mark.parametrize("given", ["2026-12-25", ["25.12.2026"], [20261225], [None], ["2026-12-25"] * 401, {"a": 1}])
def test_what_is_no_list_of_dates_is_refused(house: House, given: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_holidays(given)
    assert refused.value.field == "holidays"
    with pytest.raises(InvalidInput):
        limits.change(house.db, house.actor("adam"), {"holidays": given})
