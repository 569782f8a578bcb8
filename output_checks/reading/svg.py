"""What a reader can measure in an SVG: bars in the units of their axes, points, curves and words.

Decides which elements, attributes and names a figure needs; anything else could carry data out of sight
(metadata, comments, scripts, pictures, shapes without paint) and makes the file unreadable, which is refused.
Clipping hides nothing: shapes beyond the axes are read like any other. Leaves judging what is drawn to `figures`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from output_checks.errors import Unreadable

MAX_BYTES = 8 * 2**20
SPACE = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"
ATTRIBUTES = {
    "svg": {"width", "height", "viewBox", "version"},
    "g": {"id", "clip-path", "transform"},
    "defs": set(),
    "style": {"type"},
    "path": {"id", "d", "style", "clip-path", "transform"},
    "use": {LINK, "x", "y", "style"},
    "text": {"id", "x", "y", "style", "transform"},
    "clipPath": {"id"},
    "rect": {"x", "y", "width", "height"},
}
STYLE_SHEET = "*{stroke-linejoin: round; stroke-linecap: butt}"
STYLES = re.compile(
    r"(?:\s*(?:fill|stroke|opacity|fill-opacity|stroke-opacity|stroke-width|stroke-linejoin|stroke-linecap|"
    r"stroke-dasharray|stroke-dashoffset|font|font-size|font-family|font-weight|font-style|text-anchor)"
    r"\s*:\s*[-#\w.,%'\" ]+;?)*\s*"
)
NAMES = re.compile(r"(?:figure|axes|patch|line2d|text|xtick|ytick|matplotlib\.axis)_\d{1,5}|[pm][0-9a-f]{10}")
TRANSFORM = re.compile(r"(?:(?:translate|rotate|scale)\([-\d., ]+\)\s*)*")
UNPAINTED = re.compile(r"(?:^|[ ;])(?:opacity|fill-opacity|stroke-opacity)\s*:\s*0*\.?0*(?:;|$)")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
AGAIN = "Save it again as PNG, or as plain SVG: bars only, svg.fonttype none, no metadata, no legend."
NEAR = 0.01


@dataclass(frozen=True)
class Bar:
    """A rectangle in the units of its axes: from `start` to `stop` along the categories, `height` from zero."""

    start: float
    stop: float
    height: float


@dataclass
class Drawn:
    """What is in the file: bars, number of markers, points of curves, words that are no tick labels."""

    bars: list[Bar] = field(default_factory=list)
    markers: int = 0
    curves: list[int] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    ticks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Scale:
    """Position in the picture → value on the axis, from its tick labels; None where they are words."""

    slope: float
    origin: float

    def value(self, position: float) -> float:
        return self.slope * position + self.origin


def read_svg(raw: bytes) -> Drawn:
    """What is drawn. Raises Unreadable for anything that could carry more than that."""
    if len(raw) > MAX_BYTES:
        raise _refused("the file is too large for a figure")
    try:
        text = raw.decode("utf-8")
        if "<!ENTITY" in text or re.search(r"<!DOCTYPE[^>]*\[", text):
            raise _refused("the file declares entities")
        builder = ElementTree.TreeBuilder(insert_comments=True, insert_pis=True)
        parser = ElementTree.XMLParser(target=builder)  # noqa: S314 - entities were refused
        parser.feed(text)
        root = parser.close()
    except (UnicodeDecodeError, ElementTree.ParseError) as problem:
        raise _refused(f"the file is no SVG ({type(problem).__name__})") from None
    for element in root.iter():
        _plain(element)
    out = Drawn()
    figures = [child for child in root if _tag(child) == "g"]
    if _tag(root) != "svg" or len(figures) != 1:
        raise _refused("the file holds no figure or several")
    for group in figures[0]:
        if _named(group, "axes"):
            _axes(group, out)
        elif not _named(group, "patch"):
            _loose(group, out)
    return out


def _plain(element: Any) -> None:
    """Raises Unreadable for an element, attribute, name or style that no figure needs."""
    if not isinstance(element.tag, str):
        raise _refused("the file holds a comment or an instruction")
    tag = _tag(element)
    if tag not in ATTRIBUTES:
        raise _refused(f"the file holds <{tag[:20]}>")
    strange = sorted(set(element.attrib) - ATTRIBUTES[tag])
    if strange:
        raise _refused(f"<{tag}> has the attribute {strange[0][:30]}")
    _styled(element, tag)
    if tag == "style" and (element.text or "").strip() != STYLE_SHEET:
        raise _refused("the file has a style sheet of its own")
    if (tag not in ("style", "text") and (element.text or "").strip()) or (element.tail or "").strip():
        raise _refused("the file holds text outside its labels")


def _styled(element: Any, tag: str) -> None:
    name, style = element.get("id", ""), element.get("style", "")
    if name and not NAMES.fullmatch(name):
        raise _refused(f"an element is called {name[:30]!r}")
    if not STYLES.fullmatch(style) or not TRANSFORM.fullmatch(element.get("transform", "")):
        raise _refused(f"<{tag}> has a style that is not known")
    bare = "fill: none" in style and not re.search(r"stroke: #", style)
    if UNPAINTED.search(style) or (tag == "path" and bare):
        raise _refused("a shape has no paint and cannot be seen")


def _axes(group: Any, out: Drawn) -> None:
    """Everything in one pair of axes; its first patch is their background."""
    scales: dict[str, Scale | None] = {}
    for axis in group:
        if _named(axis, "matplotlib.axis"):
            name, scale = _axis(axis, out)
            scales[name] = scale
    shapes = [child for child in group if not _named(child, "matplotlib.axis")]
    patches = [child for child in shapes if _named(child, "patch")]
    for shape in shapes:
        if _named(shape, "patch") and (shape is patches[0] or _is_spine(shape)):
            continue
        bar = _bar(shape, scales) if _named(shape, "patch") else None
        if bar is not None:
            out.bars.append(bar)
        else:
            _loose(shape, out)


def _axis(axis: Any, out: Drawn) -> tuple[str, Scale | None]:
    """x or y, and its scale; labels of ticks are kept apart from other words."""
    at: list[tuple[float, str]] = []
    name = "x"
    for child in axis:
        tick = "x" if _named(child, "xtick") else "y" if _named(child, "ytick") else ""
        if not tick:
            out.words += [_words(text) for text in _all(child, "text")]
            continue
        name = tick
        places = [float(use.get(tick, "nan")) for use in _all(child, "use")]
        labels = [_words(text) for text in _all(child, "text")]
        out.ticks += labels
        if places and labels:
            at.append((places[0], labels[0]))
    return name, _scale(at)


def _scale(at: list[tuple[float, str]]) -> Scale | None:
    """The straight line through numeric ticks. Raises Unreadable for any other scale."""
    numbers = [(place, label.replace("−", "-").replace(",", "")) for place, label in at]
    if len(numbers) < 2 or not all(NUMBER.fullmatch(label) for _, label in numbers):
        return None
    (p0, first), (p1, last) = numbers[0], numbers[-1]
    if p0 == p1:
        raise _refused("an axis has no length")
    slope = (float(last) - float(first)) / (p1 - p0)
    scale = Scale(slope, float(first) - slope * p0)
    size = max(abs(float(label)) for _, label in numbers) or 1.0
    if any(abs(scale.value(place) - float(label)) > NEAR * size for place, label in numbers):
        raise _refused("an axis is not linear")
    return scale


def _bar(group: Any, scales: dict[str, Scale | None]) -> Bar | None:
    """A rectangle that stands on zero, in data units; None for any other shape."""
    box = _box(group)
    if box is None:
        return None
    left, right, top, bottom = box
    for along, across, low, high, start, stop in (
        ("y", "x", bottom, top, left, right),
        ("x", "y", left, right, bottom, top),
    ):
        scale, beside = scales.get(along), scales.get(across)
        if scale is not None and abs(scale.value(low)) <= 1e-3 * max(1.0, abs(scale.value(high))):
            places = (beside.value(start), beside.value(stop)) if beside is not None else (start, stop)
            return Bar(min(places), max(places), scale.value(high))
    return None


def _box(group: Any) -> tuple[float, float, float, float] | None:
    """Left, right, top and bottom of a group that is one upright rectangle."""
    paths = _all(group, "path")
    if len(paths) != 1 or len(list(group.iter())) != 2 or paths[0].get("transform"):
        return None
    words = paths[0].get("d", "").split()
    points = [w for w in words if NUMBER.fullmatch(w)]
    if [w for w in words if not NUMBER.fullmatch(w)] != ["M", "L", "L", "L", "z"] or len(points) != 8:
        return None
    xs, ys = sorted({float(x) for x in points[::2]}), sorted({float(y) for y in points[1::2]})
    if len(xs) > 2 or len(ys) > 2:
        return None
    return xs[0], xs[-1], ys[0], ys[-1]


def _is_spine(group: Any) -> bool:
    """A straight stroke of two points: the frame of the axes."""
    paths = _all(group, "path")
    words = paths[0].get("d", "").split() if len(paths) == 1 else []
    return [w for w in words if not NUMBER.fullmatch(w)] == ["M", "L"] and not paths[0].get("clip-path")


def _loose(group: Any, out: Drawn) -> None:
    """Points, curves and words outside axes and bars."""
    inside = [path for definition in _all(group, "defs") for path in _all(definition, "path")]
    out.markers += len(_all(group, "use"))
    out.words += [_words(text) for text in _all(group, "text")]
    out.curves += [len(NUMBER.findall(p.get("d", ""))) // 2 for p in _all(group, "path") if p not in inside]


def _all(element: Any, tag: str) -> list[Any]:
    return list(element.iter(f"{SPACE}{tag}"))


def _words(element: Any) -> str:
    return " ".join((element.text or "").split())


def _named(element: Any, kind: str) -> bool:
    return bool(re.fullmatch(rf"{re.escape(kind)}_\d+", element.get("id", "")))


def _tag(element: Any) -> str:
    return str(element.tag).removeprefix(SPACE)


def _refused(why: str) -> Unreadable:
    return Unreadable(f"{why}.", field="figure", remedy=AGAIN)
