"""Audits, protection and certificates against enumeration: an attacker who tries every filling."""

import copy
import json
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import output_checks as oc
from output_checks.attack.auditing import audit_system
from output_checks.attack.longtable import LongTable
from output_checks.attack.systems import link
from tests.output_checks.conftest import LONG


def grid_table(values, hidden):
    """A two-way table with totals as a LongTable; `hidden` masks the table with totals."""
    full = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    full[:-1, :-1] = values
    full[-1] = full[:-1].sum(0)
    full[:, -1] = full[:, :-1].sum(1)
    rows = [*[f"r{i}" for i in range(values.shape[0])], "Total"]
    columns = [*[f"c{j}" for j in range(values.shape[1])], "Total"]
    labels = tuple(product(rows, columns))
    return full, LongTable(("a", "b"), labels, np.where(hidden, np.nan, full).ravel())


def fillings(full, hidden):
    """Every non-negative whole filling of the hidden cells that agrees with all published ones."""
    gaps = list(zip(*np.nonzero(hidden), strict=True))
    top = int(full[-1, -1]) if not hidden[-1, -1] else int(full[-1, -1]) + 2
    out = []

    def consistent(table, complete):
        for line, total in [(table[i, :-1], table[i, -1]) for i in range(table.shape[0])] + [
            (table[:-1, j], table[-1, j]) for j in range(table.shape[1])
        ]:
            parts = line[~np.isnan(line)].sum()
            if np.isnan(total):
                continue
            if parts > total or (not np.isnan(line).any() and parts != total):
                return False
        return True

    def fill(table, k):
        if not consistent(table, k == len(gaps)):
            return
        if k == len(gaps):
            out.append(table.copy())
            return
        for value in range(top + 1):
            table[gaps[k]] = value
            fill(table, k + 1)
        table[gaps[k]] = np.nan

    start = full.copy()
    start[hidden] = np.nan
    fill(start, 0)
    return out


SMALL = st.tuples(
    st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=2, max_size=3),
    st.lists(st.booleans(), min_size=16, max_size=16),
)


@given(SMALL)
@settings(max_examples=1000 if LONG else 40)
def test_audit_agrees_with_enumeration(case):
    values, flags = np.array(case[0]), np.array(case[1])
    shape = (values.shape[0] + 1, values.shape[1] + 1)
    hidden = np.resize(flags, shape)
    hidden[-1] &= np.arange(shape[1]) == 0  # few totals hidden, so that enumeration ends
    hidden[:, -1] = False
    full, table = grid_table(values, hidden)
    audit = audit_system(link([table]))
    every = fillings(full, hidden)
    seen = {tuple(name): (lo, hi, exact) for name, lo, hi, exact in zip(
        audit.names, audit.least.tolist(), audit.most.tolist(), audit.exact.tolist(), strict=True)}  # fmt: skip
    for i, j in zip(*np.nonzero(hidden), strict=True):
        name = tuple(sorted((d, t) for d, t in zip("ab", table.labels[i * shape[1] + j], strict=True) if t != "Total"))
        values_of_cell = [f[i, j] for f in every]
        low, high, exact = seen[name]
        assert low == pytest.approx(min(values_of_cell), abs=1e-6)  # two-way tables have whole vertices
        assert high == pytest.approx(max(values_of_cell), abs=1e-6)
        assert exact == (len(set(values_of_cell)) == 1)


def records_of(values):
    rows = [(f"r{i}", f"c{j}") for (i, j), n in np.ndenumerate(values) for _ in range(n)]
    return pd.DataFrame(rows, columns=["a", "b"])


def lines_of(full):
    """Every sum of a two-way table with totals: its parts and its total, as positions."""
    rows, columns = full.shape
    for i in range(rows):
        yield [(i, j) for j in range(columns - 1)], (i, columns - 1)
    for j in range(columns):
        yield [(i, j) for i in range(rows - 1)], (rows - 1, j)


