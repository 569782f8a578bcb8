"""The catalogue tells nothing that rests on fewer than ten units."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tre.data.catalogue import SMALLEST, Measured, bounds, missing_words, shown, shown_count

numbers = st.lists(st.integers(-(10**9), 10**9), min_size=0, max_size=80)
floats = st.lists(st.floats(-1e12, 1e12, allow_nan=False), min_size=0, max_size=80)


def extremes(values):
    return sorted(values)[:SMALLEST], sorted(values, reverse=True)[:SMALLEST]


@given(numbers | floats)
def test_ten_units_lie_beyond_each_shown_bound(values):
    kind = "int" if all(isinstance(value, int) for value in values) else "float"
    lowest, highest = bounds(*extremes(values), kind)
    if lowest is None:
        assert highest is None
        return
    assert sum(Decimal(repr(value)) <= Decimal(lowest) for value in values) >= SMALLEST
    assert sum(Decimal(repr(value)) >= Decimal(highest) for value in values) >= SMALLEST
    assert Decimal(lowest) <= Decimal(highest)


@given(st.lists(st.dates(dt.date(1900, 1, 1), dt.date(9999, 12, 31)), max_size=60))
def test_days_are_shown_as_firsts_of_months(values):
    lowest, highest = bounds(*extremes(values), "date")
    if lowest is None:
        return
    assert lowest.endswith("-01")
    assert highest.endswith("-01")
    assert sum(value <= dt.date.fromisoformat(lowest) for value in values) >= SMALLEST
    assert sum(value >= dt.date.fromisoformat(highest) for value in values) >= SMALLEST


@given(numbers, st.integers(10**12, 10**15))
def test_one_outlier_does_not_show(values, outlier):
    """The richest person's income says nothing in the catalogue."""
    _, highest = bounds(*extremes([*values, outlier]), "int")
    assert highest is None or int(highest) < 10**12


def test_moments_are_rounded_inwards_too():
    moments = [dt.datetime(2020, 1, 1, 12) + dt.timedelta(days=day) for day in range(100)]
    assert bounds(*extremes(moments), "time") == ("2020-02-01", "2020-03-01")


def test_the_last_month_of_time_is_not_rounded_up():
    late = [dt.date(9999, 12, 30)] * 30
    assert bounds(*extremes(late), "date") == (None, None)


def test_a_yes_no_number_shows_both_values_when_ten_units_have_each():
    assert bounds(*extremes([0] * 50 + [1] * 10), "int") == ("0", "1")
    assert bounds(*extremes([0] * 50 + [1] * 9), "int") == ("0", "0")


def test_equal_floats_are_somebody_s_exact_value():
    assert bounds(*extremes([3.25] * 40), "float") == (None, None)


def measured(**changes):
    base = {"records": 1000, "records_missing": 0, "units": 1000, "units_missing": 0, "units_present": 1000}
    return Measured(**{**base, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"units": 9}, "not shown"),
        ({"units_missing": 9, "records_missing": 9}, "few or none"),
        ({"units_missing": 995, "units_present": 5, "records_missing": 995}, "nearly all"),
        ({"units_missing": 123, "records_missing": 123}, "about 12 %"),
        ({"units_missing": 10, "records_missing": 1, "records": 10000}, "under 1 %"),
        ({"units_missing": 999, "units_present": 10, "records_missing": 998}, "nearly all"),
        (
            {"units": 432, "units_missing": 40, "units_present": 432, "records": 432, "records_missing": 40},
            "about 10 %",
        ),
        ({"units": 15, "units_missing": 12, "units_present": 12, "records": 24, "records_missing": 12}, "about 50 %"),
    ],
)
def test_missing_shares_in_words(changes, words):
    assert missing_words(measured(**changes)) == words


@pytest.mark.parametrize(("count", "said"), [(0, None), (9, None), (10, 10), (432, 430), (20190, 20000), (999, 990)])
def test_counts_have_two_digits(count, said):
    assert shown_count(count) == said


@given(st.integers(10, 10**9))
def test_a_shown_count_stands_for_ten_counts_at_least(count):
    said = shown_count(count)
    assert said is not None
    assert 0 <= count - said < max(10, count / 10)
    assert said % 10 == 0


def test_rare_categories_are_hidden_without_a_count():
    found = shown(measured(categories={"A": 500, "B": 10, "Z": 9}), "text", protected=False)
    assert (found.categories, found.categories_hidden) == (["A", "B"], True)
    assert found.lowest is None


def test_identifiers_show_neither_range_nor_categories():
    values = tuple(range(20))
    found = shown(measured(low=values, high=values[::-1], categories={"A": 500}), "int", protected=True)
    assert (found.lowest, found.highest, found.categories) == (None, None, None)


def test_a_column_that_few_units_have_shows_nothing():
    values = tuple(range(20))
    found = shown(measured(units_present=9, low=values, high=values[::-1]), "int", protected=False)
    assert (found.lowest, found.highest) == (None, None)
