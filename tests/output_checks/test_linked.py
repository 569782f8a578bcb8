"""Linked tables protected as one, their certificate, and lone contributors who use all sums together."""

import copy
import json
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import output_checks as oc
from output_checks.attack.attacker import told_by_one
from tests.output_checks.conftest import LONG
from tests.output_checks.test_attack import example

HOUSE = "eurostat-safe-centre"
SETS = [
    [{"rows": ["r"], "columns": ["s"], "margins": True}, {"rows": ["c"], "columns": ["s"], "margins": True}],
    [{"rows": ["r"], "columns": ["c"], "margins": True}, {"rows": ["r"], "columns": ["s"], "margins": True}],
    [{"rows": ["r"], "columns": ["c"]}, {"rows": ["r"]}],  # the second shows totals that the first does not
    [
        {"rows": ["r"], "columns": ["s"], "margins": "all", "hierarchies": {"r": {"g0": ["r0", "r1", "r2"]}}},
        {"rows": ["r"], "columns": ["c"], "margins": "all", "hierarchies": {"r": {"g0": ["r0", "r1", "r2"]}}},
    ],
]


@pytest.mark.parametrize("specs", SETS)
@pytest.mark.parametrize("statistic", ["count", "sum"])
def test_linked_tables_are_safe_together(specs, statistic):
    more = {"statistic": "sum", "values": "v"} if statistic == "sum" else {}
    linked = oc.protect_linked([{**spec, **more} for spec in specs], example(600), HOUSE, seconds=1)
    raws = [text.encode() for text in linked.to_csv()]
    certificate = json.loads(json.dumps(linked.certificate()))
    assert oc.verify(certificate, *raws).status == "pass"
    assert oc.audit(*raws, parents=certificate["parents"], whole=statistic == "count").status == "pass"
    for table in linked.tables:
        assert not (table.report.primary & ~np.isnan(table.shown)).any()


def test_tables_that_are_safe_one_by_one_are_not_together():
    """The gap between doing it one by one and doing it together: the second table fills the first one's gaps."""
    data = pd.DataFrame({"a": ["x"] * 40 + ["y"] * 33, "b": ["p"] * 36 + ["q"] * 4 + ["p"] * 15 + ["q"] * 18})
    specs = [{"rows": ["a"], "columns": ["b"]}, {"rows": ["a"]}]
    alone = [oc.protect(spec, data, HOUSE, seconds=1).to_csv().encode() for spec in specs]
    assert [oc.audit(raw).status for raw in alone] == ["pass", "pass"]
    assert oc.audit(*alone).status == "fail"
    assert oc.audit(*[text.encode() for text in oc.protect_linked(specs, data, HOUSE).to_csv()]).status == "pass"


def test_wrong_certificates_of_linked_tables_are_refused():
    linked = oc.protect_linked(SETS[1], example(600), HOUSE, seconds=1)
    raws, good = [text.encode() for text in linked.to_csv()], linked.certificate()
    assert oc.verify(good, *raws).status == oc.verify(good, *reversed(raws)).status == "pass"
    known = next(line for line in raws[0].splitlines()[1:] if not line.endswith(b","))
    for wrong in (raws[:1], [raws[0], raws[0]], [*raws, raws[0]], [raws[0].replace(known, known + b"1"), raws[1]]):
        assert oc.verify(good, *wrong).status == "fail"
    shared = next(i for i, cell in enumerate(good["cells"]) if set(cell) == {"r"})
    for change in (
        lambda c: c["tables"].pop(),
        lambda c: c["cells"].pop(shared),
        lambda c: (
            [c[key].pop(shared) for key in ("cells", "required", "witnesses")] + [f.pop(shared) for f in c["fillings"]]
        ),
        lambda c: c["fillings"][0].__setitem__(shared, c["fillings"][0][shared] + 1),
        lambda c: c["fillings"][-1].__setitem__(shared, -1),
        lambda c: c["witnesses"].__setitem__(shared, [0, 0]),
        lambda c: c.__setitem__("total", "All"),
    ):
        body = copy.deepcopy(good)
        change(body)
        assert oc.verify(body, *raws).status == "fail"
    forged = {**good, "tables": [good["tables"][0], "0" * 64]}
    assert oc.verify(forged, *raws).status == "fail"


