"""The notebook's face: the same numbers as pandas and statsmodels, with verdicts attached."""

import json

import matplotlib

matplotlib.use("agg")

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

import output_checks as oc

RNG = np.random.default_rng(5)
N = 600
DATA = pd.DataFrame(
    {
        "region": RNG.choice(["north", "south", "west"], N, p=[0.6, 0.39, 0.01]),
        "year": RNG.choice([2020, 2021], N),
        "sex": pd.Categorical(RNG.choice(["f", "m"], N)),
        "income": RNG.gamma(2, 100, N).round(2),
        "age": RNG.normal(45, 12, N),
        "sick": RNG.integers(0, 2, N),
        "person": RNG.integers(0, 300, N),
    }
)


def same(ours, theirs):
    pd.testing.assert_frame_equal(
        pd.DataFrame(ours), pd.DataFrame(theirs), check_dtype=False, check_index_type=False, check_column_type=False,
        check_names=False, check_categorical=False,
    )  # fmt: skip


def test_tables_hold_the_numbers_of_pandas():
    same(oc.crosstab(DATA.region, DATA.year), pd.crosstab(DATA.region, DATA.year))
    same(oc.crosstab("region", "year", data=DATA, margins=True), pd.crosstab(DATA.region, DATA.year, margins=True))
    same(oc.crosstab([DATA.region, DATA.sex], DATA.year), pd.crosstab([DATA.region, DATA.sex], DATA.year))
    same(
        oc.crosstab(DATA.region, DATA.year, normalize="index"),
        100 * pd.crosstab(DATA.region, DATA.year, normalize="index"),
    )
    same(
        oc.pivot_table(DATA, "income", "region", "year", "mean", margins=True),
        DATA.pivot_table("income", "region", "year", "mean", margins=True),
    )
    same(oc.groupby(DATA, ["region"]).agg({"income": "median"}), DATA.groupby("region")[["income"]].median())
    for shape in ("skew", "kurt"):
        theirs = DATA.groupby("year").income.agg(pd.Series.skew if shape == "skew" else pd.Series.kurt)
        ours = oc.groupby(DATA, "year").agg({"income": shape})
        assert ours.income.tolist() == pytest.approx(theirs.tolist())
    several = oc.groupby(DATA, "region").agg({"income": ["sum", "std"], "age": "mean"})
    assert list(several) == ["income_sum", "income_std", "age_mean"]
    same(oc.groupby(DATA, "region").size(), DATA.groupby("region").size().to_frame("count"))


def test_a_checked_table_is_an_ordinary_frame():
    table = oc.crosstab(DATA.region, DATA.year, unit=DATA.person)
    assert isinstance(table, pd.DataFrame)
    assert table.status == "fail"
    assert table.report.spec.unit == "person"
    assert {f.rule for f in table.findings} == {"threshold"}
    assert type(table + 1) is pd.DataFrame
    assert not hasattr(table.T, "findings")
    assert table.suppress().to_csv().count(",\n") >= 2
    assert table.round(5).values()[0] % 5 == 0


def test_the_view_marks_unsafe_cells_with_reasons_on_hover_and_as_text():
    data = DATA.assign(region=DATA.region.replace("west", "<b>west</b>"))
    html = oc.crosstab(data.region, data.year)._repr_html_()
    assert 'title="Only ' in html
    assert "✗ " in html
    assert html.count("Only") >= 4  # hover and text
    assert "<b>west" not in html
    assert "not for release as it is" in html


def test_arguments_that_make_no_sense():
    with pytest.raises(oc.BadInput, match="index"):
        oc.crosstab("region", "year")
    with pytest.raises(oc.BadInput, match="aggfunc"):
        oc.crosstab(DATA.region, DATA.year, values=DATA.income)
    with pytest.raises(oc.BadInput, match="normalize"):
        oc.crosstab(DATA.region, DATA.year, normalize="rows")
    with pytest.raises(oc.BadInput, match="statistic"):
        oc.pivot_table(DATA, "income", "region", aggfunc="hmean")


def test_models_are_those_of_statsmodels():
    ours, theirs = oc.ols("income ~ age + C(sex)", DATA), smf.ols("income ~ age + C(sex)", DATA).fit()
    assert ours.params.tolist() == theirs.params.tolist()
    assert ours.verdict.status == "pass"
    assert oc.logit("sick ~ age", DATA).verdict.status == "pass"
    assert oc.probit("sick ~ age", DATA).verdict.kind == "probit"
    assert oc.poisson("sick ~ age", DATA).verdict.status == "pass"


def rules(verdict):
    return {f.rule for f in verdict.findings if f.severity == "fail"}


@pytest.mark.parametrize(("n", "unsafe"), [(11, True), (12, False), (13, False)])
def test_degrees_of_freedom_of_a_model_at_their_limit(n, unsafe):
    verdict = oc.ols("income ~ age", DATA.head(n)).verdict
    assert ("dof" in rules(verdict)) == unsafe