def another_filling(full, hidden, cell):
    """A non-negative whole filling that agrees with all published cells and differs from the truth in `cell`: a search
    that knows nothing of programs. None if there is none.
    """
    lines = list(lines_of(full))
    roof = int(full.max()) + 8
    steps = [0]

    def settle(known):
        """Fills in what single gaps say; False if something cannot be."""
        again = True
        while again:
            again = False
            for parts, total in lines:
                gaps = [at for at in (*parts, total) if at not in known]
                if len(gaps) > 1:
                    continue
                rest = known.get(total, 0) - sum(known.get(at, 0) for at in parts)
                if not gaps:
                    if rest:
                        return False
                    continue
                known[gaps[0]] = -rest if gaps[0] == total else rest
                if known[gaps[0]] < 0:
                    return False
                again = True
        return True

    def search(known):
        steps[0] += 1
        assert steps[0] < 100_000, "the search did not end"
        if not settle(known):
            return None
        gaps = [at for parts, total in lines for at in (*parts, total) if at not in known]
        if not gaps:
            return known
        truth = int(full[gaps[0]])
        for value in sorted(range(roof), key=lambda v: abs(v - truth)):
            if (found := search({**known, gaps[0]: value})) is not None:
                return found
        return None

    shown = {at: int(full[at]) for at in np.ndindex(full.shape) if not hidden[at]}
    for value in sorted(range(roof), key=lambda v: abs(v - full[cell])):
        if value != full[cell] and (found := search({**shown, cell: value})) is not None:
            return found
    return None


TABLES = {"made": 0, "refused": 0}


@given(st.lists(st.lists(st.integers(0, 6), min_size=3, max_size=3), min_size=3, max_size=3))
@settings(max_examples=10_000 if LONG else 40)
def test_protected_tables_withstand_an_attacker_who_tries_everything(values):
    values = np.array(values)
    if values.sum() == 0:
        return
    spec = {"rows": ["a"], "columns": ["b"], "margins": True, "parameters": {"threshold": 3}}
    report = oc.check(spec, records_of(values), "eurostat-safe-centre")
    try:
        table = report.suppress(totals="keep")
    except oc.Unsafe:
        TABLES["refused"] += 1
        return  # nothing was handed over
    TABLES["made"] += 1
    raw = table.to_csv().encode()
    assert oc.verify(table.certificate(), raw).status == "pass"
    rows = sorted({c.row["a"] for c in report.cells if c.row["a"] != "Total"})
    columns = sorted({c.column["b"] for c in report.cells if c.column["b"] != "Total"})
    place = {(r, c): (i, j) for i, r in enumerate([*rows, "Total"]) for j, c in enumerate([*columns, "Total"])}
    full, hidden = np.zeros((len(rows) + 1, len(columns) + 1)), np.zeros((len(rows) + 1, len(columns) + 1), dtype=bool)
    for cell, shown in zip(report.cells, table.values(), strict=True):
        at = place[cell.row["a"], cell.column["b"]]
        full[at], hidden[at] = cell.value, shown is None
    for cell in report.cells:
        at = place[cell.row["a"], cell.column["b"]]
        if cell.status == "fail":
            assert hidden[at]
            assert another_filling(full, hidden, at) is not None


def test_most_small_tables_can_be_protected():
    """Runs after the test above: refusing everything would be safe, too."""
    assert TABLES["made"] >= 9 * TABLES["refused"]


def example(n=4000, seed=3):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "r": rng.choice([f"r{i}" for i in range(20)], n, p=rng.dirichlet(np.ones(20))),
            "c": rng.choice([f"c{i}" for i in range(12)], n, p=rng.dirichlet(np.ones(12))),
            "s": rng.choice(["f", "m"], n),
            "v": rng.gamma(0.7, 100, n),
        }
    )


CASES = [
    {"rows": ["r"], "columns": ["c"], "margins": True},
    {"rows": ["r"], "columns": ["c"], "margins": True, "values": "v", "statistic": "sum"},
    {"rows": ["r", "c"], "columns": ["s"], "margins": "all"},
    {
        "rows": ["r"],
        "columns": ["c"],
        "margins": "all",
        "hierarchies": {"r": {"g0": ["r0", "r1", "r2"], "g1": ["r3", "r4"]}},
    },
    {"rows": ["r"], "margins": True},
    {"rows": ["r"], "columns": ["c"]},
]


