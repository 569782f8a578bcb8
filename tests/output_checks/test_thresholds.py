"""Every threshold of every profile, one step below, exactly at and one step above its limit."""

import dataclasses
import tomllib

import numpy as np
import pandas as pd
import pytest

import output_checks as oc
from output_checks import appetites

PROFILES = sorted(oc.profiles())


def rules_of(spec, data, profile):
    """Rule ids that fail in the one cell of interest."""
    cells = oc.check(spec, data, profile).cells
    return set(cells[0].findings)


def groups(n, values=None):
    return pd.DataFrame({"a": ["x"] * n, "v": np.arange(n, dtype=float) + 100 if values is None else values})


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("step", [-1, 0, 1])
def test_minimum_count(name, step):
    limit = oc.profiles()[name].threshold
    n = int(limit.limit) + step
    unsafe = step < 0 or (step == 0 and not limit.safe_at_limit)
    assert ("threshold" in rules_of({"rows": ["a"]}, groups(n), name)) == unsafe
    unit = pd.concat([groups(n).assign(u=range(n)), groups(n).assign(u=range(n))])
    assert ("threshold" in rules_of({"rows": ["a"], "unit": "u"}, unit, name)) == unsafe


@pytest.mark.parametrize("name", [n for n in PROFILES if oc.profiles()[n].dof])
@pytest.mark.parametrize("step", [-1, 0, 1])
def test_degrees_of_freedom_of_a_deviation(name, step):
    limit = oc.profiles()[name].dof
    n = int(limit.limit) + 1 + step
    unsafe = step < 0 or (step == 0 and not limit.safe_at_limit)
    assert ("dof" in rules_of({"rows": ["a"], "values": "v", "statistic": "std"}, groups(n), name)) == unsafe


@pytest.mark.parametrize("name", [n for n in PROFILES if oc.profiles()[n].nk])
@pytest.mark.parametrize("step", [-1, 0, 1])
def test_nk_dominance(name, step):
    """n - largest contributors against exactly, a little less and a little more than the share k."""
    profile = oc.profiles()[name]
    for rule in profile.nk:
        alone = dataclasses.replace(profile, nk=(rule,), p=None)
        total, many = 10_000, 50
        top = rule.k * total + step
        rest = (total - top) / many
        values = [top / rule.n] * rule.n + [rest] * many
        unsafe = step > 0 or (step == 0 and not rule.safe_at_limit)
        spec = {"rows": ["a"], "values": "v", "statistic": "sum"}
        assert ("dominance_nk" in rules_of(spec, groups(rule.n + many, values), alone)) == unsafe


@pytest.mark.parametrize("name", [n for n in PROFILES if oc.profiles()[n].p])
@pytest.mark.parametrize("step", [-1, 0, 1])
def test_p_percent(name, step):
    limit = oc.profiles()[name].p
    first, second, many = 1000.0, 900.0, 50
    rest = limit.limit * first + step
    values = [first, second] + [rest / many] * many
    unsafe = step < 0 or (step == 0 and not limit.safe_at_limit)
    spec = {"rows": ["a"], "values": "v", "statistic": "mean", "parameters": {"nk_k": None}}
    assert ("dominance_p" in rules_of(spec, groups(many + 2, values), name)) == unsafe


@pytest.mark.parametrize("name", [n for n in PROFILES if oc.profiles()[n].class_share])
@pytest.mark.parametrize("step", [-1, 0, 1])
def test_class_share(name, step):
    limit = oc.profiles()[name].class_share
    n = int(limit.limit * 1000) + step
    data = pd.DataFrame({"a": ["p"] * 1000 + ["q"] * 1000, "b": ["x"] * n + ["y"] * (1000 - n) + ["x", "y"] * 500})
    unsafe = step > 0 or (step == 0 and not limit.safe_at_limit)
    assert ("class_share" in rules_of({"rows": ["a"], "columns": ["b"]}, data, name)) == unsafe


@pytest.mark.parametrize("name", [n for n in PROFILES if oc.profiles()[n].mode_share])
@pytest.mark.parametrize("step", [-1, 0, 1])
def test_mode_share(name, step):
    limit = oc.profiles()[name].mode_share
    n = int(limit.limit * 1000) + step
    values = [5.0] * n + [float(i) for i in range(10, 1010 - n)]
    unsafe = step > 0 or (step == 0 and not limit.safe_at_limit)
    assert (
        "mode_share" in rules_of({"rows": ["a"], "values": "v", "statistic": "mode"}, groups(1000, values), name)
    ) == unsafe


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("step", [-1, 0, 1])
def test_ties_at_an_extreme(name, step):
    limit = oc.profiles()[name].threshold
    ties = int(limit.limit) + step
    unsafe = step < 0 or (step == 0 and not limit.safe_at_limit)
    for statistic, end in (("max", 500.0), ("min", -500.0)):
        values = [end] * ties + [float(i) for i in range(40)]
        spec = {"rows": ["a"], "values": "v", "statistic": statistic}
        assert ("extreme" in rules_of(spec, groups(ties + 40, values), name)) == unsafe


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("step", [-1, 0, 1])
def test_records_on_each_side_of_a_quantile(name, step):
    limit = oc.profiles()[name].threshold
    side = int(limit.limit) + step
    spec = {"rows": ["a"], "values": "v", "statistic": "median"}
    unsafe = step < 0 or (step == 0 and not limit.safe_at_limit)
    assert ("side_count" in rules_of(spec, groups(2 * side + 1), name)) == unsafe


