"""Figures that leave: what a reader can measure in their bytes is the mitigated table and nothing else."""

import io
import json
import struct
import zlib

import matplotlib

matplotlib.use("agg")

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

import output_checks as oc
from output_checks.mitigation.bars import NOTHING, PLAIN, Bars
from output_checks.reading.png import SIGNATURE, chunks, read_png
from output_checks.reading.svg import read_svg

RNG = np.random.default_rng(5)
DATA = pd.DataFrame({"age": RNG.normal(45, 12, 600), "region": RNG.choice(list("abc"), 600, p=[0.7, 0.29, 0.01])})


def rules(verdict):
    return {f.rule for f in verdict.findings if f.severity == "fail"}


def histogram(profile="opensafely"):
    return oc.hist(DATA, "age", bins=12, profile=profile)


def saved(figure, kind="svg", **options):
    out = io.BytesIO()
    with matplotlib.rc_context(PLAIN):
        figure.savefig(out, format=kind, metadata={**NOTHING[kind], **options})
    return out.getvalue()


def heights(raw):
    return [round(bar.height, 3) for bar in sorted(read_svg(raw).bars, key=lambda bar: bar.start)]


def test_bins_are_round_numbers_and_do_not_tell_extremes():
    report = histogram()
    assert report.counts == np.histogram(DATA.age, bins=report.edges)[0].tolist()
    assert all(float(f"{edge:.3g}") == edge for edge in report.edges)
    assert report.edges[0] < DATA.age.min() < DATA.age.max() < report.edges[-1]
    given = oc.hist(DATA, "age", bins=[float(DATA.age.min()), 40.0, 60.0])
    assert {f.rule for f in given.findings} >= {"extreme"} if hasattr(given, "findings") else given.status != "pass"


@pytest.mark.parametrize("how", ["suppress", "round", "midpoint"])
def test_the_counts_that_an_svg_holds_are_the_mitigated_ones(how):
    report = histogram()
    bars = getattr(report, how)()
    found = heights(bars.svg())
    assert found == [h for h in bars.heights if h]
    raw = [count for count in report.counts if count]
    assert found != raw
    if how == "suppress":
        assert min(found) > 7


@given(st.lists(st.integers(0, 60), min_size=1, max_size=12))
def test_bars_of_any_table_are_read_back(counts):
    data = pd.DataFrame({"g": [f"g{i:02d}" for i, n in enumerate(counts) for _ in range(n)]})
    if data.empty:
        return
    table = oc.check({"rows": ["g"], "margins": True}, data, "opensafely").suppress()
    bars = table.bars("groups & $more$")
    assert heights(bars.svg()) == [n for n in counts if n > 7]
    assert read_png(bars.png()).shape[2] == 3


def test_files_are_written_as_the_house_allows(tmp_path):
    assert histogram().suppress().write(tmp_path / "h.svg").stat().st_size > 0
    assert histogram("sacro").suppress().write(tmp_path / "h.png").read_bytes().startswith(SIGNATURE)
    with pytest.raises(oc.Unsafe, match="blocks"):
        histogram("sacro").suppress().write(tmp_path / "s.svg")
    with pytest.raises(oc.BadInput):
        histogram().suppress().write(tmp_path / "h.pdf")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["h.png", "h.svg"]


class Raw(Bars):
    """Someone draws the true counts."""

    def figure(self):
        figure = Figure(figsize=(6, 4), dpi=150, layout="constrained")
        axes = figure.subplots()
        counts = [cell.value for cell in self.table.report.cells]
        axes.bar([(a + b) / 2 for a, b in self._places()], counts, width=self.edges[1] - self.edges[0], color="#1d70b8")
        axes.set_xlabel(self.title)
        return figure


class Beyond(Bars):
    """Further bars beyond the axes: clipping hides them from the eye only."""

    def figure(self):
        figure = super().figure()
        axes = figure.axes[0]
        limits, top = axes.get_xlim(), axes.get_ylim()
        axes.bar([500], [3], width=5, color="#1d70b8")
        axes.set_xlim(limits)
        axes.set_ylim(top)
        return figure


class Labelled(Bars):
    """The true counts as words above the bars."""

    def figure(self):
        figure = super().figure()
        figure.axes[0].text(self.edges[0], 1, "3")
        return figure


class Behind(Bars):
    """A curve of the data behind the bars."""

    def figure(self):
        figure = super().figure()
        figure.axes[0].plot(sorted(DATA.age), range(len(DATA)), color="white", zorder=0)
        return figure


@pytest.mark.parametrize("kind", [Raw, Beyond, Labelled, Behind])
def test_a_figure_that_says_more_than_its_table_is_not_handed_over(kind, tmp_path):
    honest = histogram().suppress()
    with pytest.raises(oc.Unsafe, match="audit"):
        kind(honest.table, honest.title, honest.edges).write(tmp_path / "h.svg")
    if kind is Raw:
        with pytest.raises(oc.Unsafe, match="audit"):
            kind(honest.table, honest.title, honest.edges).write(tmp_path / "h.png")
    assert list(tmp_path.iterdir()) == []