def test_linked_tables_are_written_together_or_not_at_all(tmp_path):
    linked = oc.protect_linked(SETS[0], example(600), HOUSE, seconds=1)
    assert [p.name for p in linked.write(tmp_path / "out")] == ["table-1.csv", "table-2.csv", "certificate.json"]
    assert oc.verify(tmp_path / "out/certificate.json", *sorted((tmp_path / "out").glob("*.csv"))).status == "pass"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"where": {"column": "r", "op": "!=", "value": "r0"}}, "where"),
        ({"missing": "keep"}, "missing"),
        ({"total": "All"}, "total"),
        ({"statistic": "mean", "values": "v"}, "statistic"),
        ({"statistic": "sum", "values": "v"}, "values"),
        ({"hierarchies": {"r": [1]}}, "hierarchies"),
    ],
)
def test_tables_that_are_not_linked_are_refused(change, field):
    first, second = SETS[1]
    with pytest.raises(oc.BadInput, match=field):
        oc.protect_linked([first, {**second, **change}], example(600), HOUSE)
    with pytest.raises(oc.BadInput, match="specs"):
        oc.protect_linked([], example(600), HOUSE)


def test_different_people_are_no_linked_tables():
    data = example(600)
    data["s"] = data["s"].where(data.index >= 3)
    with pytest.raises(oc.BadInput, match="missing"):
        oc.protect_linked(SETS[1], data, HOUSE)
    kept = [{**spec, "missing": "keep"} for spec in SETS[1]]
    assert oc.protect_linked(kept, data, HOUSE, seconds=1).certificate()


CUBE = st.lists(st.integers(0, 5), min_size=8, max_size=8)


@given(CUBE)
@settings(max_examples=1000 if LONG else 40)
def test_linked_tables_withstand_an_attacker_who_tries_everything(counts):
    """All three two-way margins of a 2 × 2 × 2 cube; every cube that agrees with what is published is tried."""
    cube = np.array(counts).reshape(2, 2, 2)
    rows = [(f"a{i}", f"b{j}", f"c{k}") for (i, j, k), n in np.ndenumerate(cube) for _ in range(n)]
    if not rows:
        return
    data = pd.DataFrame(rows, columns=["a", "b", "c"])
    pairs = [("a", "b"), ("b", "c"), ("a", "c")]
    specs = [
        {"rows": [x], "columns": [y], "margins": True, "parameters": {"threshold": 3},
         "categories": {x: [f"{x}0", f"{x}1"], y: [f"{y}0", f"{y}1"]}} for x, y in pairs
    ]  # fmt: skip
    try:
        linked = oc.protect_linked(specs, data, HOUSE, seconds=0)
    except oc.Unsafe:
        return  # nothing was handed over
    assert oc.verify(linked.certificate(), *[t.encode() for t in linked.to_csv()]).status == "pass"
    cells = [
        (tuple(sorted((d, t) for d, t in cell.labels.items() if t != "Total")), value, cell.status)
        for table in linked.tables
        for cell, value in zip(table.report.cells, table.values(), strict=True)
    ]
    known = {name: value for name, value, _ in cells if value is not None}
    seen = {name: set() for name, _, status in cells if status == "fail"}
    for filling in pair_tables(known, cube.sum()):
        for name, values in seen.items():
            values.add(filling[name])
        if all(len(values) > 1 for values in seen.values()):
            break
    assert all(len(values) > 1 for values in seen.values())


def pair_tables(known, grand):
    """Fillings of the three two-way tables with their margins that agree with what is known, one table varied at a
    time: given its margins each is free of the others.
    """
    empty = ()
    totals = [known[empty]] if empty in known else range(int(grand) + 3)
    for whole in totals:
        for a, b, c in product(*(list(splits(whole, d, known)) for d in "abc")):
            margin = {
                ("a", 0): a,
                ("a", 1): whole - a,
                ("b", 0): b,
                ("b", 1): whole - b,
                ("c", 0): c,
                ("c", 1): whole - c,
            }
            options = [list(inner(x, y, margin, known)) for x, y in (("a", "b"), ("b", "c"), ("a", "c"))]
            if not all(options):
                continue
            shared = {empty: whole} | {((d, f"{d}{i}"),): n for (d, i), n in margin.items()}
            for position, several in enumerate(options):
                for one in several:
                    chosen = [o[0] for o in options]
                    chosen[position] = one
                    yield shared | chosen[0] | chosen[1] | chosen[2]


