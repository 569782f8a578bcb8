"""Thousands of random small tables protected, then attacked by an enemy who tries every filling.

The enemy knows what is published, that cells are whole and not negative, and adds up in every way that labels allow; it
shares no line of code with the engine. The sums are made here by hand, so that one that the engine forgets is found.
"""

from itertools import product

import numpy as np
import pytest

import output_checks as oc
from output_checks.attack.longtable import LongTable
from output_checks.attack.systems import link
from output_checks.protection.problem import Problem
from output_checks.protection.search import protect_cells
from tests.output_checks.conftest import LONG

T = "Total"
TABLES = 10_000 if LONG else 1_000
BATCH = 250
THRESHOLD, REACH = 3, 1

# Dimensions as node → children; the last entry says which cells are shown.
FLAT = {T: ["a", "b", "c"]}
PAIR = {T: ["x", "y"]}
TREE = {T: ["A", "B", "c"], "A": ["a1", "a2"], "B": ["b1", "b2"]}


def every(cell):
    return True


def corner(cell):
    """Inner cells and the grand total only, as two dimensions on the rows side with plain totals."""
    return T not in cell or set(cell) == {T}


def sides(cell):
    """Two dimensions on the columns side: their totals come together."""
    return (cell[1] == T) == (cell[2] == T)


SHAPES = [
    ([FLAT, FLAT], every), ([FLAT, PAIR], every), ([TREE], every), ([TREE, PAIR], every), ([FLAT, FLAT], corner),
    ([PAIR, PAIR, PAIR], every), ([PAIR, PAIR, PAIR], sides), ([FLAT, {T: ["p", "q", "r", "s"]}], every),
]  # fmt: skip


def leaves(tree, node):
    return [node] if node not in tree else [leaf for child in tree[node] for leaf in leaves(tree, child)]


def made(trees, shown, rng):
    """Cells with their true values, and the sums that anybody can take: lists of parts with their total."""
    inner = {cell: int(rng.integers(0, 7)) for cell in product(*[leaves(tree, T) for tree in trees])}
    nodes = [[*tree, *leaves(tree, T)] for tree in trees]
    below = {cell: list(product(*[leaves(t, n) for t, n in zip(trees, cell, strict=True)])) for cell in product(*nodes)}
    values = {cell: sum(inner[leaf] for leaf in parts) for cell, parts in below.items() if shown(cell)}
    lines = []
    for cell in values:
        for j, tree in enumerate(trees):
            parts = [(*cell[:j], child, *cell[j + 1 :]) for child in tree.get(cell[j], ())]
            if parts and all(part in values for part in parts):
                lines.append((parts, cell))
        if cell not in inner:
            lines.append((below[cell], cell))
    return values, lines


def hidden_from(values, trees):
    """What the engine leaves empty; None if it refuses."""
    parents = {
        f"d{j}": {child: node for node, children in tree.items() for child in children if node != T}
        for j, tree in enumerate(trees)
    }
    table = LongTable(
        tuple(f"d{j}" for j in range(len(trees))), tuple(values), np.array([*values.values()], float), parents=parents
    )
    system = link([table])
    place = {name: i for i, name in enumerate(system.names)}
    cells = [place[tuple(sorted((f"d{j}", n) for j, n in enumerate(cell) if n != T))] for cell in values]
    value = np.zeros(len(place))
    value[cells] = [*values.values()]
    unsafe = (value > 0) & (value < THRESHOLD)
    required = np.where(unsafe, REACH + np.minimum(REACH, value), 0)
    problem = Problem(
        matrix=system.matrix, value=value, primary=unsafe, required=required,
        allowed=(value > 0) & ~unsafe, cost=np.log1p(value), alone=unsafe & (value == 1), hidden=~system.shown,
    )  # fmt: skip
    try:
        gone = protect_cells(problem, seconds=1).suppressed
    except oc.Unsafe:
        return None
    return {cell for cell, i in zip(values, cells, strict=True) if gone[i]}


def settle(known, lines):
    """Fills in what sums with a single gap say; False if something cannot be."""
    again = True
    while again:
        again = False
        for parts, total in lines:
            gaps = [cell for cell in (*parts, total) if cell not in known]
            if len(gaps) > 1:
                continue
            rest = known.get(total, 0) - sum(known.get(cell, 0) for cell in parts)
            if not gaps:
                if rest:
                    return False
                continue
            known[gaps[0]] = -rest if gaps[0] == total else rest
            if known[gaps[0]] < 0:
                return False
            again = True
    return True


def filling(known, lines, roof):
    """A complete filling with whole numbers from 0 that agrees with `known`, or None; tries everything."""
    known = dict(known)
    if not settle(known, lines):
        return None
    gaps = [cell for parts, total in lines for cell in (*parts, total) if cell not in known]
    if not gaps:
        return known
    for value in range(roof):
        found = filling({**known, gaps[0]: value}, lines, roof)
        if found is not None:
            return found
    return None


def reach(cell, shown, lines, roof, enough):
    """The least value of a cell, and the greatest or the first that is far enough from it."""
    possible = (v for v in range(roof) if filling({**shown, cell: v}, lines, roof) is not None)
    least = next(possible)
    return least, next((v for v in possible if v - least >= enough), least)


@pytest.mark.parametrize("batch", range(TABLES // BATCH))
def test_none_of_thousands_of_protected_tables_gives_a_cell_away(batch):
    refused = 0
    for number in range(batch * BATCH, (batch + 1) * BATCH):
        rng = np.random.default_rng(number)
        trees, shape = SHAPES[number % len(SHAPES)]
        values, lines = made(trees, shape, rng)
        hidden = hidden_from(values, trees)
        if hidden is None:
            refused += 1
            continue
        shown = {cell: value for cell, value in values.items() if cell not in hidden}
        roof = max(values.values()) + 8
        for cell, value in values.items():
            if 0 < value < THRESHOLD:
                assert cell in hidden, (number, cell)
                enough = REACH + min(REACH, value)
                least, most = reach(cell, shown, lines, roof, enough)
                assert most - least >= enough, (number, cell, value, least, most)
    assert refused <= BATCH // 10  # refusing everything would be safe, too
