"""The same call on every kind of data gives the same answer, and pandas' own ways of asking are understood."""

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import output_checks as oc

RNG = np.random.default_rng(0)
N = 500
DATA = pd.DataFrame(
    {
        "r": RNG.choice(["a", "b", "c"], N, p=[0.6, 0.38, 0.02]),
        "y": RNG.choice([1, 2], N),
        "v": RNG.gamma(2, 50, N),
        "z": RNG.integers(0, 2, N),
    }
)


@pytest.fixture(params=["pandas", "polars", "lazy", "arrow", "parquet", "csv", "relation"])
def data(request, tmp_path):
    DATA.to_parquet(tmp_path / "d.parquet")
    DATA.to_csv(tmp_path / "d.csv", index=False)
    made = {
        "pandas": lambda: DATA, "polars": lambda: pl.from_pandas(DATA), "lazy": lambda: pl.from_pandas(DATA).lazy(),
        "arrow": lambda: pa.Table.from_pandas(DATA), "parquet": lambda: tmp_path / "d.parquet",
        "csv": lambda: str(tmp_path / "d.csv"), "relation": lambda: duckdb.connect().from_df(DATA),
    }  # fmt: skip
    return made[request.param]()


def test_every_kind_of_data_says_the_same(data):
    means = oc.pivot_table(data, "v", "r", "y", "mean", margins=True)
    wanted = DATA.pivot_table("v", "r", "y", "mean", margins=True)
    assert np.allclose(means.to_numpy(dtype=float), wanted.to_numpy())
    assert {f.rule for f in means.findings} >= {"threshold"}
    assert oc.groupby(data, "r")["v"].mean().to_numpy(dtype=float).ravel() == pytest.approx(DATA.groupby("r").v.mean())
    assert oc.hist(data, "v", bins=[0, 100, 200]).counts == [
        int((DATA.v < 100).sum()),
        int((DATA.v.between(100, 200)).sum()),
    ]
    assert oc.ols("v ~ y", data).params.to_numpy() == pytest.approx(oc.ols("v ~ y", DATA).params.to_numpy())
    assert oc.logit("z ~ v", data).verdict.status == "pass"


def test_what_is_no_table_is_refused():
    for ask in (lambda d: oc.hist(d, "v"), lambda d: oc.ols("v ~ y", d), lambda d: oc.pivot_table(d, "v", "r")):
        with pytest.raises(oc.Unreadable):
            ask(3)
        with pytest.raises(oc.Unreadable):
            ask("none.csv")


def test_series_of_any_kind_and_names_of_ones_own():
    frame = pl.from_pandas(DATA)
    wanted = pd.crosstab(DATA.r, DATA.y)
    for index, columns in ((frame["r"], frame["y"]), (DATA.r.to_numpy(), DATA.y.to_numpy())):
        assert (oc.crosstab(index, columns).to_numpy() == wanted.to_numpy()).all()
    assert oc.crosstab(DATA.r.to_numpy(), DATA.y.to_numpy()).index.name == "row_0"
    assert oc.crosstab(DATA.r, DATA.y, rownames=["place"]).index.name == "place"
    with pytest.raises(oc.BadInput, match="index"):
        oc.crosstab(DATA.r, DATA.y, rownames=["one", "two"])


def test_statistics_by_function_and_what_is_refused():
    assert oc.pivot_table(DATA, "v", "r", aggfunc=np.mean).equals(oc.pivot_table(DATA, "v", "r"))
    assert set(oc.groupby(DATA, "r").agg({"v": ["mean", "std"]})) == {"v_mean", "v_std"}
    for wrong in (["mean", "std"], lambda x: x.max(), 3):
        with pytest.raises(oc.BadInput, match="aggfunc"):
            oc.pivot_table(DATA, "v", "r", aggfunc=wrong)
    with pytest.raises(oc.BadInput, match="rowz"):
        oc.crosstab(DATA.r, rowz=1)
    with pytest.raises(AttributeError, match="agg"):
        oc.groupby(DATA, "r").first()
