"""Merges, tails and quantiles: what is proposed passes when it is applied."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import output_checks as oc


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 1)), min_size=60, max_size=200), st.booleans())
def test_a_proposed_merge_passes_when_applied(pairs, ordered):
    data = pd.DataFrame(pairs, columns=["a", "b"])
    if ordered:
        data["a"] = data["a"].map(ord)
    spec = {"rows": ["a"], "columns": ["b"]}
    report = oc.check(spec, data)
    merge = oc.propose_merge(report)
    if report.status == "pass":
        assert merge is None
        return
    assert merge is not None
    again = oc.check(spec, data.assign(**{merge.dimension: data[merge.dimension].map(merge.mapping)}))
    assert len([c for c in again.cells if c.status == "fail"]) == merge.unsafe
    assert len(again.cells) == merge.cells
    if ordered and merge.dimension == "a":
        labels = sorted(data.a.unique())
        assert [label for group in merge.groups for label in group] == labels


def test_the_merge_that_keeps_most_cells():
    data = pd.DataFrame({"a": ["w"] * 40 + ["x"] * 40 + ["y"] * 3 + ["z"] * 8})
    merge = oc.propose_merge(oc.check({"rows": ["a"]}, data))
    assert merge.groups == (("w",), ("x",), ("y", "z"))


@pytest.mark.parametrize(("profile", "need"), [("sacro", 10), ("opensafely", 8)])
def test_tails_hold_enough_people(profile, need):
    values = np.random.default_rng(0).gamma(1, 10, 100)
    low, high = oc.coding_limits(values, profile=profile)
    assert (values <= low).sum() == need
    assert (values >= high).sum() == need
    assert oc.finest_quantiles(100, profile=profile) == 100 // need
    assert oc.finest_quantiles(3, profile=profile) == 1
    with pytest.raises(oc.BadInput):
        oc.coding_limits(values[: 2 * need - 1], profile=profile)
