"""Quantities as the API server spells them, so that what was asked for and what is there compare equal."""

from __future__ import annotations

_BINARY = ("Mi", "Gi", "Ti", "Pi")
_DECIMAL = ("", "k", "M", "G")


def of_bytes(count: int) -> str:
    """Whole mebibytes, rounded down, at least one: `4Gi`, `1500Mi`."""
    return _spelled(max(count >> 20, 1), 1024, _BINARY)


def of_count(count: int) -> str:
    """`2k` for two thousand: that is how it comes back."""
    return _spelled(count, 1000, _DECIMAL)


def of_cpus(cpus: float) -> str:
    """Thousandths of a processor, at least one: `1500m`, `2`."""
    thousandths = max(round(cpus * 1000), 1)
    return f"{thousandths}m" if thousandths % 1000 else of_count(thousandths // 1000)


def _spelled(number: int, base: int, units: tuple[str, ...]) -> str:
    place = 0
    while number and number % base == 0 and place < len(units) - 1:
        number, place = number // base, place + 1
    return f"{number}{units[place]}"


def to_bytes(text: str) -> int:
    """Of a storage size as the API server spells it. Raises ValueError."""
    digits = text.rstrip("KMGTPEikm")
    unit = text[len(digits) :]
    powers: dict[str, int] = {"": 1, "k": 10**3, **{name: 1000 ** (place + 2) for place, name in enumerate("MGTPE")}}
    powers |= {f"{name}i": 1024 ** (place + 1) for place, name in enumerate("KMGTPE")}
    if unit not in powers:
        raise ValueError("not a quantity")
    return int(digits) * powers[unit]
