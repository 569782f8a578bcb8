"""Small parts by themselves: grids and their marks, times, pages of lists, forms, the style sheet's completeness."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.web.test_accessibility import STATIC
from tre.errors import InvalidInput
from tre.outputs.views import FindingView
from tre.web import times
from tre.web.form import Form, parse
from tre.web.grid import Cell, places_of, table_of
from tre.web.page import link
from tre.web.paging import Part, links, part_of
from tre.web.proposal import rows_in_words
from tre.web.session import paths_of

LONG = (("sex", "region", "n"), ("F", "n", "30"), ("F", "s", "3"), ("M", "s", "55"))
WIDE = (("sex", "n", "s"), ("F", "30", "3"), ("M", "40", "55"))
BARE = (("", "n", "s"), ("F", "30", "3"), ("M", "40", "55"))
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
#: Classes of the components' markup that GOV.UK Frontend itself gives no rule, and the beginning of a composed name.
UNSTYLED = {"govuk-table__row", "govuk-table__head", "govuk-table__body", "govuk-checkboxes", "govuk-label--"}
TEMPLATES = STATIC.parent / "templates"


@pytest.mark.parametrize(
    ("grid", "cell", "places"),
    [
        (LONG, {"sex": "F", "region": "s"}, [(2, 2)]),
        (LONG, {"sex": "F"}, [(1, 1), (1, 2), (2, 1), (2, 2)]),
        (WIDE, {"sex": "F", "region": "s"}, [(1, 2)]),
        (BARE, {"sex": "F", "region": "s"}, [(1, 2)]),
        (LONG, {"line": "3", "column": "n"}, [(2, 2)]),
        (LONG, {"line": "0", "column": "n"}, []),
        (LONG, {"line": "-1", "column": "n"}, []),
        (LONG, {"line": "99", "column": "n"}, []),
        (LONG, {"line": "x", "column": "y"}, []),
        (LONG, {"sex": "Total", "region": "s"}, []),
        (WIDE, {"sex": "F", "region": "Total"}, []),
        (WIDE, {"a": "F", "b": "n", "c": "s"}, []),
        (LONG, {}, []),
    ],
)
def test_a_finding_is_placed_where_its_cell_stands_or_nowhere(grid, cell, places):
    assert places_of(grid, cell) == places


def finding(severity: str, rule: str) -> FindingView:
    return FindingView(rule, severity, "why", "remedy", {"sex": "F", "region": "s"})


def test_a_cell_shows_its_worst_finding_and_all_rules():
    table = table_of(LONG, [finding("note", "rounded"), finding("fail", "small_number"), finding("review", "rounded")])
    assert table.rows[1] == (Cell("F"), Cell("s"), Cell("3", "fail", "rounded, small number"))


def test_an_unknown_severity_counts_as_the_worst():
    assert table_of(LONG, [finding("note", "a"), finding("catastrophe", "b")]).rows[1][2].mark == "catastrophe"


def test_parts_of_a_table():
    table = table_of(LONG, [], start=1, most=1)
    assert ([cell.text for cell in table.rows[0]], table.total, table.more) == (["F", "s", "3"], 3, 1)
    assert table_of((), []).rows == ()


def test_changes_are_found_by_label_not_by_line():
    before = (("sex", "region", "n"), ("M", "s", "55"), ("F", "s", "4"), ("F", "n", "30"))
    rows = table_of(LONG, [], before=before).rows
    assert [[cell.before for cell in row] for row in rows] == [[None] * 3, [None, None, "4"], [None] * 3]
    new = table_of((*LONG, ("X", "n", "9")), [], before=before).rows[-1]
    assert [cell.before for cell in new] == ["", "", ""]


@pytest.mark.parametrize(
    ("delta", "words"),
    [
        (timedelta(seconds=20), "just now"),
        (timedelta(seconds=59), "in 59 seconds"),
        (timedelta(seconds=90), "in 2 minutes"),
        (timedelta(minutes=59, seconds=50), "in 1 hour"),
        (timedelta(hours=-2), "2 hours ago"),
        (timedelta(hours=-23, minutes=-50), "1 day ago"),
        (timedelta(days=-40), "1 month ago"),
        (timedelta(days=800), "in 2 years"),
    ],
)
def test_relative_times(delta: timedelta, words: str):
    assert times.relative(NOW + delta, NOW) == words


def test_how_long_something_lasts():
    assert times.lasting(NOW - timedelta(days=2), NOW) == "for 2 days"
    assert times.lasting(NOW + timedelta(days=2), NOW) == "for a moment"


def test_moments_are_in_utc():
    assert times.moment(datetime.fromisoformat("2026-11-23T06:48:00+02:00")) == "23 November 2026, 04:48 UTC"


def test_pages_of_a_list():
    part = part_of(range(60), 2, 25)
    assert (part.rows[0], part.more) == (25, True)
    assert links(part, "/tre/x", state="a", q="") == {
        "previous": {"href": "/tre/x?state=a&page=1"},
        "next": {"href": "/tre/x?state=a&page=3"},
    }
    assert links(Part((), 1, False), "/tre/x") == {}
    assert part_of(range(3), -5).rows == range(3)
    assert part_of(range(3), 10**30).rows == range(0)


def test_links_are_one_segment_each_whatever_is_in_them():
    assert link("projects", "a/../b?c#d", q="x&y") == "/tre/projects/a%2F..%2Fb%3Fc%23d?q=x%26y"
    assert link() == "/tre/"


def test_forms_are_read_as_a_browser_sends_them():
    form = parse(b"a=1&a=2&b=x%0D%0Ay&c=")
    assert form == Form({"a": ("1", "2"), "b": ("x\ny",), "c": ("",)})
    assert (form.text("b"), form.text("none"), form.all("a")) == ("x\ny", "", ("1", "2"))
    with pytest.raises(InvalidInput, match="twice"):
        form.text("a")
    for question in (form.day, form.whole):
        with pytest.raises(InvalidInput) as refused:
            question("b")
        assert refused.value.field == "b"


def test_filters_in_words():
    age = {"column": "age", "op": ">=", "value": 18}
    either = {"any": [age, {"not": {"column": "sex", "op": "in", "value": ["F", "X"]}}]}
    assert rows_in_words(None) == "all rows"
    assert rows_in_words(either) == "(age is at least 18) or (not (sex in F, X))"
    assert rows_in_words({"column": "cost", "op": "is_missing"}) == "cost is missing"


def test_cookie_paths():
    assert paths_of("/tre/a/b") == ["/tre", "/tre/", "/tre/a", "/tre/a/", "/tre/a/b", "/tre/a/b/"]
    assert paths_of("/tre/") == ["/tre", "/tre/"]
    assert paths_of("/tre/x;y/z") == ["/tre", "/tre/"]


def test_every_class_in_the_templates_has_a_style():
    """The compiled style sheet holds what the pages use and nothing else: a new class means compiling it again."""
    known = set(re.findall(r"\.((?:govuk|tre)-[A-Za-z0-9_-]+)", "".join(p.read_text() for p in STATIC.glob("*.css"))))
    used: set[str] = set()
    for template in Path(TEMPLATES).glob("*.html"):
        for classes in re.findall(r'class(?:es)?"?[:=] ?"([^"{]*)"', template.read_text()):
            used |= {name for name in classes.split() if name.startswith(("govuk-", "tre-"))}
    assert used - known - UNSTYLED == set()


def test_the_compiled_style_sheet_carries_its_licence():
    sheet = (STATIC / "govuk.css").read_text()
    assert sheet.startswith((STATIC.parent / "styles" / "notice.css").read_text())
    assert len(sheet) < 60_000
