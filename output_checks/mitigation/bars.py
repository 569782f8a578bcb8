"""Bar charts of mitigated tables: drawn, written, read back and held against the table before they leave.

Decides what a bar chart shows (published cells only, in the table's order) and what its bytes must say: exactly
these bars, these words and nothing else. Leaves values to `mitigate`, reading to `svg` and `png`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from output_checks.errors import BadInput, Unsafe
from output_checks.mitigation.delivery import deliver
from output_checks.mitigation.readback import audited_csv
from output_checks.reading.png import read_png
from output_checks.reading.svg import NUMBER, Drawn, read_svg

if TYPE_CHECKING:
    import numpy as np

    from output_checks.mitigation.redacted import Redacted

COLOUR = (29, 112, 184)
MOST_BARS = 120
DPI = 150
PLAIN = {"svg.fonttype": "none", "svg.hashsalt": "output_checks"}
NOTHING = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None, "Format": None, "Type": None}}


@dataclass(frozen=True)
class Bars:
    """One bar per published cell of a mitigated table; none where the cell is suppressed.

    edges   of a histogram's bins (one more than bars); empty for categories, which are named by their labels
    """

    table: Redacted
    title: str
    edges: tuple[float, ...] = ()

    @property
    def heights(self) -> list[float | None]:
        """Height per bar in the table's order, None where suppressed; totals have no bar."""
        e = self.table.report.evidence
        inner = e.base[e.published].tolist()
        return [None if v is None else float(v) for v, bar in zip(self.table.values(), inner, strict=True) if bar]

    @property
    def names(self) -> list[str]:
        """Label per bar; empty for a histogram."""
        e = self.table.report.evidence
        rows = e.codes[e.base].tolist() if not self.edges else []
        return [" / ".join(a.text(c, e.spec.total) for a, c in zip(e.axes, row, strict=True)) for row in rows]

    def figure(self) -> Any:
        """A matplotlib figure of the published bars; its axis ends with the last of them."""
        from matplotlib.figure import Figure

        places, heights = self._places(), self.heights
        figure = Figure(figsize=(6, 4), dpi=DPI, layout="constrained")
        axes = figure.subplots()
        line = 0.5 if len(heights) <= 40 else 0.0
        shown = [(a, b, h) for (a, b), h in zip(places, heights, strict=True) if h]
        for start, stop, height in shown:
            axes.bar((start + stop) / 2, height, width=stop - start, color="#1d70b8", edgecolor="white", linewidth=line)
        if shown:
            axes.set_xlim(shown[0][0], shown[-1][1])
        if self.names:
            axes.set_xlim(-0.5, len(heights) - 0.5)
            axes.set_xticks(range(len(heights)), self.names, rotation=90 if len(heights) > 6 else 0)
        for label in (*axes.get_xticklabels(), axes.xaxis.label, axes.yaxis.label):
            label.set_parse_math(False)
        axes.set_xlabel(self.title, parse_math=False)
        axes.set_ylabel(self.table.report.spec.statistic, parse_math=False)
        axes.ticklabel_format(axis="y" if self.names else "both", style="plain", useOffset=False)
        return figure

    def png(self) -> bytes:
        """A bitmap without metadata, audited."""
        return self._encoded("png")

    def svg(self) -> bytes:
        """A plain SVG, audited."""
        return self._encoded("svg")

    def write(self, path: str | Path) -> Path:
        """Writes PNG or SVG by the path's ending. Raises Unsafe if its bytes say more than the table, or if the
        house blocks such files; nothing is written then.
        """
        target = Path(path)
        if target.suffix.lower() in self.table.report.profile.blocked_extensions:
            raise Unsafe(f"The house blocks {target.suffix} files.", remedy="Write a PNG.")
        return deliver(target, self._encoded(target.suffix.lower().removeprefix(".")))

    def audit(self, raw: bytes, kind: str) -> None:
        """Measures the bars in the bytes as a reader would. Raises Unsafe unless they are those of the table."""
        audited_csv(self.table)  # the table itself must pass
        wrong = self._drawn_wrong(read_svg(raw)) if kind == "svg" else self._painted_wrong(read_png(raw))
        if wrong:
            raise Unsafe(f"The written figure failed its audit: {wrong}", remedy="Draw the mitigated table only.")

    def _encoded(self, kind: str) -> bytes:
        import matplotlib as mpl

        if kind not in NOTHING:
            raise BadInput(f"{kind!r} is not known.", field="format", remedy="Use png or svg.")
        out = io.BytesIO()
        with mpl.rc_context(PLAIN):  # type: ignore[arg-type]
            self.figure().savefig(out, format=kind, dpi=DPI, metadata=NOTHING[kind])
        self.audit(out.getvalue(), kind)
        return out.getvalue()

    def _places(self) -> list[tuple[float, float]]:
        heights = self.heights
        if len(heights) > MOST_BARS or any(h is not None and h < 0 for h in heights):
            raise BadInput("has too many bars, or negative ones.", field="figure", remedy="Write the table instead.")
        if self.edges:
            return list(zip(self.edges, self.edges[1:], strict=False))
        return [(i - 0.4, i + 0.4) for i in range(len(heights))]

    def _drawn_wrong(self, drawn: Drawn) -> str:
        """What is in the SVG that should not be, in words; empty if it is the table."""
        want = [(a, b, h) for (a, b), h in zip(self._places(), self.heights, strict=True) if h]
        bars = sorted(drawn.bars, key=lambda bar: bar.start)
        near = 1e-4 * max([1.0, *(h for *_, h in want)])
        if drawn.markers or drawn.curves or len(bars) != len(want):
            return f"{len(bars)} bars, {drawn.markers} points and {len(drawn.curves)} curves for {len(want)} bars."
        for bar, (start, stop, height) in zip(bars, want, strict=True):
            side = 1e-4 * max(abs(start), abs(stop), stop - start)
            moved = bool(self.edges) and max(abs(bar.start - start), abs(bar.stop - stop)) > side
            if abs(bar.height - height) > near or moved:
                return f"a bar of {bar.height:.10g} instead of {height:.10g}."
        known = {" ".join(text.split()) for text in (*self.names, self.title, self.table.report.spec.statistic)}
        strange = [w for w in (*drawn.words, *drawn.ticks) if w and w not in known and not _is_tick(w, drawn)]
        return f"the words {strange[0][:40]!r}." if strange else ""

    def _painted_wrong(self, pixels: np.ndarray) -> str:
        """Counts painted pixels in the middle of every bar, and those outside all bars."""
        import numpy as np
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        figure = Bars.figure(self)
        FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
        place = figure.axes[0].transData.transform
        paint = (np.abs(pixels.astype(int) - COLOUR) <= 12).all(axis=2)
        if paint.shape != (round(figure.bbox.height), round(figure.bbox.width)):
            return "a picture of another size."
        outside = np.ones(paint.shape[1], dtype=bool)
        for (start, stop), height in zip(self._places(), self.heights, strict=True):
            if not height:
                continue
            (left, low), (right, high) = place((start, 0)), place((stop, height))
            outside[max(int(left) - 1, 0) : int(right) + 2] = False
            found = int(paint[:, int((left + right) / 2)].sum())
            if abs(found - (high - low)) > 3:
                return f"a bar of {found} pixels instead of {high - low:.0f}."
        return "paint outside the bars." if paint[:, outside].any() else ""


def _is_tick(word: str, drawn: Drawn) -> bool:
    return word in drawn.ticks and bool(NUMBER.fullmatch(word.replace("−", "-")))