def splits(whole, d, known):
    for n in range(whole + 1):
        if known.get(((d, f"{d}0"),), n) == n and known.get(((d, f"{d}1"),), whole - n) == whole - n:
            yield n


def inner(x, y, margin, known):
    """Two-way tables with the given margins."""
    for n in range(min(margin[x, 0], margin[y, 0]) + 1):
        cells = {(0, 0): n, (0, 1): margin[x, 0] - n, (1, 0): margin[y, 0] - n}
        cells[1, 1] = margin[x, 1] - cells[1, 0]
        named = {tuple(sorted([(x, f"{x}{i}"), (y, f"{y}{j}")])): v for (i, j), v in cells.items()}
        if min(named.values()) >= 0 and all(known.get(name, v) == v for name, v in named.items()):
            yield named


def test_a_lone_contributor_uses_all_sums_together():
    """No line has two gaps only, but the gaps form one cycle: whoever knows one cell of it knows all."""
    from scipy.sparse import csr_matrix

    # x0 + x1, x1 + x2, x2 + x3, x3 + x0 known, each with a further gap that another sum fixes
    sums = np.array([[1, 1, 0, 0, 1], [0, 1, 1, 0, 0], [0, 0, 1, 1, 0], [1, 0, 0, 1, 0], [0, 0, 0, 0, 1]], dtype=float)
    pairs = told_by_one(csr_matrix(sums), [True, False, False, False, False])
    assert sorted(pairs) == [(0, 1), (0, 2), (0, 3)]


@given(st.integers(1, 5), st.integers(2, 8), st.integers(0, 10**6))
def test_what_one_contributor_knows_agrees_with_ranks(rows, columns, seed):
    from scipy.sparse import csr_matrix

    rng = np.random.default_rng(seed)
    dense = rng.choice([0.0, 0.0, 1.0], (rows, columns))
    found = set(told_by_one(csr_matrix(dense), np.ones(columns, dtype=bool)))

    def fixed(known, j):
        return np.linalg.matrix_rank(np.vstack([known, np.eye(columns)[j]])) == np.linalg.matrix_rank(known)

    for i, j in product(range(columns), repeat=2):
        if i != j:
            with_own = np.vstack([dense, np.eye(columns)[i]])
            assert ((i, j) in found) == (fixed(with_own, j) and not fixed(dense, j) and not fixed(dense, i))


@pytest.mark.parametrize(
    "counts",
    [
        [[15, 15, 40, 2, 30], [30, 15, 30, 40, 1], [40, 15, 30, 40, 15]],
        [[15, 15, 15, 0], [15, 1, 15, 40], [40, 40, 0, 1], [30, 15, 0, 40]],
        [[40, 1, 15, 40], [1, 15, 15, 40], [15, 40, 15, 30], [15, 30, 15, 40]],
        [[40, 30, 30, 1], [15, 1, 15, 15], [1, 15, 15, 30], [15, 2, 30, 30]],
    ],
)
def test_protected_tables_leave_a_lone_contributor_in_the_dark(counts, monkeypatch):
    """No row or column tells; the whole table does, unless it is attacked as the contributor would."""
    rows = [(f"r{i}", f"c{j}") for (i, j), n in np.ndenumerate(np.array(counts)) for _ in range(n)]
    data = pd.DataFrame(rows, columns=["r", "c"])

    def told():
        table = oc.protect({"rows": ["r"], "columns": ["c"], "margins": True}, data, HOUSE, seconds=0)
        unsafe = [c for c in table.report.cells if c.status == "fail"]
        named = [({d: t for d, t in c.labels.items() if t != "Total"}, c.evidence["units"]) for c in unsafe]
        found = oc.audit(table.to_csv().encode(), alone=[name for name, units in named if units == 1])
        return [f for f in found.findings if f.rule == "singleton" and f.cell in [name for name, _ in named]]

    assert told() == []
    monkeypatch.setattr("output_checks.protection.search.contributors_know", lambda problem, mask: [])
    with pytest.raises(oc.Unsafe, match="only contributor of another suppressed cell"):
        told()  # what leaves is attacked by them once more
    monkeypatch.setattr("output_checks.attack.inference.told_by_one", lambda matrix, alone: [])
    assert told() != []


