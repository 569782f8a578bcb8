"""Filters as typed expressions: a value that goes to JSON and back and is compared with another filter, never
a piece of SQL.

Decides the grammar (`{"column", "op", "value"}`, `{"all": […]}`, `{"any": […]}`, `{"not": …}`) and what each
operator means. A missing value satisfies no comparison; `not` is two-valued, so `not (age > 30)` keeps the
missing ages. Leaves types of columns to `sources`.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from output_checks.errors import BadInput

COMPARISONS = {"==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
SETS = ("in", "not_in")
UNARY = ("is_missing", "not_missing")
OPERATORS = (*COMPARISONS, *SETS, "between", *UNARY)
Scalar = str | int | float | bool | dt.date | dt.datetime


class Expression:
    """Anything that may stand in `where`. Combine with `&`, `|` and `~`."""

    def __and__(self, other: Expression) -> Expression:
        return Group("all", (self, other))

    def __or__(self, other: Expression) -> Expression:
        return Group("any", (self, other))

    def __invert__(self) -> Expression:
        return Not(self)

    def to_dict(self) -> dict[str, Any]:
        raise NotImplementedError

    def columns(self) -> tuple[str, ...]:
        raise NotImplementedError


@dataclass(frozen=True)
class Test(Expression):
    """One comparison of one column with a constant."""

    __test__ = False
    column: str
    op: str
    value: Scalar | tuple[Scalar, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        if self.op in UNARY:
            return {"column": self.column, "op": self.op}
        value = [_plain(v) for v in self.value] if isinstance(self.value, tuple) else _plain(self.value)
        return {"column": self.column, "op": self.op, "value": value}

    def columns(self) -> tuple[str, ...]:
        return (self.column,)


@dataclass(frozen=True)
class Group(Expression):
    """`all` or `any` of several expressions; of none, all is true and any is false."""

    kind: str
    parts: tuple[Expression, ...]

    def to_dict(self) -> dict[str, Any]:
        return {self.kind: [part.to_dict() for part in self.parts]}

    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for part in self.parts for name in part.columns()))


@dataclass(frozen=True)
class Not(Expression):
    part: Expression

    def to_dict(self) -> dict[str, Any]:
        return {"not": self.part.to_dict()}

    def columns(self) -> tuple[str, ...]:
        return self.part.columns()


@dataclass(frozen=True, eq=False)
class Col:
    """`col("age") >= 18` builds a `Test`."""

    name: str

    def __eq__(self, other: object) -> Test:  # type: ignore[override]
        return Test(self.name, "==", other)  # type: ignore[arg-type]

    def __ne__(self, other: object) -> Test:  # type: ignore[override]
        return Test(self.name, "!=", other)  # type: ignore[arg-type]

    def __lt__(self, other: Scalar) -> Test:
        return Test(self.name, "<", other)

    def __le__(self, other: Scalar) -> Test:
        return Test(self.name, "<=", other)

    def __gt__(self, other: Scalar) -> Test:
        return Test(self.name, ">", other)

    def __ge__(self, other: Scalar) -> Test:
        return Test(self.name, ">=", other)

    __hash__ = None  # type: ignore[assignment]

    def isin(self, values: Any) -> Test:
        return Test(self.name, "in", tuple(values))

    def between(self, low: Scalar, high: Scalar) -> Test:
        return Test(self.name, "between", (low, high))

    def missing(self) -> Test:
        return Test(self.name, "is_missing")


def col(name: str) -> Col:
    """A column to compare: `col("age").between(18, 64) & (col("sex") == "F")`. Raises
    BadInput, when compared, for a constant that is no text, number, boolean or date.
    """
    return Col(name)


def parse(body: Any, field: str = "where") -> Expression:
    """The expression that a JSON body says. Raises BadInput that names the exact key."""
    if isinstance(body, Expression):
        return parse(body.to_dict(), field)
    if not isinstance(body, dict):
        raise BadInput(
            "is not a filter expression.",
            field=field,
            remedy='Write {"column": "age", "op": ">=", "value": 18}; strings of SQL are not accepted.',
        )
    for kind in ("all", "any"):
        if kind in body:
            _only(body, {kind}, field)
            parts = body[kind]
            if not isinstance(parts, list):
                raise BadInput("is not a list.", field=f"{field}.{kind}", remedy="Give a list of expressions.")
            return Group(kind, tuple(parse(part, f"{field}.{kind}[{i}]") for i, part in enumerate(parts)))
    if "not" in body:
        _only(body, {"not"}, field)
        return Not(parse(body["not"], f"{field}.not"))
    return _parse_test(body, field)


def _parse_test(body: dict[str, Any], field: str) -> Test:
    _only(body, {"column", "op", "value"}, field)
    column, op = body.get("column"), body.get("op")
    if not isinstance(column, str) or not column:
        raise BadInput("names no column.", field=f"{field}.column", remedy="Give the column's name as text.")
    if op not in OPERATORS:
        raise BadInput(f"{op!r} is no operator.", field=f"{field}.op", remedy=f"Use one of {', '.join(OPERATORS)}.")
    value = body.get("value")
    if op in UNARY:
        if "value" in body:
            raise BadInput("takes no value.", field=f"{field}.value", remedy="Leave the key out.")
        return Test(column, op)
    if op in SETS or op == "between":
        if not isinstance(value, list | tuple) or (op == "between" and len(value) != 2):
            want = "two constants [low, high]" if op == "between" else "a list of constants"
            raise BadInput("has the wrong shape.", field=f"{field}.value", remedy=f"Give {want}.")
        return Test(column, op, tuple(_scalar(v, f"{field}.value") for v in value))
    return Test(column, op, _scalar(value, f"{field}.value"))


def _only(body: dict[str, Any], allowed: set[str], field: str) -> None:
    extra = sorted(set(body) - allowed)
    if extra:
        raise BadInput(f"has an unknown key {extra[0]!r}.", field=field, remedy=f"Keep to {sorted(allowed)}.")


def _scalar(value: Any, field: str) -> Scalar:
    if hasattr(value, "item") and not isinstance(value, str):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise BadInput("is not finite.", field=field, remedy="Use is_missing for missing values.")
    if isinstance(value, str | bool | int | float | dt.date):
        return value
    raise BadInput(f"{value!r} is no constant.", field=field, remedy="Give text, a number, true/false or a date.")


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.date) else value


def to_sql(expression: Expression, column_sql: Callable[[str, Any], tuple[str, Callable[[Any], str]]]) -> str:
    """SQL text of an expression. `column_sql(name, value)` gives the column's text and how its constants are
    written.
    """
    if isinstance(expression, Group):
        word = " AND " if expression.kind == "all" else " OR "
        empty = "TRUE" if expression.kind == "all" else "FALSE"
        return "(" + (word.join(to_sql(part, column_sql) for part in expression.parts) or empty) + ")"
    if isinstance(expression, Not):
        return f"(NOT {to_sql(expression.part, column_sql)})"
    assert isinstance(expression, Test)
    text, literal = column_sql(expression.column, expression.value)
    if expression.op in UNARY:
        return f"({text} IS {'NOT ' if expression.op == 'not_missing' else ''}NULL)"
    if isinstance(expression.value, tuple):
        values = [literal(v) for v in expression.value]
        if expression.op == "between":
            return f"coalesce({text} BETWEEN {values[0]} AND {values[1]}, FALSE)"
        if not values:
            return "FALSE" if expression.op == "in" else f"({text} IS NOT NULL)"
        return f"coalesce({text} {'NOT IN' if expression.op == 'not_in' else 'IN'} ({', '.join(values)}), FALSE)"
    return f"coalesce({text} {COMPARISONS[expression.op]} {literal(expression.value)}, FALSE)"