@pytest.mark.parametrize("spec", CASES)
@pytest.mark.parametrize("profile", ["eurostat-safe-centre", "sacro"])
def test_every_shape_is_protected_and_proven(spec, profile):
    if profile == "sacro" and len(spec["rows"]) > 1:
        pytest.skip("three-way zeros hide everything")
    table = oc.protect(spec, example(), profile)
    raw = table.to_csv().encode()
    certificate = json.loads(json.dumps(table.certificate()))
    assert oc.verify(certificate, raw).status == "pass"
    parents = certificate["parents"]
    assert oc.audit(raw, parents=parents).status == "pass"
    e = table.report.evidence
    assert not (table.report.primary & ~np.isnan(table.shown)).any()
    kept = e.published & ~np.isnan(table.shown)
    assert (table.shown[kept] == e.value[kept]).all()


def protected():
    table = oc.protect(CASES[0], example(), "eurostat-safe-centre")
    return table.to_csv().encode(), table.certificate()


def test_wrong_and_incomplete_certificates_are_refused():
    raw, good = protected()
    assert oc.verify(good, raw).status == "pass"
    cell = int(np.argmax(good["required"]))
    spoilt = []
    for change in (
        lambda c: c["fillings"][0].__setitem__(0, c["fillings"][0][0] + 1),
        lambda c: c["fillings"][1].__setitem__(0, -1),
        lambda c: c["fillings"][1].__setitem__(0, 0.5),
        lambda c: c["fillings"][0].pop(),
        lambda c: c["cells"].pop(),
        lambda c: [c[key].pop() for key in ("cells", "required", "witnesses")] and [f.pop() for f in c["fillings"]],
        lambda c: c["witnesses"].__setitem__(cell, [0, 0]),
        lambda c: c["witnesses"].__setitem__(cell, [-1, 0]),
        lambda c: c["required"].__setitem__(cell, 10**6),
        lambda c: c["required"].__setitem__(cell, "many"),
        lambda c: c.__setitem__("version", 2),
        lambda c: c.__setitem__("tables", []),
        lambda c: c.pop("fillings"),
        lambda c: c.__setitem__("kind", "decimal") or c["fillings"][0].__setitem__(0, 10**7),
    ):
        body = copy.deepcopy(good)
        change(body)
        spoilt.append(oc.verify(body, raw).status)
    assert set(spoilt) == {"fail"}
    assert oc.verify(good, raw + b"\n").status == "fail"
    assert oc.verify(good).status == "fail"
    assert oc.verify({}, raw).status == "fail"
    assert oc.verify(b"[1]", raw).status == "fail"
    assert oc.verify(good, raw, required=10**6).status == "fail"


def test_a_certificate_must_cover_every_gap_even_where_no_total_is_shown():
    table = oc.protect({"rows": ["r"], "columns": ["c"]}, example(), "eurostat-safe-centre")
    raw, body = table.to_csv().encode(), table.certificate()
    assert oc.verify(body, raw).status == "pass"
    for part in (body["cells"], body["required"], body["witnesses"], *body["fillings"]):
        part.pop()
    assert oc.verify(body, raw).status == "fail"


def test_a_bridge_between_two_blocks_of_gaps_is_recovered_by_equations_alone():
    hidden = np.zeros((5, 5), dtype=bool)
    hidden[0:2, 0:2] = hidden[2:4, 2:4] = True
    hidden[0, 2] = True  # no sum has it as its only gap
    full, table = grid_table(np.arange(16).reshape(4, 4) + 20, hidden)
    audit = audit_system(link([table]), intervals=False)
    assert [dict(name) for name, exact in zip(audit.names, audit.exact, strict=True) if exact] == [
        {"a": "r0", "b": "c2"}
    ]
    assert audit.most[list(audit.exact).index(True)] == full[0, 2]


@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 10**6))
def test_determined_cells_agree_with_ranks(rows, columns, seed):
    from scipy.sparse import csr_matrix

    from output_checks.attack.attacker import determined

    rng = np.random.default_rng(seed)
    dense = rng.choice([0.0, 0.0, 1.0, -1.0], (rows, columns))
    rank = np.linalg.matrix_rank(dense)
    want = [np.linalg.matrix_rank(np.vstack([dense, np.eye(columns)[j]])) == rank for j in range(columns)]
    assert determined(csr_matrix(dense)).tolist() == want