def test_published_sums_are_attacked_by_their_lone_contributors():
    """Two gaps in the row and two in each column; the lone contributor of one of them knows all four."""
    rows = [("x", "p", 1, 50.0), ("x", "q", 2, 30.0), ("y", "p", 2, 20.0), ("y", "q", 2, 25.0)]
    rows += [(a, b, 40, 5.0) for a, b in (("x", "r"), ("y", "r"), ("z", "p"), ("z", "q"), ("z", "r"))]
    data = pd.DataFrame([(a, b, v + k % 3) for a, b, n, v in rows for k in range(n)], columns=["a", "b", "v"])
    spec = {"rows": ["a"], "columns": ["b"], "values": "v", "statistic": "sum", "margins": True}
    frame = data.pivot_table("v", "a", "b", "sum", margins=True).astype(object)
    for row, column in product("xy", "pq"):
        frame.loc[row, column] = ""
    report = oc.compare_published(spec, data, frame.to_csv().encode(), HOUSE)
    assert [f.rule for f in report.findings if f.severity == "fail"] == ["singleton"] * 3


def test_published_counts_are_attacked_in_the_same_way():
    """A lone person may know that she is alone, so that a count of one is a value she knows; `protect` agrees."""
    sizes = {("x", "p"): 1, ("x", "q"): 2, ("y", "p"): 2, ("y", "q"): 2}
    sizes |= dict.fromkeys((("x", "r"), ("y", "r"), ("z", "p"), ("z", "q"), ("z", "r")), 40)
    data = pd.DataFrame([labels for labels, n in sizes.items() for _ in range(n)], columns=["a", "b"])
    spec = {"rows": ["a"], "columns": ["b"], "margins": True}
    frame = pd.crosstab(data.a, data.b, margins=True).astype(object)
    for row, column in product("xy", "pq"):
        frame.loc[row, column] = ""
    report = oc.compare_published(spec, data, frame.to_csv().encode(), HOUSE)
    assert [f.rule for f in report.findings if f.severity == "fail"] == ["singleton"] * 3
    table = oc.protect(spec, data, HOUSE, seconds=0)
    assert oc.compare_published(spec, data, table.to_csv().encode(), HOUSE).status == "pass"


def test_a_holding_that_is_alone_knows_what_its_units_add_up_to():
    """Three plants in the cell, one owner: the owner knows the sum as a single plant would know its own."""
    rows = [("x", "p", 3, 50.0, 1), ("x", "q", 2, 30.0, 2), ("y", "p", 2, 20.0, 2), ("y", "q", 2, 25.0, 2)]
    rows += [(a, b, 40, 5.0, 40) for a, b in (("x", "r"), ("y", "r"), ("z", "p"), ("z", "q"), ("z", "r"))]
    data = pd.DataFrame(
        [(a, b, v + k % 3, f"{a}{b}{k % owners}") for a, b, n, v, owners in rows for k in range(n)],
        columns=["a", "b", "v", "owner"],
    )
    data["plant"] = range(len(data))
    spec = {"rows": ["a"], "columns": ["b"], "values": "v", "statistic": "sum", "margins": True}
    frame = data.pivot_table("v", "a", "b", "sum", margins=True).astype(object)
    for row, column in product("xy", "pq"):
        frame.loc[row, column] = ""
    raw = frame.to_csv().encode()
    report = oc.compare_published({**spec, "unit": "plant", "holding": "owner"}, data, raw, HOUSE)
    assert [f.rule for f in report.findings if f.severity == "fail"] == ["singleton"] * 3
    assert oc.compare_published({**spec, "unit": "plant"}, data, raw, HOUSE).status != "fail"
