"""Curves, ratios, concentration, tests, clusters, components and texts: safe, at the limit, unsafe."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import output_checks as oc
from output_checks.rules.ratios import implied_tables


def rules(verdict):
    return sorted({f.rule for f in verdict.findings if f.severity == "fail"})


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (lambda: oc.check_survival([100, 90, 80, 10]), []),
        (lambda: oc.check_survival([100, 91, 80]), ["survival_step"]),
        (lambda: oc.check_survival([100, 90, 9]), ["survival_tail"]),
        (lambda: oc.check_survival([100, 92, 84], profile="opensafely"), []),
        (lambda: oc.check_survival([100, 93, 84], profile="opensafely"), ["survival_step"]),
        (lambda: oc.check_ratio([[10, 10], [10, 10]]), []),
        (lambda: oc.check_ratio([[10, 9], [10, 10]]), ["threshold"]),
        (lambda: oc.check_concentration([1.0] * 10), []),
        (lambda: oc.check_concentration([1.0] * 9), ["threshold"]),
        (lambda: oc.check_concentration([1000.0] + [1.0] * 20), ["dominance_hhi"]),
        (lambda: oc.check_lorenz([10] * 10), []),
        (lambda: oc.check_lorenz([10, 9]), ["threshold"]),
        (lambda: oc.check_lorenz([10] * 10, top_share=0.9), ["dominance_nk"]),
        (lambda: oc.check_correlation(0.5, 12), []),
        (lambda: oc.check_correlation(0.5, 11), ["dof"]),
        (lambda: oc.check_correlation(-1.0, 100), ["perfect_fit"]),
        (lambda: oc.check_correlation(math.nan, 100), ["perfect_fit"]),
        (lambda: oc.check_test(10), []),
        (lambda: oc.check_test(9.9), ["dof"]),
        (lambda: oc.check_test(math.nan), ["dof"]),
        (lambda: oc.check_test(10, n=9), ["threshold"]),
        (lambda: oc.check_clusters([10, 30]), []),
        (lambda: oc.check_clusters([10, 9]), ["threshold"]),
        (lambda: oc.check_clusters([30, 30], centroids="medoids"), ["microdata"]),
        (lambda: oc.check_components(20, 10), []),
        (lambda: oc.check_components(19, 10), ["dof"]),
        (lambda: oc.check_components(100, 3, scores=True), ["microdata"]),
        (lambda: oc.check_text("Income is higher in the north."), []),
        (lambda: oc.check_text("We saw n = 9 and 30 patients."), ["threshold"]),
        (lambda: oc.check_text("We saw n = 10 and 30 patients."), []),
        (lambda: oc.check_text("There were three deaths."), ["threshold"]),
        (lambda: oc.check_text("Ask jo@example.org"), ["identifier"]),
        (lambda: oc.check_text("1,2,3.5\n" * 5), ["microdata"]),
        (lambda: oc.check_text(b"\xff\xfe\x00"), ["unreadable"]),
    ],
)
def test_each_kind(verdict, expected):
    assert rules(verdict()) == expected


def test_numbers_in_a_text_are_for_review():
    assert oc.check_text("The coefficient is 0.35.").status == "review"


@pytest.mark.parametrize(
    "call",
    [
        lambda: oc.check_test("50"),
        lambda: oc.check_test(None),
        lambda: oc.check_test(50, n=math.nan),
        lambda: oc.check_test(50, n="600"[:0]),
        lambda: oc.check_lorenz([60] * 10, top_share=math.nan),
        lambda: oc.check_lorenz([60] * 10, top_share=None),
    ],
)
def test_what_is_not_known_is_no_pass(call):
    with pytest.raises(oc.BadInput):
        call()


def test_counts_of_a_figure_that_are_no_numbers_block():
    for counts in ([None, 40], ["many"], [[40], [None]]):
        assert rules(oc.check_figure({"kind": "bars", "values": [1, 2], "counts": counts})) == ["unreadable"]


@pytest.mark.parametrize("bad", [[], ["x"], [math.inf], None])
def test_what_is_no_number_is_refused(bad):
    with pytest.raises(oc.BadInput):
        oc.check_survival(bad)
    with pytest.raises(oc.BadInput):
        oc.check_clusters(bad)


@given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=120))
def test_a_coarse_survival_curve_passes_and_lies_on_the_true_one(pairs):
    durations, observed = zip(*pairs, strict=True)
    steps = oc.coarse_survival(durations, observed)
    assert oc.check_survival([at_risk for _, _, at_risk in steps]).status == "pass" or len(steps) == 1
    for time, survival, at_risk in steps[1:]:
        true = 1.0
        for moment in sorted({t for t, _ in pairs if t <= time}):
            risk = sum(t >= moment for t, _ in pairs)
            true *= 1 - sum(t == moment and e for t, e in pairs) / risk
        assert survival == pytest.approx(true)
        assert at_risk == sum(t > time for t, _ in pairs)


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from(["odds", "risk"]), st.data())
def test_the_true_table_is_among_the_implied_ones(exposed, unexposed, kind, data):
    a, c = data.draw(st.integers(0, exposed)), data.draw(st.integers(1, unexposed))
    b, d = exposed - a, unexposed - c
    bottom = b * c if kind == "odds" else c * exposed
    if not bottom:
        return
    ratio = (a * d if kind == "odds" else a * unexposed) / bottom
    tables = implied_tables(f"{ratio:.3f}", exposed, unexposed, kind=kind)
    assert (a, b, c, d) in tables
    verdict = oc.check_implied(f"{ratio:.3f}", exposed, unexposed, kind=kind)
    assert (verdict.status == "fail") == all(min(table) < 10 for table in tables)


def test_hhi_bounds_the_top_share():
    rng = np.random.default_rng(0)
    for _ in range(50):
        x = rng.gamma(0.3, 10, 30)
        hhi = oc.check_concentration(x).evidence["hhi"]
        assert hhi <= x.max() / x.sum() <= math.sqrt(hhi) + 1e-12


def wald(a, b, c, d, kind):
    ratio = a * d / (b * c) if kind == "odds" else a * (c + d) / (c * (a + b))
    error = math.sqrt(1 / a + 1 / c + (1 / b + 1 / d if kind == "odds" else -1 / (a + b) - 1 / (c + d)))
    low, high = ratio * math.exp(-1.959964 * error), ratio * math.exp(1.959964 * error)
    return f"{ratio:.3f}", (f"{low:.3f}", f"{high:.3f}")


@given(st.tuples(*[st.integers(1, 40)] * 4), st.sampled_from(["odds", "risk"]))
def test_a_confidence_interval_tells_the_table(table, kind):
    a, b, c, d = table
    ratio, interval = wald(a, b, c, d, kind)
    found = implied_tables(ratio, a + b, c + d, kind=kind, interval=interval)
    assert table in found
    assert set(found) <= set(implied_tables(ratio, a + b, c + d, kind=kind))
    if max(table) <= 12:
        assert table in implied_tables(ratio, total=sum(table), kind=kind, interval=interval)


def test_an_interval_can_be_more_than_a_ratio_bears():
    ratio, interval = wald(30, 70, 4, 96, "odds")
    assert oc.check_implied(f"{float(ratio):.0f}", 100, 100).status == "pass"
    assert rules(oc.check_implied(ratio, 100, 100, interval=interval)) == ["implied_table"]
    assert implied_tables(ratio, 100, 100, interval=interval) == [(30, 70, 4, 96), (96, 4, 70, 30)]
    safe, around = wald(60, 70, 40, 96, "odds")
    assert oc.check_implied(safe, 130, 136, interval=around).status == "pass"
    for wrong in ({}, {"total": 100_000}, {"exposed": 3, "unexposed": 3, "kind": "hazard"}):
        with pytest.raises(oc.BadInput):
            oc.check_implied("2.0", **wrong)
    with pytest.raises(oc.BadInput, match="ratio"):
        oc.check_implied("about two", 30, 30)


AT_RISK = [200, 170, 140, 100]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, []),
        ({"events": [15, 18, 20, 12]}, []),
        ({"events": [15, 18, 20, 9]}, ["survival_count"]),
        ({"events": [15, 27, 20, 12]}, ["survival_count"]),  # 30 leave, so 3 withdrew
        ({"withdrawn": [15, 28, 20, 12]}, ["survival_count"]),  # so 2 had the event
        ({"events": [30, 30, 40, 12], "withdrawn": [0, 0, 0, 0]}, []),
        ({"survival": [0.9, 0.8, 0.7, 0.6]}, []),
        ({"survival": [0.9, 0.88, 0.75, 0.6]}, ["survival_count"]),  # 200 × 0.1, 170 × 0.022
        ({"hazard": [0.1, 0.12, 0.1, 0.03]}, ["survival_count"]),
    ],
)
def test_life_tables_by_what_their_columns_imply(columns, expected):
    assert rules(oc.check_life_table(AT_RISK, **columns)) == expected


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=8))
def test_events_of_a_life_table_come_out_of_its_survival(leaving):
    """Kaplan-Meier from the true columns: the implied events are the true ones."""
    from output_checks.rules.survival import _implied_events

    left, n, s, survival = 600, [], 1.0, []
    for events, withdrawn in leaving:
        n.append(left)
        s *= 1 - events / left
        survival.append(s)
        left -= events + withdrawn
    implied = _implied_events([float(x) for x in n], {"survival": survival}, 1.0)
    assert implied == pytest.approx([e for e, _ in leaving], abs=1e-6)


def test_a_life_table_with_columns_of_other_length_is_refused():
    with pytest.raises(oc.BadInput, match="events"):
        oc.check_life_table([30, 10], events=[10])
