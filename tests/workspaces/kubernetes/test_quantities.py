"""Quantities are spelled as the API server gives them back: in its canonical form."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity

from tre.workspaces.kubernetes import quantities


@pytest.mark.parametrize(
    ("count", "spelled"),
    [(0, "1Mi"), (1 << 20, "1Mi"), (4 << 30, "4Gi"), (1500 << 20, "1500Mi"), (1 << 40, "1Ti"), (4 << 50, "4Pi")],
)
def test_bytes(count: int, spelled: str):
    assert quantities.of_bytes(count) == spelled


@pytest.mark.parametrize(("cpus", "spelled"), [(0.1, "100m"), (1, "1"), (1.5, "1500m"), (2000, "2k"), (0.0001, "1m")])
def test_processors(cpus: float, spelled: str):
    assert quantities.of_cpus(cpus) == spelled


@given(st.integers(1 << 20, 1 << 55))
def test_a_limit_is_never_above_what_was_asked_for_and_less_than_a_mebibyte_below(count: int):
    spelled = quantities.of_bytes(count)
    assert 0 <= count - parse_quantity(spelled) < 1 << 20
    assert quantities.to_bytes(spelled) == parse_quantity(spelled)


@given(st.integers(0, 10**12))
def test_counts(count: int):
    assert parse_quantity(quantities.of_count(count)) == Decimal(count)


@pytest.mark.parametrize("text", ["", "Gi", "1Xi", "1e3"])
def test_what_is_no_quantity(text: str):
    with pytest.raises(ValueError):
        quantities.to_bytes(text)
