"""Row filters: which rows of a dataset a project gets, as a typed expression and never as SQL.

The grammar is that of output_checks, so that a project's filter, a grant's filter and a table's `where` read
alike. Decides what a filter may say about a dataset: known columns, constants of their kind, nothing about direct
identifiers or units, bounded size. Compiles to DuckDB with bound parameters.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from output_checks.errors import BadInput
from output_checks.evidence.where import Expression, Group, Not, Test, parse, to_sql
from tre.data.engine import quote
from tre.data.model import Variable
from tre.errors import InvalidInput

MOST_PARTS = 200
MOST_VALUES = 1000
DEEPEST = 20
LONGEST_TEXT = 500
_INT64 = 2**63


def check_rows(rows: Any, variables: Sequence[Variable], *, field: str = "rows") -> dict[str, Any] | None:
    """The filter in its canonical spelling, None for all rows. Raises `InvalidInput` that names the part."""
    if rows is None:
        return None
    _check_size(rows, field)
    expression = _parsed(rows, field)
    by_name = {variable.name: variable for variable in variables}
    for test in _tests(expression):
        _check_test(test, by_name, field)
    return expression.to_dict()


def both(*rows: dict[str, Any] | None) -> dict[str, Any] | None:
    """The filter that all of these make together."""
    standing = [part for part in rows if part is not None]
    return {"all": standing} if len(standing) > 1 else standing[0] if standing else None


def compile_rows(rows: dict[str, Any] | None, variables: Sequence[Variable]) -> tuple[str, dict[str, Any]]:
    """SQL condition and its named parameters. Checks again: what lies in the database is no more trusted than a caller.

    Float columns take NaN as missing, as `output_checks` does.
    """
    checked = check_rows(rows, variables)
    if checked is None:
        return "TRUE", {}
    kinds = {variable.name: variable.kind for variable in variables}
    parameters: dict[str, Any] = {}

    def column_sql(name: str, _: Any) -> tuple[str, Any]:
        text = quote(name)
        if kinds[name] == "float":
            text = f"CASE WHEN isnan({text}) THEN NULL ELSE {text} END"

        def literal(value: Any) -> str:
            key = f"row_{len(parameters)}"
            parameters[key] = _constant(value, kinds[name])
            return f"${key}"

        return text, literal

    return to_sql(_parsed(checked, "rows"), column_sql), parameters


def columns_of(rows: dict[str, Any] | None) -> frozenset[str]:
    """The columns that a checked filter looks at."""
    return frozenset() if rows is None else frozenset(_parsed(rows, "rows").columns())


def _parsed(rows: Any, field: str) -> Expression:
    try:
        return parse(rows, field)
    except BadInput as bad:
        raise InvalidInput(bad.message, field=bad.field, hint=bad.remedy) from None


def _check_size(rows: Any, field: str) -> None:
    """Without recursion, before anything that recurses sees it."""
    waiting, parts = [(rows, 1)], 0
    while waiting:
        part, depth = waiting.pop()
        parts += 1
        if depth > DEEPEST or parts > MOST_PARTS:
            raise InvalidInput(
                f"A filter has at most {MOST_PARTS} parts and {DEEPEST} levels.", field=field, hint="Simplify it."
            )
        if isinstance(part, Mapping):
            inner = [part["not"]] if "not" in part else []
            for key in ("all", "any"):
                inner += part[key] if isinstance(part.get(key), list) else []
            waiting += [(item, depth + 1) for item in inner]


def _tests(expression: Expression) -> list[Test]:
    if isinstance(expression, Group):
        return [test for part in expression.parts for test in _tests(part)]
    if isinstance(expression, Not):
        return _tests(expression.part)
    assert isinstance(expression, Test)
    return [expression]


def _check_test(test: Test, variables: Mapping[str, Variable], field: str) -> None:
    variable = variables.get(test.column)
    if variable is None:
        raise InvalidInput(f"The dataset has no column {test.column!r}.", field=field)
    if variable.protected:
        raise InvalidInput(
            f"Rows are not chosen by the identifier {test.column}.", field=field, hint="Describe a group of people."
        )
    values = test.value if isinstance(test.value, tuple) else () if test.value is None else (test.value,)
    if len(values) > MOST_VALUES:
        raise InvalidInput(f"A list has at most {MOST_VALUES} values.", field=field)
    for value in values:
        _constant(value, variable.kind, field=f"{field}.{test.column}")


def _constant(value: Any, kind: str, *, field: str = "rows") -> Any:
    """The value as DuckDB gets it. Raises `InvalidInput` where comparing it with the column makes no sense."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind in ("int", "float") and number and abs(value) < _INT64:
        return value
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind == "text" and isinstance(value, str) and len(value) <= LONGEST_TEXT and "\0" not in value:
        return value
    if kind in ("date", "time"):
        return _moment(value, kind, field)
    raise InvalidInput(f"This value cannot be compared with a column of kind {kind}.", field=field)


def _moment(value: Any, kind: str, field: str) -> dt.date:
    try:
        moment = value if isinstance(value, dt.date) else dt.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise InvalidInput("Give a date like 2024-01-31.", field=field) from None
    if isinstance(moment, dt.datetime) and moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    if kind == "date" and isinstance(moment, dt.datetime):
        if moment.time() != dt.time():
            raise InvalidInput("The column holds days; leave out the time of day.", field=field)
        return moment.date()
    return moment if isinstance(moment, dt.datetime) else dt.datetime(moment.year, moment.month, moment.day)