def test_models_that_describe_single_people():
    assert "dummy" in rules(oc.ols("income ~ age + C(region)", DATA).verdict)
    lone = DATA.assign(me=(DATA.index == 7).astype(int))
    assert {"dummy", "single_unit"} <= rules(oc.ols("income ~ age + me", lone).verdict)
    few = DATA.head(5)
    assert {"saturated", "perfect_fit", "dof", "threshold"} <= rules(oc.ols("income ~ C(person)", few).verdict)
    exact = DATA.assign(y=3 * DATA.age + 1)
    assert rules(oc.ols("y ~ age", exact).verdict) == {"perfect_fit"}
    assert "means_table" in rules(oc.ols("income ~ C(region)", DATA).verdict)
    one_person = DATA.assign(person=1)
    assert "threshold" in rules(oc.ols("income ~ age", one_person, unit="person").verdict)


def test_models_of_other_libraries_need_their_data():
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit(DATA[["age", "year"]], DATA.income)
    assert rules(oc.check_model(model)) == {"unreadable"}
    assert oc.check_model(model, x=DATA[["age", "year"]], y=DATA.income).status == "pass"
    assert rules(oc.check_model(model, x=DATA[["region"]], y=DATA.income)) == {"unreadable"}


def test_figures_by_the_data_they_hold():
    figure, axes = plt.subplots()
    axes.hist(DATA.age, bins=[20, 40, 60])
    assert oc.check_figure(figure).status == "pass"
    axes.hist(DATA.age, bins=40)
    assert rules(oc.check_figure(figure)) == {"threshold"}
    for draw in ("scatter", "plot"):
        figure, axes = plt.subplots()
        axes.scatter(DATA.age, DATA.income) if draw == "scatter" else axes.plot(DATA.age, DATA.income, "o")
        assert rules(oc.check_figure(figure)) == {"microdata"}
    figure, axes = plt.subplots()
    axes.boxplot(DATA.income, showfliers=True)
    assert "microdata" in rules(oc.check_figure(figure)) or oc.check_figure(figure).status == "review"
    assert oc.check_figure(Figure()).status == "fail"
    assert oc.check_figure([{"kind": "spiral", "values": [1]}]).status == "fail"
    assert oc.check_figure({"kind": "bars", "values": [1.5, 2.5], "counts": [10, 9]}).status == "fail"
    assert oc.check_figure({"kind": "bars", "values": [1.5, 2.5], "counts": [10, 11]}).status == "pass"
    plt.close("all")


def test_a_session_asks_what_a_checker_will_ask(tmp_path):
    session = oc.Session("Income by region", profile="opensafely")
    table = oc.crosstab(DATA.region, DATA.year, profile="opensafely")
    session.add(table)
    assert {q.rule for q in session.questions()} == {"title", "context", "unsafe", "unrounded"}
    with pytest.raises(oc.Unsafe):
        session.write(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    session.remove("output-1")
    context = "Counts of records by region and year, small counts redacted, then rounded to five."
    session.add(table.round(5), title="Records by region and year", context=context)
    assert session.questions() == []
    session.add(oc.ols("income ~ age", DATA).verdict, title="Income on age", context=context)
    assert [q.rule for q in session.questions()] == ["no_counts"]
    folder = session.write(tmp_path / "out")
    body = json.loads((folder / "outputs.json").read_text())
    spec, (name,) = body["items"][0]["spec"], body["items"][0]["files"]
    assert oc.compare_published(spec, DATA, folder / name, "opensafely").status == "pass"


def test_survival_and_mixed_models():
    from lifelines import CoxPHFitter

    data = pd.DataFrame({"age": DATA.age, "time": DATA.income, "event": DATA.sick})
    model = CoxPHFitter().fit(data, "time", "event")
    assert oc.check_model(model, x=data[["age"]]).status == "pass"
    rare = data.assign(event=(data.index < 9).astype(int))
    assert "events" in rules(oc.check_model(CoxPHFitter().fit(rare, "time", "event"), x=rare[["age"]]))


@pytest.mark.parametrize(
    ("groups", "found"),
    [(2, {"random_dof"}), (10, {"random_dof"}), (11, set()), (30, set()), (100, {"random_effects"})],
)
def test_the_random_part_of_a_mixed_model(groups, found):
    of = np.arange(N) % groups
    data = DATA.assign(place=of, income=DATA.income + RNG.normal(0, 80, groups)[of])
    verdict = oc.check_model(smf.mixedlm("income ~ age", data, groups="place").fit())
    assert {f.rule for f in verdict.findings} == found
    if groups == 30:
        units = np.zeros(N, dtype=int)
        assert "random_effects" in {f.rule for f in oc.check_model(
            smf.mixedlm("income ~ age", data, groups="place").fit(), unit=units).findings}  # fmt: skip
