"""The table specification: the plain value that says which table is meant.

Decides which keys exist, what each may hold and what an error about them says. A specification goes to JSON
and back unchanged and is what a release request carries. Leaves to `evidence` whether the data has such columns.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from output_checks.errors import BadInput
from output_checks.evidence.where import Expression, parse

COUNT_LIKE = ("count", "units", "percent", "row_percent", "column_percent")
PERCENTS = ("percent", "row_percent", "column_percent")
ADDITIVE = ("count", "sum")
EXTREMES = ("min", "max")
SHAPES = ("std", "skew", "kurt")
OTHER = ("mean", "median", *SHAPES, "mode")
STATISTICS = (*COUNT_LIKE, "sum", *OTHER, *EXTREMES, "quantile:Q")
TOTAL = "Total"
MISSING = "(missing)"


@dataclass(frozen=True)
class TableSpec:
    """Which table: dimensions, statistic, who is protected and which records count.

    rows, columns   dimension names; at least one in total
    values          the variable that is summarised; None for counts and percentages of records
    statistic       count, units, percent, row_percent, column_percent, sum, mean, median, std, skew, kurt (both as
                    pandas has them), min, max, mode, quantile:0.9
    margins         False, True (totals of the rows side and the columns side, as pandas) or "all" (every
                    subset of dimensions)
    missing         "drop" (records with a missing dimension do not count) or "keep" (they form the category
                    `(missing)`)
    unit            column with the protected unit: a person with five records counts once
    holding         column over which contributions are summed before dominance is judged (enterprise, household)
    weights         column of survey weights: published values are weighted, thresholds look at unweighted counts
    where           filter expression (see `output_checks.evidence.where`)
    hierarchies     per dimension prefix lengths `[1, 3]` or parent → children `{"north": ["a", "b"]}`
    categories      per dimension the labels that exist even where no record has them
    observed        False: unobserved categories of the data count as cells, too
    parameters      thresholds that differ from the profile's
    totals          "true", or "shown": totals and percentages follow from the published cells alone
    rounding        what was done to the published values: "", "round:5" or "midpoint:6"
    total           the word for totals in written tables
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...] = ()
    values: str | None = None
    statistic: str = "count"
    margins: bool | str = False
    missing: str = "drop"
    unit: str | None = None
    holding: str | None = None
    weights: str | None = None
    where: Expression | None = None
    hierarchies: dict[str, Any] = field(default_factory=dict)
    categories: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    observed: bool = True
    parameters: dict[str, Any] = field(default_factory=dict)
    totals: str = "true"
    rounding: str = ""
    total: str = TOTAL

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", _names(self.rows, "rows"))
        object.__setattr__(self, "columns", _names(self.columns, "columns"))
        object.__setattr__(self, "values", _single(self.values, "values"))
        for name in ("unit", "holding", "weights"):
            object.__setattr__(self, name, _single(getattr(self, name), name))
        if self.where is not None:
            object.__setattr__(self, "where", parse(self.where))
        _check_dimensions(self)
        _check_statistic(self)
        _check_choices(self)
        object.__setattr__(self, "hierarchies", _hierarchies(self))
        object.__setattr__(self, "categories", _categories(self))
        _check_parameters(self.parameters)

    @property
    def dimensions(self) -> tuple[str, ...]:
        return self.rows + self.columns

    @property
    def quantile(self) -> float | None:
        """The probability of a position statistic (0.5 for a median), else None."""
        if self.statistic == "median":
            return 0.5
        return float(self.statistic.split(":", 1)[1]) if self.statistic.startswith("quantile:") else None

    @property
    def rounded_by(self) -> tuple[str, int] | None:
        """The declared rounding as (kind, base)."""
        kind, _, base = self.rounding.partition(":")
        return (kind, int(base)) if kind else None

    @property
    def count_like(self) -> bool:
        return self.statistic in COUNT_LIKE

    @classmethod
    def from_dict(cls, body: Any) -> TableSpec:
        """The specification that a JSON object says. Raises BadInput naming field and remedy for anything it
        does not know.
        """
        if not isinstance(body, dict):
            raise BadInput("is not an object.", field="spec", remedy='Give a JSON object such as {"rows": ["region"]}.')
        known = {f.name: f for f in fields(cls)}
        for key, value in body.items():
            if value is None and (key not in known or known[key].default is not None):
                raise BadInput("is null.", field=str(key), remedy="Give a value, or leave the key out.")
            if key not in known:
                raise BadInput("is not a known key.", field=str(key), remedy=f"Known keys: {', '.join(sorted(known))}.")
        if "rows" not in body:
            raise BadInput("is missing.", field="rows", remedy='Name at least one dimension, e.g. "rows": ["region"].')
        return cls(**body)

    @classmethod
    def read(cls, path: str | Path) -> TableSpec:
        """The specification in a JSON file."""
        try:
            body = json.loads(Path(path).read_text(encoding="utf-8"), object_pairs_hook=_once)
        except (OSError, ValueError) as problem:
            raise BadInput(f"could not be read ({problem}).", field="spec", remedy="Give a UTF-8 JSON file.") from None
        return cls.from_dict(body)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; keys at their default are left out, so that equal tables have equal text."""
        out: dict[str, Any] = {"rows": list(self.rows)}
        for item in fields(self)[1:]:
            value = getattr(self, item.name)
            if item.name == "where" and value is not None:
                value = value.to_dict()
            elif item.name == "categories":
                value = {name: list(labels) for name, labels in value.items()}
            elif isinstance(value, tuple):
                value = list(value)
            if value not in (None, [], {}, item.default):
                out[item.name] = value
        return out


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are there once: of two, nobody could say which was meant."""
    body = dict(pairs)
    if len(body) != len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        raise BadInput("is there twice.", field=twice, remedy="Write every key once.")
    return body


