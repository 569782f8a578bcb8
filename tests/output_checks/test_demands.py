"""What a pattern lacks, against enumeration of every pattern: a demand must hold for each safe one."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from output_checks.attack.systems import LongTable, link
from output_checks.errors import Unsafe
from output_checks.protection.cover import Cover
from output_checks.protection.demands import Demand, demands
from output_checks.protection.pattern import lines_from
from output_checks.protection.problem import Problem
from output_checks.protection.search import attack, contributors_know, protect_cells
from tests.output_checks.conftest import LONG


def problem(values, share):
    """A two-way table of counts with totals, cells below 4 unsafe, each free by `share` of its value both ways."""
    rows, columns = values.shape
    full = np.zeros((rows + 1, columns + 1))
    full[:-1, :-1] = values
    full[-1], full[:, -1] = full[:-1].sum(0), full[:, :-1].sum(1)
    full[-1, -1] = values.sum()
    labels = tuple(product([*map(str, range(rows)), "Total"], [*map(str, range(columns)), "Total"]))
    system = link([LongTable(("a", "b"), labels, full.ravel())])
    value = system.values
    primary = (value > 0) & (value < 4)
    return Problem(
        matrix=csr_matrix(system.matrix), value=value, primary=primary,
        required=np.where(primary, 2 * share * value, 0.0), allowed=(value > 0) & ~primary, cost=np.log1p(value),
        alone=primary & (value == 1), hidden=np.zeros(len(value), dtype=bool),
    )  # fmt: skip


def safe(table, mask):
    return not len(attack(table, mask)[0]) and not contributors_know(table, mask)


TABLE = st.lists(st.lists(st.sampled_from([0, 1, 2, 3, 5, 9]), min_size=2, max_size=2), min_size=2, max_size=2)


@given(TABLE, st.sampled_from([0.3, 1.0]))
@settings(max_examples=200 if LONG else 4)
def test_every_safe_pattern_meets_every_demand_and_the_fewest_cells_are_found(values, share):
    table = problem(np.array(values), share)
    free = np.flatnonzero(table.allowed)
    masks = []
    for chosen in product([False, True], repeat=len(free)):
        mask = table.primary.copy()
        mask[free] = chosen
        masks.append(mask)
    good = [mask for mask in masks if safe(table, mask)]
    for mask in masks[:: max(1, len(masks) // 12)]:
        weak, _ = attack(table, mask)
        for demand in demands(table, mask, weak.tolist(), contributors_know(table, mask)):
            for other in good:
                weight = demand.weights[other[demand.cells]].sum()
                assert not other[demand.cell] or weight >= 1 - 1e-6, (demand, other)
            weight = demand.weights[mask[demand.cells]].sum()
            assert mask[demand.cell]
            assert weight < 1, "the pattern itself does not meet what it lacks"
    if good and table.primary.any():
        found = protect_cells(table, seconds=60.0).suppressed
        assert safe(table, found)
        assert found.sum() == min(mask.sum() for mask in good)


def test_demands_are_met_by_the_next_try():
    table = problem(np.array([[1, 9, 9], [9, 3, 9]]), 1.0)
    lines = lines_from(table.matrix)
    program = Cover(table, lines, table.gone)
    first = program.fewest(10.0)
    weak, _ = attack(table, first)
    wanted = demands(table, first, weak.tolist(), contributors_know(table, first))
    assert wanted
    program.demand(wanted)
    second = program.fewest(10.0)
    assert all(demand.weights[second[demand.cells]].sum() >= 1 - 1e-6 for demand in wanted)


def test_where_no_cell_is_free_nothing_is_chosen_and_nothing_breaks():
    table = problem(np.array([[1, 2], [3, 1]]), 1.0)
    table = replace(table, allowed=np.zeros_like(table.allowed))
    program = Cover(table, lines_from(table.matrix), table.gone)
    mask = program.fewest(10.0)
    assert (mask == table.gone).all()
    weak, _ = attack(table, mask)
    assert len(weak)
    program.demand([Demand(int(cell), np.zeros(0, dtype=np.int64), np.zeros(0)) for cell in weak])
    assert (program.fewest(10.0) == table.gone).all()
    with pytest.raises(Unsafe):
        protect_cells(table, seconds=1.0)