@pytest.mark.parametrize("name", PROFILES)
def test_empty_cells(name):
    data = pd.DataFrame({"a": ["p"] * 40 + ["q"] * 20, "b": ["x", "y"] * 20 + ["x"] * 20})
    cells = {tuple(c.labels.values()): c for c in oc.check({"rows": ["a"], "columns": ["b"]}, data, name).cells}
    assert ("zero" in cells["q", "y"].findings) == oc.profiles()[name].zeros_are_disclosive


@pytest.mark.parametrize("name", PROFILES)
def test_everybody_the_same(name):
    for statistic in ("sum", "mean", "std", "median", "quantile:0.9"):
        spec = {"rows": ["a"], "values": "v", "statistic": statistic}
        assert "all_same" in rules_of(spec, groups(100, [7.0] * 100), name)
        assert "all_same" not in rules_of(spec, groups(100, [7.0] * 99 + [8.0]), name)


@pytest.mark.parametrize("name", PROFILES)
def test_denominators_of_percentages(name):
    limit = oc.profiles()[name].threshold
    for step in (-1, 0, 1):
        n = int(limit.limit) + step
        data = pd.DataFrame({"a": ["p"] * n + ["q"] * 50, "b": ["x"] * n + ["x", "y"] * 25})
        spec = {"rows": ["a"], "columns": ["b"], "statistic": "row_percent"}
        unsafe = step < 0 or (step == 0 and not limit.safe_at_limit)
        assert ("denominator" in rules_of(spec, data, name)) == unsafe


def test_negative_contributions_are_judged_by_size():
    spec = {"rows": ["a"], "values": "v", "statistic": "sum"}
    values = [-1000.0] + [1.0] * 50
    assert {"dominance_nk", "dominance_p", "negatives"} <= rules_of(spec, groups(51, values), "sacro")
    report = oc.check(spec, groups(50, [-20.0, *[float(i) for i in range(10, 59)]]))
    assert report.status == "review"


def test_a_specification_may_tighten_and_the_house_may_forbid_to_loosen():
    data = groups(12)
    tighter = oc.check({"rows": ["a"], "parameters": {"threshold": 20}}, data)
    assert tighter.status == "fail"
    looser = {"rows": ["a"], "parameters": {"threshold": 5}}
    report = oc.check(looser, groups(7))
    assert report.status == "pass"
    assert [f.rule for f in report.findings] == ["parameter_loosened"]
    from output_checks.mitigation.report import check

    assert check(looser, groups(7), may_loosen=False).status == "fail"
    for parameters in ({"class_share": 0.99}, {"nk_k": None}, {"extreme": "off"}, {"zeros_are_disclosive": False}):
        profile = appetites.adapt(appetites.load("abs-datalab"), parameters, may_loosen=False)
        assert dataclasses.replace(profile, loosened=()) == appetites.load("abs-datalab")


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_say_explicitly_what_happens_at_the_limit(name):
    body = tomllib.loads((appetites.HERE / f"{name}.toml").read_text())
    assert body["id"] == name
    for key in appetites.LIMITS:
        assert key not in body or set(body[key]) == {"limit", "safe_at_limit"}


def test_a_profile_of_ones_own(tmp_path):
    path = tmp_path / "house.toml"
    path.write_text(
        'id="house"\nversion="3"\ntitle="Ours"\nsource="minutes"\nthreshold={limit=3, safe_at_limit=false}\n'
    )
    assert oc.check({"rows": ["a"]}, groups(3), path).status == "fail"
    assert oc.check({"rows": ["a"]}, groups(4), str(path)).status == "pass"
    path.write_text('id="house"\nversion="3"\ntitle="Ours"\nsource="minutes"\nthreshold={limit=3}\n')
    with pytest.raises(oc.BadInput, match="threshold"):
        oc.check({"rows": ["a"]}, groups(3), path)
    with pytest.raises(oc.BadInput, match="profile"):
        oc.check({"rows": ["a"]}, groups(3), "no-such-house")