def test_linked_tables_are_attacked_together():
    one = b"a,b,value\nx,p,\nx,q,\nx,Total,9\ny,p,\ny,q,\ny,Total,10\nTotal,p,7\nTotal,q,12\nTotal,Total,19\n"
    two = b"a,c,value\nx,u,4\nx,w,5\ny,u,3\ny,w,7\n"
    assert oc.audit(one).status == "pass"
    assert oc.audit(one, two).status == "pass"
    three = b"b,a,value\np,x,2\n"
    found = oc.audit(one, three)
    assert found.status == "fail"
    assert found.to_dict()["recoverable"] == 3
    hidden_total = b"a,b,value\nx,p,5\nx,q,\ny,p,3\ny,q,7\n"
    assert oc.audit(hidden_total).status == "pass"
    assert oc.audit(hidden_total, b"a,value\nx,9\ny,10\n").status == "fail"
    assert oc.audit(one, b"a,value\nx,8\ny,10\n").status == "fail"  # they contradict one another


def test_intervals_that_are_too_narrow():
    raw = b"a,b,value\nx,p,\nx,q,\nx,Total,2\ny,p,\ny,q,\ny,Total,10\nTotal,p,2\nTotal,q,10\nTotal,Total,12\n"
    assert oc.audit(raw, width=0).status == "pass"
    found = oc.audit(raw)
    assert found.status == "review"
    assert {f.rule for f in found.findings} == {"narrow"}
    zeros = b"a,b,value\nx,p,\nx,q,\nx,Total,0\ny,p,\ny,q,\ny,Total,10\nTotal,p,5\nTotal,q,5\nTotal,Total,10\n"
    assert oc.audit(zeros).to_dict()["recoverable"] == 4  # non-negativity alone tells
    assert oc.audit(zeros, intervals=False).status == "pass"


def test_a_lone_contributor_gets_a_third_gap():
    values = np.array([[1, 2, 30, 40], [50, 60, 70, 80], [55, 65, 75, 85]])
    report = oc.check({"rows": ["a"], "columns": ["b"], "margins": True}, records_of(values))
    table = report.suppress(totals="keep")
    first = [
        v for c, v in zip(report.cells, table.values(), strict=True) if c.row["a"] == "r0" and c.column["b"] != "Total"
    ]
    assert first.count(None) >= 3


def test_what_cannot_be_protected_is_not_handed_over():
    data = pd.DataFrame({"a": ["x"] * 3, "b": ["p"] * 3})
    report = oc.check({"rows": ["a"], "columns": ["b"], "margins": True}, data)
    table = report.suppress(totals="keep")
    assert set(table.values()) == {None}
    with pytest.raises(oc.BadInput):
        oc.check({"rows": ["a"], "columns": ["b"], "statistic": "percent"}, data).suppress(totals="keep")


WIDE_TOTALS = [
    ({"rows": ["a", "b"], "margins": True}, b"a,b,value\nx,p,\nx,q,20\ny,p,30\ny,q,40\nTotal,Total,95\n"),
    (
        {"rows": ["a"], "columns": ["b", "c"], "margins": True},
        b"a,b,c,value\nx,p,1,\nx,p,2,20\nx,q,1,20\nx,q,2,20\nx,Total,Total,65\n",
    ),
]


@pytest.mark.parametrize(("spec", "raw"), WIDE_TOTALS)
def test_a_total_over_several_dimensions_at_once_gives_away_its_only_gap(spec, raw):
    """No total over one of them is shown, so that no line of one dimension ends in it."""
    assert oc.audit(raw).to_dict()["suppressed"][0]["most"] == 5
    sizes = {("x", "p", "1"): 2, ("x", "p", "2"): 2, ("x", "q", "1"): 12, ("x", "q", "2"): 13}
    rows = [labels for labels, n in sizes.items() for _ in range(n)]
    rows += [("y", b, c) for b in "pq" for c in "12" for _ in range(20)]
    data = pd.DataFrame(rows, columns=["a", "b", "c"])
    report = oc.check(spec, data, "eurostat-safe-centre")
    alone = [c.value for c in report.cells if c.status == "fail"]
    assert alone in ([4], [2, 2])
    table = report.suppress(totals="keep")
    assert int(table.suppressed.sum()) > len(alone)
    assert oc.audit(table.to_csv().encode()).status == "pass"
    shown = [{"labels": c.labels, "value": c.value} for c in report.cells if c.status != "fail"]
    if len(alone) == 1:
        assert "recoverable" in {
            f.rule for f in oc.compare_published(spec, data, shown, "eurostat-safe-centre").findings
        }
