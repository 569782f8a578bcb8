"""Other formats: suppressed, written, read back; what could hide more than the table is refused."""

import io
import zipfile

import openpyxl
import pandas as pd
import pytest

import output_checks as oc
from output_checks.mitigation.encoding import encode
from output_checks.reading.formats import KINDS, decode
from tests.output_checks.conftest import LONG
from tests.output_checks.test_mitigated import DIMENSIONS, data_for

STATISTICS = ["count", "mean", "row_percent", "mode"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dimension", sorted(DIMENSIONS) if LONG else ["boolean", "float", "text"])
@pytest.mark.parametrize("statistic", STATISTICS)
def test_every_format_reads_back_as_written(tmp_path, kind, dimension, statistic):
    spec = {"rows": ["d"], "columns": ["g"], "statistic": statistic, "margins": True, "missing": "keep"}
    if not statistic.endswith("percent"):
        spec["values"] = "v"
    report = oc.check(spec, data_for(dimension, "keep"))
    safe = report.suppress()
    for layout in ("long", "wide"):
        path = safe.write(tmp_path / f"t-{layout}.{kind}", layout=layout)
        cells = decode(path.read_bytes(), kind).cells(safe.report.spec)
        assert len(cells) == len(report.cells)
        hidden = sum(value is None for value in safe.values())
        assert hidden > 0
        assert sum(cell.value is None and cell.text == "" for cell in cells) == hidden


def small():
    data = pd.DataFrame({"a": ["x"] * 40 + ["=1+1"] * 33, "b": ["p"] * 36 + ["q"] * 4 + ["p"] * 15 + ["q"] * 18})
    return oc.check({"rows": ["a"], "columns": ["b"]}, data).suppress()


def changed(raw, change):
    book = openpyxl.load_workbook(io.BytesIO(raw))
    change(book)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def comment(book):
    book.active["A1"].comment = openpyxl.comments.Comment("4 people", "me")


def formula(book):
    book.active["C2"].value = "=4"


def hide(book):
    book.active.row_dimensions[2].hidden = True


def second(book):
    book.create_sheet("raw").sheet_state = "hidden"


@pytest.mark.parametrize("change", [comment, formula, hide, second])
def test_a_workbook_that_hides_something_is_refused(change):
    raw = encode(small(), "xlsx")
    assert decode(raw, "xlsx").grid[1][0] == "=1+1"
    with pytest.raises(oc.Unreadable):
        decode(changed(raw, change), "xlsx")


def test_parts_of_a_workbook_that_no_table_needs_are_refused():
    raw = encode(small(), "xlsx")
    out = io.BytesIO(raw)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("xl/media/raw.csv", "x,q,4")
    with pytest.raises(oc.Unreadable):
        decode(out.getvalue(), "xlsx")


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("html", b"</table>", b"</table><script>4</script>"),
        ("html", b"</table>", b"</table><!-- x q 4 -->"),
        ("html", b"<td></td>", b'<td title="4"></td>'),
        ("html", b"</table>", b"</table>4"),
        ("tex", b" \\\\\n\\end", b" \\\\ % x q 4\n\\end"),
        ("tex", b" & ", b" & \\phantom{4}"),
    ],
)
def test_text_formats_that_hide_something_are_refused(kind, old, new):
    raw = encode(small(), kind)
    assert old in raw
    with pytest.raises(oc.Unreadable):
        decode(raw.replace(old, new, 1), kind)


def test_parquet_that_carries_metadata_is_refused():
    table = pd.DataFrame({"a": ["x"], "value": [40]})
    out = io.BytesIO()
    table.to_parquet(out)
    with pytest.raises(oc.Unreadable, match="metadata"):
        decode(out.getvalue(), "parquet")


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(oc.BadInput):
        small().write(tmp_path / "t.docx")
    with pytest.raises(oc.Unreadable):
        decode(b"", "docx")
    assert list(tmp_path.iterdir()) == []