def plain_svg():
    return histogram().suppress().svg().decode()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("</svg>", "<metadata>3 people</metadata></svg>"),
        ("</svg>", "<!-- bar 1: 3 --></svg>"),
        ("</svg>", "<script>3</script></svg>"),
        ("</svg>", "<title>3</title></svg>"),
        ("</svg>", "<desc>3</desc></svg>"),
        ("</svg>", '<image href="data:image/png;base64,AAAA"/></svg>'),
        ("</svg>", "3</svg>"),
        ("</svg>", "<?note 3?></svg>"),
        ('id="axes_1"', 'id="axes_1" data-counts="3"'),
        ('id="patch_3"', 'id="north-3-people"'),
        ('style="fill: #1d70b8', 'style="display: none; fill: #1d70b8'),
        ('style="fill: #1d70b8', 'style="opacity: 0; fill: #1d70b8'),
        ('style="fill: #1d70b8', 'style="fill: none; -note: three'),
        ("stroke-linecap: butt}", "stroke-linecap: butt} .n3{}"),
        ("<!DOCTYPE svg", '<!DOCTYPE svg [<!ENTITY n "3">]><!DOCTYPE svg'),
    ],
)
def test_an_svg_that_could_carry_more_is_refused(old, new):
    text = plain_svg()
    assert oc.check_figure(text.encode(), profile="opensafely").status == "pass"
    assert old in text
    assert rules(oc.check_figure(text.replace(old, new, 1).encode(), profile="opensafely")) == {"unreadable"}


def test_an_svg_is_judged_by_what_can_be_measured_in_it():
    figure = Figure()
    axes = figure.subplots()
    axes.hist(DATA.age, bins=40)
    assert rules(oc.check_figure(saved(figure))) == {"threshold"}
    for mark in ("o", "-"):
        figure = Figure()
        figure.subplots().plot(DATA.age[:50], DATA.age[50:100], mark)
        found = oc.check_figure(saved(figure))
        assert rules(found) == ({"microdata"} if mark == "o" else set())
        assert found.status != "pass"
    figure = Figure()
    figure.subplots().imshow(RNG.random((4, 4)))
    assert rules(oc.check_figure(saved(figure))) == {"unreadable"}
    assert rules(oc.check_figure(saved(figure, Title="three people"))) == {"unreadable"}
    assert rules(oc.check_figure(b"<svg")) == {"unreadable"}
    assert rules(oc.check_figure(b"%PDF-1.4")) == {"unreadable"}


def test_logarithmic_bars_are_not_read_as_linear_ones():
    figure = Figure()
    axes = figure.subplots()
    axes.bar([1, 2], [3, 4000])
    axes.set_yscale("log")
    assert oc.check_figure(saved(figure), profile="opensafely").status != "pass"


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(raw, kind, data):
    return raw[:-12] + chunk(kind, data) + raw[-12:]


def test_a_png_that_carries_more_than_its_picture_is_refused():
    raw = histogram().suppress().png()
    assert {kind for kind, _ in chunks(raw)} <= {b"IHDR", b"pHYs", b"IDAT", b"IEND"}
    assert oc.check_figure(raw).status == "review"
    lines = zlib.decompress(b"".join(data for kind, data in chunks(raw) if kind == b"IDAT"))
    head, dots, end = raw[:33], chunks(raw)[1], raw[-12:]
    assert dots[0] == b"pHYs"
    clear = np.zeros((4, 4, 4), dtype=np.uint8)
    clear[0, 0] = (3, 3, 3, 0)
    from PIL import Image

    transparent = io.BytesIO()
    Image.fromarray(clear).save(transparent, format="png")
    for spoilt in (
        with_chunk(raw, b"tEXt", b"Comment\0three people"),
        with_chunk(raw, b"iTXt", b"x\0\0\0\0\0three"),
        with_chunk(raw, b"zTXt", b"x\0\0" + zlib.compress(b"three")),
        with_chunk(raw, b"eXIf", b"thumbnail"),
        with_chunk(raw, b"iCCP", b"three\0\0"),
        with_chunk(raw, b"daTa", b"three"),
        with_chunk(raw, b"gAMA", b"three"),
        with_chunk(raw, b"IEND", b""),
        raw + b"three people",
        raw + raw,
        raw[:-5],
        raw.replace(b"IDAT", b"IDAX", 1),
        head + chunk(b"IDAT", zlib.compress(lines + lines[:100])) + end,
        head + chunk(b"IDAT", zlib.compress(lines) + b"three") + end,
        transparent.getvalue(),
        saved(histogram().suppress().figure(), "png", Title="three"),
    ):
        assert rules(oc.check_figure(spoilt)) == {"unreadable"}


def test_words_insets_and_additions_by_hand_are_seen():
    def drawn(add):
        figure = Figure()
        axes = figure.subplots()
        axes.bar([1, 2], [40, 50])
        add(figure, axes)
        return oc.check_figure(figure)

    assert drawn(lambda f, a: a.set_title("Records by group")).status == "pass"
    assert rules(drawn(lambda f, a: a.annotate("3", (1, 40)))) == {"threshold"}
    assert rules(drawn(lambda f, a: f.text(0, 0, "n = 3"))) == {"threshold"}
    assert rules(drawn(lambda f, a: a.bar_label(a.bar([3], [4])))) == {"threshold"}
    assert rules(drawn(lambda f, a: a.inset_axes([0.5, 0.5, 0.3, 0.3]).scatter([1], [2]))) == {"microdata"}
    assert rules(drawn(lambda f, a: a.table([["3"]]))) == {"unknown_artist"}
    line = matplotlib.lines.Line2D([0, 1], [3, 4])
    assert rules(drawn(lambda f, a: f.add_artist(line))) == {"unknown_artist"}


def test_a_session_writes_a_figure_with_its_table(tmp_path):
    session = oc.Session("Ages", profile="opensafely")
    session.add(
        histogram().round(5), title="Ages", context="Ages of everybody, small counts redacted, the others rounded."
    )
    assert session.questions() == []
    folder = session.write(tmp_path / "out")
    assert sorted(p.name for p in folder.iterdir()) == ["output-1.csv", "output-1.png", "outputs.json"]
    (item,) = json.loads((folder / "outputs.json").read_text())["items"]
    assert list(item["files"]) == ["output-1.csv"]  # the record is about the table; a picture has no cells to compare