def _names(value: Any, name: str) -> tuple[str, ...]:
    if isinstance(value, str):
        value = (value,)
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) and item for item in value):
        raise BadInput("is not a list of column names.", field=name, remedy='Write ["region", "year"].')
    return tuple(value)


def _single(value: Any, name: str) -> str | None:
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if value is None or (isinstance(value, str) and value):
        return value
    raise BadInput("is not one column name.", field=name, remedy="Name one column; make one table per variable.")


def _check_dimensions(spec: TableSpec) -> None:
    if not spec.dimensions:
        raise BadInput("names no dimension.", field="rows", remedy="Name at least one column to tabulate by.")
    for name in spec.dimensions:
        if spec.dimensions.count(name) > 1:
            raise BadInput(f"uses {name!r} twice.", field="columns", remedy="Use each dimension once.")


def _check_statistic(spec: TableSpec) -> None:
    statistic = spec.statistic
    plain = [s for s in STATISTICS if s != "quantile:Q"]
    if not isinstance(statistic, str) or (statistic not in plain and not statistic.startswith("quantile:")):
        raise BadInput(f"{statistic!r} is not known.", field="statistic", remedy=f"Use one of {', '.join(STATISTICS)}.")
    if statistic.startswith("quantile:"):
        try:
            probability = float(statistic.split(":", 1)[1])
        except ValueError:
            probability = -1.0
        if not 0 < probability < 1:
            raise BadInput("has no probability between 0 and 1.", field="statistic", remedy="Write quantile:0.9.")
    if spec.values is None and statistic not in COUNT_LIKE:
        raise BadInput(f"is needed for {statistic}.", field="values", remedy="Name the variable that is summarised.")


