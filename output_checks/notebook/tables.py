"""In the notebook: `crosstab`, `pivot_table` and `groupby` as pandas has them, with a verdict attached.

Decides how pandas' arguments become a table specification and how the table is shown. Leaves judging to `check`.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pandas as pd

from output_checks.appetites import Profile
from output_checks.errors import BadInput
from output_checks.evidence.spec import TableSpec
from output_checks.mitigation.mitigate import Mitigated
from output_checks.mitigation.report import Report, check
from output_checks.mitigation.writing import laid_out

NAMES = {"size": "count", "average": "mean", "len": "count", "amin": "min", "amax": "max"}
SIDES = {"index": "row", "columns": "col", "values": "values"}
STATISTICS = ("count", "sum", "mean", "median", "std", "skew", "kurt", "min", "max", "mode")
NORMALIZE = {"index": "row_percent", "columns": "column_percent", "all": "percent", True: "percent"}


class CheckedTable(pd.DataFrame):
    """An ordinary data frame that knows its report. Whatever is made of it by pandas is a plain frame again.

    `report` the verdict; `status`, `findings`; `suppress()`, `round(base)`, `midpoint(base)` give tables that
    may leave. Note that `round` rounds to multiples of a base, not to decimals.
    """

    _metadata = ["report"]  # noqa: RUF012 - how pandas wants it
    report: Report

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    @property
    def status(self) -> str:
        return self.report.status

    @property
    def findings(self) -> list[Any]:
        return self.report.findings

    def suppress(self, *, totals: str = "recompute") -> Mitigated:
        return self.report.suppress(totals=totals)

    def round(self, base: int | None = None) -> Mitigated:  # type: ignore[override]
        return self.report.round(base)

    def midpoint(self, base: int | None = None) -> Mitigated:
        return self.report.midpoint(base)

    def _repr_html_(self) -> str:
        from output_checks.rules.view import html

        return html(self.report)


def crosstab(
    index: Any,
    columns: Any = None,
    values: Any = None,
    *,
    data: Any = None,
    aggfunc: Any = None,
    rownames: list[str] | None = None,
    colnames: list[str] | None = None,
    margins: bool | str = False,
    margins_name: str = "All",
    dropna: bool = True,
    normalize: bool | str = False,
    profile: str | Profile = "sacro",
    **more: Any,
) -> CheckedTable:
    """As `pandas.crosstab`: index and columns are series or arrays (or names of columns of `data`), one or several.

    more goes to the specification: unit, holding, weights, where, hierarchies, parameters. Raises BadInput
    naming the argument.
    """
    called = {"index": rownames, "columns": colnames}
    frame, names = _gather(data, {"index": index, "columns": columns, "values": values}, called, more)
    statistic = NORMALIZE.get(normalize) if normalize else statistic_of("count" if aggfunc is None else aggfunc)
    if statistic is None:
        raise BadInput(f"{normalize!r} is not known.", field="normalize", remedy='Use "index", "columns" or "all".')
    if values is not None and aggfunc is None:
        raise BadInput("is missing.", field="aggfunc", remedy="Say what is made of the values, e.g. mean.")
    spec = _spec(
        rows=names["index"], columns=names["columns"], values=names["values"][0] if names["values"] else None,
        statistic=statistic, margins=margins, missing="drop" if dropna else "keep", total=margins_name, **more,
    )  # fmt: skip
    return table(check(spec, frame, profile))


def pivot_table(
    data: Any,
    values: str | None = None,
    index: Any = None,
    columns: Any = None,
    aggfunc: Any = "mean",
    *,
    margins: bool | str = False,
    margins_name: str = "All",
    dropna: bool = True,
    profile: str | Profile = "sacro",
    **more: Any,
) -> CheckedTable:
    """As `pandas.pivot_table`, with names of columns; aggfunc is one of mean, sum, count, median, std, min,
    max, mode, quantile:q, or numpy's function of that name. Raises BadInput naming the argument, Unreadable for data
    that cannot be read.
    """
    spec = _spec(
        rows=_names(index), columns=_names(columns), values=values, statistic=statistic_of(aggfunc),
        margins=margins, missing="drop" if dropna else "keep", total=margins_name, **more,
    )  # fmt: skip
    return table(check(spec, data, profile))


class Groups:
    """What `groupby` gives: `agg`, `size`, and of a column, `groupby(…)["income"]`, the statistics by name."""

    def __init__(
        self, data: Any, by: Any, profile: str | Profile, more: dict[str, Any], values: str | None = None
    ) -> None:
        self.data, self.by, self.profile, self.more, self.values = data, _names(by), profile, more, values

    def __getitem__(self, values: str) -> Groups:
        return Groups(self.data, self.by, self.profile, self.more, values)

    def __getattr__(self, name: str) -> Any:
        if name not in STATISTICS:
            raise AttributeError(f"groups have no {name!r}; use agg({{column: statistic}}).")
        return lambda: self._one(self.values, name)

    def agg(self, what: Any, values: str | None = None) -> Any:
        """A table for `{"income": "mean"}`; for several statistics a dictionary of tables named `income_mean`
        and so on.
        """
        if isinstance(what, str) or callable(what):
            return self._one(values or self.values, what)
        if not isinstance(what, dict):
            what = {self.values: what} if self.values else {}
        pairs = [(name, one) for name, some in what.items() for one in ([some] if isinstance(some, str) else some)]
        if not pairs:
            raise BadInput("names no column.", field="agg", remedy='Write {"income": "mean"}.')
        tables = {f"{name}_{one}": self._one(name, one) for name, one in pairs}
        return next(iter(tables.values())) if len(tables) == 1 else tables

    def size(self) -> CheckedTable:
        return self._one(None, "count")

    def _one(self, values: str | None, statistic: Any) -> CheckedTable:
        spec = _spec(rows=self.by, values=values, statistic=statistic_of(statistic), **self.more)
        return table(check(spec, self.data, self.profile))


def groupby(data: Any, by: Any, *, profile: str | Profile = "sacro", **more: Any) -> Groups:
    """As `data.groupby(by)`: `groupby(data, ["region"]).agg({"income": "mean"})`. More goes to the specification, as
    for `crosstab`. Raises BadInput, when asked for a table, that names the argument.
    """
    return Groups(data, by, profile, more)


def table(report: Report) -> CheckedTable:
    """The data frame of a report: rows side as index, columns side as columns, with the labels' own types."""
    out = CheckedTable(laid_out(report, [report.value(i) for i in report.evidence.published.nonzero()[0].tolist()]))
    object.__setattr__(out, "report", report)
    return out


