"""Amounts as people write and read them: 8h, 64MiB. The unit is the end of the number's name."""

from __future__ import annotations

from tre.errors import InvalidInput

UNITS = {
    "seconds": {"d": 86400, "h": 3600, "m": 60, "s": 1},
    "bytes": {"TiB": 1 << 40, "GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10},
}


def units_of(name: str) -> dict[str, int]:
    """The units that a number of this name may be written in, the largest first."""
    return next((units for kind, units in UNITS.items() if kind in name.split("_")), {})


def amount(name: str, text: str) -> float | None:
    """The number in seconds, bytes or pieces; None for an empty text. Raises `InvalidInput` naming the number."""
    if not text:
        return None
    units = units_of(name)
    unit = next((unit for unit in units if text.endswith(unit)), "")
    try:
        return float(text.removesuffix(unit)) * units.get(unit, 1)
    except ValueError:
        written = f", or with one of the units {', '.join(units)}" if units else ""
        raise InvalidInput(f"{text!r} is no number.", field=name, hint=f"Write a plain number{written}.") from None


def in_words(name: str, value: float) -> str:
    """In the largest unit that leaves at least one; plain numbers as they are."""
    for unit, size in units_of(name).items():
        if value >= size:
            return f"{value / size:.4g} {unit}"
    return f"{value:.10g}"