def _check_choices(spec: TableSpec) -> None:
    if spec.margins not in (True, False, "all") or (isinstance(spec.margins, int) and type(spec.margins) is not bool):
        raise BadInput(f"{spec.margins!r} is not known.", field="margins", remedy='Use true, false or "all".')
    if spec.missing not in ("drop", "keep"):
        raise BadInput(f"{spec.missing!r} is not known.", field="missing", remedy='Use "drop" or "keep".')
    if spec.totals not in ("true", "shown"):
        raise BadInput(f"{spec.totals!r} is not known.", field="totals", remedy='Use "true" or "shown".')
    if type(spec.observed) is not bool:
        raise BadInput("is not true or false.", field="observed", remedy="Use true or false.")
    if not isinstance(spec.total, str) or not spec.total:
        raise BadInput("is not a word.", field="total", remedy='Use text such as "Total".')
    if not isinstance(spec.rounding, str) or not re.fullmatch(r"|(round|midpoint):[1-9][0-9]{0,6}", spec.rounding):
        raise BadInput(f"{spec.rounding!r} is not known.", field="rounding", remedy='Use "round:5" or "midpoint:6".')
    if not isinstance(spec.parameters, dict):
        raise BadInput("is not an object.", field="parameters", remedy='Write {"threshold": 10}.')
    if spec.weights and spec.statistic not in ("count", *PERCENTS, "sum", "mean"):
        raise BadInput(
            f"cannot weight {spec.statistic}.", field="weights", remedy="Weights go with counts, sums and means."
        )


def _hierarchies(spec: TableSpec) -> dict[str, Any]:
    if not isinstance(spec.hierarchies, dict):
        raise BadInput("is not an object.", field="hierarchies", remedy='Write {"nace": [1, 3]}.')
    out: dict[str, Any] = {}
    for name, tree in spec.hierarchies.items():
        where = f"hierarchies.{name}"
        if name not in spec.dimensions:
            raise BadInput("is not a dimension of the table.", field=where, remedy="Name one of rows or columns.")
        if isinstance(tree, list | tuple):
            if not tree or any(type(n) is not int or n < 1 for n in tree) or sorted(set(tree)) != list(tree):
                raise BadInput("are not growing prefix lengths.", field=where, remedy="Write [1, 3].")
            out[name] = list(tree)
        elif isinstance(tree, dict):
            out[name] = _tree(tree, where)
        else:
            raise BadInput("has the wrong shape.", field=where, remedy="Give prefix lengths or parent → children.")
    return out


def _tree(tree: dict[str, Any], where: str) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    parent_of: dict[str, str] = {}
    for parent, children in tree.items():
        if not isinstance(children, list | tuple) or not children or not all(isinstance(c, str) for c in children):
            raise BadInput("has no list of children.", field=f"{where}.{parent}", remedy='Write ["a", "b"].')
        for child in children:
            if child in parent_of or child == parent:
                raise BadInput(f"{child!r} has two parents.", field=where, remedy="Give each label one parent.")
            parent_of[child] = parent
        out[str(parent)] = list(children)
    for start in parent_of:
        seen, node = {start}, start
        while node in parent_of:
            node = parent_of[node]
            if node in seen:
                raise BadInput(f"{node!r} is its own ancestor.", field=where, remedy="Remove the circle.")
            seen.add(node)
    return out


def _categories(spec: TableSpec) -> dict[str, tuple[Any, ...]]:
    if not isinstance(spec.categories, dict):
        raise BadInput("is not an object.", field="categories", remedy='Write {"sex": ["F", "M"]}.')
    for name, labels in spec.categories.items():
        if name not in spec.dimensions:
            raise BadInput("is not a dimension of the table.", field=f"categories.{name}", remedy="Name a dimension.")
        if not isinstance(labels, list | tuple):
            raise BadInput("is not a list of labels.", field=f"categories.{name}", remedy='Write ["F", "M"].')
    return {name: tuple(labels) for name, labels in spec.categories.items()}


def _check_parameters(parameters: dict[str, Any]) -> None:
    from output_checks.appetites import check_parameters

    check_parameters(parameters)