def statistic_of(what: Any) -> str:
    """The statistic that a name means, or a function of numpy or Python itself. Raises BadInput for anything else."""
    if callable(what) and getattr(what, "__module__", "") in ("numpy", "builtins"):
        what = str(getattr(what, "__name__", ""))
    if isinstance(what, str):
        return NAMES.get(what, what)
    why = (
        "names several statistics." if isinstance(what, list | tuple | dict) else "is no statistic that can be judged."
    )
    raise BadInput(why, field="aggfunc", remedy='Make one table for each, by name, e.g. "mean".')


def _spec(**what: Any) -> TableSpec:
    unknown = sorted(set(what) - {f.name for f in fields(TableSpec)})
    if unknown:
        raise BadInput("is not a known argument.", field=unknown[0], remedy="See the keys of a specification.")
    return TableSpec(**what)


def _names(value: Any) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else tuple(value)


def _gather(
    data: Any, given: dict[str, Any], called: dict[str, list[str] | None], more: dict[str, Any]
) -> tuple[Any, dict[str, tuple[str, ...]]]:
    """One frame with all series, and the names under which they are found: those that are called for, their own, or
    pandas' `row_0` and `col_0`.
    """
    names: dict[str, tuple[str, ...]] = {}
    series: dict[str, Any] = {}
    for argument, value in given.items():
        several = isinstance(value, list | tuple) and not all(map(_is_scalar, value))
        items = [] if value is None else list(value) if several or _are_names(value) else [value]
        wanted, found = called.get(argument), []
        if wanted is not None and len(wanted) != len(items):
            raise BadInput("are not as many as there are series.", field=argument, remedy="Give one name for each.")
        for k, item in enumerate(items):
            if isinstance(item, str):
                if data is None:
                    raise BadInput(
                        "is a name, but there is no data.", field=argument, remedy="Give data=… or a series."
                    )
                found.append(item)
                continue
            own = getattr(item, "name", None)
            name = wanted[k] if wanted else f"{SIDES[argument]}_{k}" if own is None else str(own)
            series[name] = item
            found.append(name)
        names[argument] = tuple(found)
    if not series:
        return data, names
    frame = pd.DataFrame(series) if data is None else data.assign(**series)
    for key in ("unit", "holding", "weights"):
        if getattr(more.get(key), "name", None) is not None:
            frame[str(more[key].name)] = more[key]
            more[key] = str(more[key].name)
    return frame, names


def _is_scalar(item: Any) -> bool:
    return not hasattr(item, "__len__") or isinstance(item, str)


def _are_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
