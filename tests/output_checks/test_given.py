"""The caller's own layout survives: order of rows and columns, categories, names, types and display formats."""

import csv
import io

import numpy as np
import openpyxl
import pandas as pd
import pytest

import output_checks as oc
from output_checks.reading.formats import decode

RNG = np.random.default_rng(5)
N = 900
DATA = pd.DataFrame(
    {
        "region": pd.Categorical(
            RNG.choice(["south", "north", "west"], N, p=[0.6, 0.39, 0.01]), ["west", "south", "north"]
        ),
        "year": RNG.choice([2021, 2020], N),
        "code": RNG.choice(["007", "7", "08"], N),
        "income": RNG.gamma(2, 1000, N),
        "day": pd.to_datetime(RNG.choice(["2021-05-05", "2020-01-31"], N)),
    }
)


def counts(**more):
    return oc.crosstab(DATA.region, DATA.year, **more)


def test_a_mitigated_table_is_laid_out_as_the_checked_one():
    for table in (
        counts(margins=True),
        oc.crosstab([DATA.year, DATA.region], DATA.code),
        oc.pivot_table(DATA, "income", ["day"], ["year"], "median"),
        oc.groupby(DATA, ["region", "day"]).agg({"income": "sum"}),
    ):
        wide = table.suppress().wide()
        pd.testing.assert_index_equal(wide.index, table.index)
        pd.testing.assert_index_equal(wide.columns, table.columns)
        assert wide.isna().to_numpy().sum() == sum(v is None for v in table.suppress().values())
    assert counts().index.tolist() == pd.crosstab(DATA.region, DATA.year).index.tolist() == ["west", "south", "north"]
    assert counts(margins=True).index.categories.tolist() == ["west", "south", "north", "All"]
    assert [str(dtype) for dtype in counts().suppress().wide().dtypes] == ["Int64", "Int64"]


def test_order_names_and_types_of_the_callers_frame_survive():
    table = counts(margins=True)
    safe = table.suppress()
    mine = pd.DataFrame(table).loc[["north", "west", "south", "All"], ["All", 2021, 2020]]
    same = safe.like(mine)
    pd.testing.assert_index_equal(same.index, mine.index)
    pd.testing.assert_index_equal(same.columns, mine.columns)
    assert same.loc["west"].isna().all()  # its total is of nothing that is shown
    assert same.loc["north", 2020] == table.loc["north", 2020]
    grid = list(csv.reader(io.StringIO(safe.to_csv(like=mine))))
    assert [row[0] for row in grid] == ["region", "north", "west", "south", "All"]
    assert grid[0] == ["region", "All", "2021", "2020"]
    only = safe.to_csv(like=pd.DataFrame(table).loc[["south"], [2020]])
    assert only.splitlines() == ["region,2020", f"south,{table.loc['south', 2020]}"]


@pytest.mark.parametrize("kind", ["csv", "xlsx", "html", "tex"])
def test_display_formats_survive_in_every_format(kind, tmp_path):
    table = oc.crosstab(DATA.region, DATA.year, values=DATA.income, aggfunc="mean")
    styled = pd.DataFrame(table)[[2021, 2020]].style.format({2021: "{:,.1f}", 2020: "{:.2f}"})
    path = table.suppress().write(tmp_path / f"t.{kind}", like=styled)
    grid = decode(path.read_bytes(), kind).grid
    assert [row[0] for row in grid[1:]] == ["west", "south", "north"]
    assert grid[1][1:] == ("", "")
    if kind == "xlsx":
        sheet = openpyxl.load_workbook(path).active
        assert (sheet["B3"].number_format, sheet["C3"].number_format) == ("#,##0.0", "0.00")
        assert float(grid[2][1]) == round(table.loc["south", 2021], 1)
    else:
        assert grid[2][1:] == (f"{table.loc['south', 2021]:,.1f}", f"{table.loc['south', 2020]:.2f}")


def test_percentages_keep_their_sign(tmp_path):
    table = oc.crosstab(DATA.region, DATA.year, normalize="columns")
    path = table.suppress().write(tmp_path / "t.xlsx", like=pd.DataFrame(table).style.format("{:.1f}%"))
    assert openpyxl.load_workbook(path).active["B3"].number_format == '0.0"%"'


def test_a_label_that_looks_like_a_number_stays_as_it_is(tmp_path):
    table = oc.crosstab(DATA.code, DATA.year).suppress()
    for kind in ("xlsx", "parquet", "csv"):
        grid = decode(table.write(tmp_path / f"t.{kind}", layout="wide").read_bytes(), kind).grid
        assert [row[0] for row in grid[1:]] == ["007", "08", "7"]


def test_a_parquet_file_has_numbers_in_every_column(tmp_path):
    path = oc.crosstab(DATA.code, DATA.year).suppress().write(tmp_path / "t.parquet", layout="wide")
    assert [str(dtype) for dtype in pd.read_parquet(path).dtypes[1:]] == ["int64", "int64"]


def test_a_frame_that_is_not_the_table_is_refused():
    table = counts()
    safe, plain = table.suppress(), pd.DataFrame(table)
    for wrong in (
        plain + 1,
        plain.T,
        plain.rename_axis("place"),
        plain.rename(index={"south": "moon"}),
        pd.concat([plain, plain]),
        plain.astype(float).style.format("{:.1f}").data * 1.01,
        "a table",
    ):
        with pytest.raises(oc.BadInput, match="like"):
            safe.to_csv(like=wrong)


def test_colours_and_notes_of_a_styler_do_not_leave(tmp_path):
    """A gradient over the true values would show them; only formats are taken."""
    table = counts()
    styled = pd.DataFrame(table).style.background_gradient().set_caption("west is 3").format("{:d}")
    text = table.suppress().write(tmp_path / "t.html", like=styled).read_text()
    assert "color" not in text
    assert "west is" not in text
