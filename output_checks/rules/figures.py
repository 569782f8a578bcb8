"""Figures by the data that they hold.

Decides whether what is drawn is microdata (points, outliers), small counts (bars of a histogram, numbers written
beside them) or something a checker must see the numbers behind. Reads matplotlib figures, the figure's data as plain
values, and written SVG and PNG. What is not known is blocked. Source: SDC Handbook on graphs, SACRO statbarns 1 and 5.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from output_checks.appetites import Profile, load
from output_checks.errors import Unreadable
from output_checks.rules.findings import Finding
from output_checks.rules.tables import below_limit
from output_checks.rules.verdict import Verdict

KINDS = ("histogram", "bars", "scatter", "residuals", "line", "density", "box", "image", "pie", "text", "unknown")
WHOLE = re.compile(r"\(?\s*\d{1,6}\s*\)?")


def check_figure(figure: Any, *, profile: str | Profile = "sacro") -> Verdict:
    """Judges a matplotlib figure (or axes), data as a list of {"kind": …, "values": …, "counts": …}, or the bytes or
    path of a written SVG or PNG.

    kind is one of histogram, bars, scatter, residuals, line, density, box, image, pie, text. `counts` are the records
    behind each value. An SVG is judged by the data that can be measured in it; a PNG without anything beside its
    picture is for review, because only eyes can read it. What cannot be read is a failing finding.
    Source: SACRO and SDC Handbook on graphs: by the data in them. Raises BadInput for an unknown profile.
    """
    house = load(profile)
    try:
        series = list(_series(figure))
    except Unreadable as problem:
        why = f"The file cannot be checked: {problem.message}"
        return Verdict("figure", (Finding("unreadable", "fail", why, problem.remedy),), house.id)
    findings = [finding for item in series for finding in _judge(item, house)]
    if not series:
        findings.append(Finding("unreadable", "fail", "Nothing in the figure can be checked.", "Give its data."))
    evidence = {"series": [{"kind": item["kind"], "points": len(item["values"])} for item in series]}
    return Verdict("figure", tuple(findings), house.id, evidence)


def _series(figure: Any) -> Iterator[dict[str, Any]]:
    """What the figure holds, as plain values."""
    if isinstance(figure, bytes | str | Path):
        yield from _written(figure)
        return
    if isinstance(figure, dict):
        figure = [figure]
    if isinstance(figure, list | tuple):
        for item in figure:
            known = isinstance(item, dict) and item.get("kind") in KINDS
            values = list(item.get("values", item.get("counts", ()))) if known else []
            yield {**item, "values": values} if known else {"kind": "unknown", "values": [], "what": repr(item)[:40]}
        return
    axes = getattr(figure, "axes", None)
    if hasattr(axes, "patches"):
        yield from _axes(axes)
        return
    for ax in list(axes or ()):
        yield from _axes(ax)
    if axes:
        yield from _beside(figure, [figure.patch, *axes])


def _written(figure: bytes | str | Path) -> Iterator[dict[str, Any]]:
    """What can be measured in a written figure. Raises Unreadable for anything that could carry more."""
    from output_checks.reading.png import SIGNATURE, read_png
    from output_checks.reading.svg import read_svg

    try:
        raw = figure if isinstance(figure, bytes) else Path(figure).read_bytes()
    except OSError as problem:
        raise Unreadable(f"no file ({problem.strerror}).", field="figure", remedy="Check the path.") from None
    if raw.startswith(SIGNATURE):
        yield {"kind": "image", "values": list(read_png(raw).shape[:2])}
        return
    drawn = read_svg(raw)
    bars = sorted(drawn.bars, key=lambda bar: bar.start)
    if bars:
        heights = [round(bar.height, 4) for bar in bars]
        touching = all(abs(a.stop - b.start) < 1e-3 * (a.stop - a.start) for a, b in itertools.pairwise(bars))
        yield {"kind": "histogram" if touching or _are_counts(heights) else "bars", "values": heights}
    if drawn.markers:
        yield {"kind": "scatter", "values": [0.0] * drawn.markers}
    for points in drawn.curves:
        yield {"kind": "line", "values": [0.0] * points}
    yield from _texts(drawn.words)


def _axes(ax: Any) -> Iterator[dict[str, Any]]:
    from matplotlib.container import BarContainer

    barred: set[int] = set()
    for container in ax.containers:
        if isinstance(container, BarContainer):
            barred.update(map(id, container.patches))
            yield _bars(container)
    for patch in ax.patches:
        if id(patch) not in barred:
            yield _patch(patch)
    for line in ax.lines:
        yield _line(line)
    for collection in ax.collections:
        yield _collection(collection)
    for image in ax.images:
        yield {"kind": "image", "values": _numbers(image.get_array())}
    known = [ax.patch, *ax.patches, *ax.lines, *ax.collections, *ax.images, *ax.spines.values(), ax.xaxis, ax.yaxis]
    yield from _beside(ax, known)


def _beside(artist: Any, known: list[Any]) -> Iterator[dict[str, Any]]:
    """Words, insets and whatever else was added by hand; what is not known is blocked."""
    seen = set(map(id, known))
    words = []
    for child in artist.get_children():
        if id(child) in seen or not child.get_visible():
            continue
        name = type(child).__name__
        if hasattr(child, "get_text") and hasattr(child, "get_rotation"):
            words.append(str(child.get_text()))
        elif name == "Legend":
            words += [str(text.get_text()) for text in child.get_texts()]
        elif hasattr(child, "containers"):
            yield from _axes(child)
        else:
            yield {"kind": "unknown", "values": [], "what": name}
    yield from _texts(words)


def _texts(words: list[str]) -> Iterator[dict[str, Any]]:
    for text in filter(str.strip, words):
        yield {"kind": "text", "values": [text]}


def _are_counts(values: list[float]) -> bool:
    return bool(values) and all(v == int(v) and v >= 0 for v in values if v == v)


def _bars(container: Any) -> dict[str, Any]:
    patches = container.patches
    horizontal = getattr(container, "orientation", "vertical") == "horizontal"
    values = [float(p.get_width() if horizontal else p.get_height()) for p in patches]
    starts = [float(p.get_y() if horizontal else p.get_x()) for p in patches]
    widths = [float(p.get_height() if horizontal else p.get_width()) for p in patches]
    touching = len(patches) > 1 and all(
        abs(a + w - b) <= 1e-6 * max(abs(w), 1e-12) for a, w, b in zip(starts, widths, starts[1:], strict=False)
    )
    return {"kind": "histogram" if touching or _are_counts(values) else "bars", "values": values}


def _patch(patch: Any) -> dict[str, Any]:
    name = type(patch).__name__
    if name == "Wedge":
        return {"kind": "pie", "values": [abs(patch.theta2 - patch.theta1) / 360]}
    if name == "PathPatch":
        return {"kind": "box", "values": _numbers(patch.get_path().vertices)}
    if name == "StepPatch":
        return {"kind": "histogram", "values": _numbers(patch.get_data().values)}
    if name == "Polygon":
        return {"kind": "histogram", "values": _numbers(patch.get_xy()[:, 1])}
    return {"kind": "unknown", "values": [], "what": name}


def _line(line: Any) -> dict[str, Any]:
    values = _numbers(line.get_ydata())
    points = line.get_linestyle() in ("None", "", " ") and line.get_marker() not in ("None", "", " ", None)
    return {"kind": "scatter" if points else "line", "values": values}


def _collection(collection: Any) -> dict[str, Any]:
    name = type(collection).__name__
    if name == "PathCollection":
        return {"kind": "scatter", "values": _numbers(collection.get_offsets())}
    if name in ("QuadMesh", "PolyQuadMesh"):
        return {"kind": "image", "values": _numbers(collection.get_array())}
    if name in ("FillBetweenPolyCollection", "PolyCollection"):
        return {"kind": "density", "values": [path.vertices.tolist() for path in collection.get_paths()]}
    return {"kind": "unknown", "values": [], "what": name}


def _numbers(values: Any) -> list[Any]:
    import numpy as np

    return np.ma.filled(np.ma.asarray(values).astype(float), float("nan")).tolist() if values is not None else []


def _judge(item: dict[str, Any], house: Profile) -> Iterator[Finding]:
    kind, values = item["kind"], item["values"]
    counts = item.get("counts")
    if kind in ("scatter", "residuals"):
        if values:
            yield _one("microdata", "fail", f"{len(values)} single points are drawn; each may be one person.",
                       "Draw binned counts or a smooth curve instead.", item)  # fmt: skip
    elif kind == "text":
        yield from _said(item, house)
    elif kind == "unknown":
        yield _one("unknown_artist", "fail", f"{item.get('what', 'Something')} in the figure cannot be checked.",
                   "Draw it otherwise, or give the figure's data.", item)  # fmt: skip
    elif kind == "histogram" or counts is not None:
        yield from _counted(item, counts if counts is not None else values, house)
    elif kind == "box":
        yield _one("extreme", "review", "Boxes and whiskers are quantiles and extremes of groups.",
                   "Give the counts on each side, leave out whiskers and outliers.", item)  # fmt: skip
    else:
        yield _one("no_counts", "review", f"The figure ({kind}) does not say how many records are behind its values.",
                   "Give the underlying counts with it.", item)  # fmt: skip


def _said(item: dict[str, Any], house: Profile) -> Iterator[Finding]:
    """Words in the figure: as any text, and a lone whole number is taken for a count."""
    from output_checks.rules.texts import check_text

    text = str(item["values"][0])
    for finding in check_text(text, profile=house).findings:
        if finding.severity == "fail":
            yield _one(finding.rule, "fail", f"The words {text[:40]!r}: {finding.why}", finding.remedy, item)
    if WHOLE.fullmatch(text.strip()) and (n := int(text.strip("() "))) > 0 and below_limit(n, house.threshold):
        yield _one("threshold", "fail", f"The figure is labelled {n}, a count that is too small.", "Remove it.", item)


def _counted(item: dict[str, Any], counts: Any, house: Profile) -> Iterator[Finding]:
    try:
        plain = [float(c) for c in _flat(counts)]
    except (TypeError, ValueError):
        yield _one("unreadable", "fail", "The counts are no numbers.", "Give a number for every value.", item)
        return
    if any(c != c or c < 0 or c != int(c) for c in plain):
        yield _one("no_counts", "review", "The heights are no counts (a density or a share).",
                   "Give the underlying counts with it.", item)  # fmt: skip
        return
    small = [c for c in plain if c > 0 and below_limit(c, house.threshold)]
    if small:
        yield _one("threshold", "fail", f"{len(small)} bars stand for too few, the smallest for {min(small):g}.",
                   "Use wider bins, or cut off the tails.", item)  # fmt: skip
    zeros = sum(c == 0 for c in plain)
    if zeros and house.zeros_are_disclosive:
        yield _one("zero", "review", f"{zeros} bars are empty.", "Use wider bins.", item)


def _flat(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _flat(value)
        else:
            yield value


def _one(rule: str, severity: str, why: str, remedy: str, item: dict[str, Any]) -> Finding:
    return Finding(rule, severity, why, remedy, cell={"series": item["kind"]}, evidence={"points": len(item["values"])})
