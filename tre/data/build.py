"""Making one extract's files: the granted columns and rows of one source, pseudonymised, as Parquet with a manifest.

Decides the order of the rows, too: rows come in the order of the pseudonyms of the protected unit (or shuffled where
none is delivered), because the source's own order would let two projects be joined line by line; only the records of
one unit keep their order among themselves. Each distinct identifier is hashed once, outside DuckDB, which sees
pseudonyms but never the key. Leaves queueing to `extracts`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tre.data import filters, manifest
from tre.data.engine import locked, quote
from tre.data.manifest import Manifest
from tre.data.model import Grant, SourceKind, Variable
from tre.data.pseudonyms import CANONICAL, VERSION, PseudonymKey, scheme_of, translation
from tre.data.sources import Opened, Places, opened
from tre.errors import Conflict
from tre.store.canonical import digest_of

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_OPTIONS = "(FORMAT parquet, COMPRESSION zstd)"
_CASTS = {"float": "DOUBLE", "text": "VARCHAR"}
LEFTOVER = "part-2.parquet"
MAIN = "part-1.parquet"


@dataclass(frozen=True)
class Recipe:
    """What is built, as plain values: read once, so that nothing changes while it is built."""

    grant: int
    dataset: str
    organisation: str
    kind: SourceKind
    source: dict[str, str]
    columns: tuple[str, ...]
    pseudonymised: tuple[str, ...]
    rows: dict[str, Any] | None
    variables: tuple[Variable, ...]
    salt: int = field(default_factory=lambda: secrets.randbits(31))

    @classmethod
    def of(cls, grant: Grant) -> Recipe:
        dataset = grant.dataset
        return cls(
            grant=grant.id,
            dataset=dataset.slug,
            organisation=dataset.organisation_slug,
            kind=SourceKind(dataset.source_kind),
            source=dict(dataset.source),
            columns=tuple(grant.columns),
            pseudonymised=tuple(grant.pseudonymised),
            rows=grant.rows,
            variables=tuple(dataset.variables),
        )

    @property
    def needed(self) -> list[str]:
        """Columns delivered or filtered by."""
        return [v.name for v in self.variables if v.name in self.columns or v.name in self.filtered]

    @property
    def filtered(self) -> frozenset[str]:
        return filters.columns_of(self.rows)

    @property
    def lead(self) -> str | None:
        """The column whose pseudonyms give the rows their order: the unit's, else a direct identifier's."""
        protected = [v for v in self.variables if v.protected and v.name in self.pseudonymised]
        return min(protected, key=lambda v: not v.unit).name if protected else None

    def kind_of(self, column: str) -> str:
        return next(variable.kind for variable in self.variables if variable.name == column)

    def schemes(self) -> dict[str, str]:
        by_name = {v.name: v for v in self.variables}
        return {name: scheme_of(self.dataset, name, by_name[name].scheme) for name in self.pseudonymised}


@dataclass(frozen=True)
class Lookup:
    """One pseudonymised column's registered table raw value → pseudonym.

    `exact`: no two values have the same salted hash, so that they are told apart by it alone. `incomplete`: some rows
    have no value that counts.
    """

    name: str
    table: str
    key: str
    exact: bool
    incomplete: bool

    @property
    def match(self) -> str:
        """Salted, because a join that outgrows the memory deals its rows out by a hash of what it joins by: otherwise
        that would be the same for every project and show in the order of the rows.
        """
        salted = f"{self.table}.salted = {_salted(self.key)}"
        return salted if self.exact else f"{salted} AND {self.table}.raw = {self.key}"


def build(places: Places, recipe: Recipe, key: PseudonymKey, folder: Path, work: Path, *, made_at: str) -> Manifest:
    """Writes the files and the manifest into `folder`, on disk and read-only when this returns.

    Raises what `opened` raises, `Conflict` when the source is no longer as it was registered.
    """
    outputs = [folder / MAIN, folder / LEFTOVER]
    with opened(places, recipe.organisation, recipe.kind, recipe.source, work, recipe.needed) as source:
        _check_columns(recipe, source)
        allowed = [*source.files, *map(str, outputs)]
        with locked(allowed, work, joins_as_written=True) as connection:
            lookups = _lookups(connection, recipe, source, key)
            incomplete = any(each.incomplete for each in lookups if each.name == recipe.lead)
            counts = {path: _write(connection, recipe, source, lookups, path) for path in outputs[: 1 + incomplete]}
        digest, kinds = source.digest, {name: source.columns[name] for name in recipe.columns}
    made = Manifest(
        grant=recipe.grant,
        dataset=recipe.dataset,
        columns={name: "text" if name in recipe.pseudonymised else kinds[name] for name in recipe.columns},
        rows=sum(counts.values()),
        files=tuple(manifest.describe(path, rows) for path, rows in counts.items()),
        source=digest,
        row_filter=digest_of(recipe.rows),
        pseudonyms=recipe.schemes(),
        pseudonym_version=VERSION,
        key_id=key.id,
        made_at=made_at,
    )
    manifest.write(folder, made)
    _settle(folder)
    return made


def _check_columns(recipe: Recipe, source: Opened) -> None:
    for variable in recipe.variables:
        if variable.name in recipe.needed and source.columns.get(variable.name) != variable.kind:
            raise Conflict(
                f"Column {variable.name} of {recipe.dataset} is no longer as it was registered.",
                hint="The custodian restores the source, or registers it under a new name.",
            )


def _lookups(
    connection: duckdb.DuckDBPyConnection, recipe: Recipe, source: Opened, key: PseudonymKey
) -> tuple[Lookup, ...]:
    """One per pseudonymised column, with every value among the granted rows."""
    found = []
    for number, (name, scheme) in enumerate(recipe.schemes().items()):
        records, parameters = _records(recipe, source)
        query = (
            f"SELECT value AS raw, {_salted('value')} AS salted, "  # noqa: S608
            f"encode({CANONICAL.format(column='value')}) AS canonical "
            f"FROM (SELECT DISTINCT {_key(quote(name), recipe.kind_of(name))} AS value FROM {records})"
        )
        values = connection.sql(query, params=parameters).to_arrow_table()
        known = values.filter(values["canonical"].is_valid())
        with ThreadPoolExecutor(1) as beside:
            exact = beside.submit(_all_different, values["salted"])
            translated = translation(key, scheme, known)
        lookup = Lookup(
            name=name,
            table=f"translation_{number}",
            key=_key(f"records.{quote(name)}", recipe.kind_of(name)),
            exact=exact.result(),
            incomplete=known.num_rows < values.num_rows,
        )
        connection.register(lookup.table, translated.drop_columns("raw") if lookup.exact else translated)
        found.append(lookup)
    return tuple(found)


def _all_different(values: pa.ChunkedArray) -> bool:
    import numpy as np

    ordered = np.sort(values.to_numpy())
    return not bool((ordered[1:] == ordered[:-1]).any())


def _write(
    connection: duckdb.DuckDBPyConnection, recipe: Recipe, source: Opened, lookups: Sequence[Lookup], path: Path
) -> int:
    """Rows in the order of the lead's pseudonyms go into the main file, those that lack it into another, shuffled."""
    query, parameters = _query(recipe, source, lookups, leftover=path.name == LEFTOVER)
    row = connection.execute(f"COPY ({query}) TO '{_literal(path)}' {_OPTIONS}", parameters).fetchone()
    return int(row[0]) if row else 0


def _query(recipe: Recipe, source: Opened, lookups: Sequence[Lookup], *, leftover: bool) -> tuple[str, dict[str, Any]]:
    records, parameters = _records(recipe, source)
    tables = {lookup.name: lookup.table for lookup in lookups}
    chosen = ", ".join(_chosen(recipe, name, tables) for name in recipe.columns)
    joins = [f"LEFT JOIN {each.table} ON {each.match}" for each in lookups]
    order = "ORDER BY random()"
    origin = f"{records} AS records"
    lead = next((each for each in lookups if each.name == recipe.lead), None)
    if leftover and lead:
        joins.append(f"WHERE {lead.table}.salted IS NULL")
    elif lead:
        order = ""
        origin = f"{lead.table} JOIN {origin} ON {lead.match}"
        joins = [join for each, join in zip(lookups, joins, strict=True) if each is not lead]
    return f"SELECT {chosen} FROM {origin} {' '.join(joins)} {order}", parameters  # noqa: S608


def _chosen(recipe: Recipe, name: str, tables: dict[str, str]) -> str:
    """One column of the extract. Numbers and text have one type each, whatever the source made of them."""
    if name in tables:
        return f"{tables[name]}.pseudonym AS {quote(name)}"
    kind = recipe.kind_of(name)
    column = f"records.{quote(name)}"
    return f"CAST({column} AS {_CASTS[kind]}) AS {quote(name)}" if kind in _CASTS else f"{column} AS {quote(name)}"


def _records(recipe: Recipe, source: Opened) -> tuple[str, dict[str, Any]]:
    """The granted rows as a subquery, with its parameters."""
    condition, parameters = filters.compile_rows(recipe.rows, recipe.variables)
    columns = ", ".join(quote(name) for name in recipe.needed)
    return (
        f"(SELECT {columns} FROM {source.relation} WHERE {condition})",  # noqa: S608
        {**parameters, "files": list(source.files), **({"salt": recipe.salt} if recipe.pseudonymised else {})},
    )


def _key(column: str, kind: str) -> str:
    """An identifier as it is joined by: one type each for numbers and text, whatever the source made of them."""
    return f"CAST({column} AS {'BIGINT' if kind == 'int' else 'VARCHAR'})"


def _salted(key: str) -> str:
    return f"hash({key}, $salt)"


def _literal(path: Path) -> str:
    """COPY takes no parameter for its target; the path is ours alone."""
    return str(path).replace("'", "''")


def _settle(folder: Path) -> None:
    """On disk and read-only."""
    for name in sorted(os.listdir(folder)):
        sync(folder / name)
        (folder / name).chmod(0o444)
    sync(folder)
    folder.chmod(0o555)


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def names_of(files: Sequence[manifest.File]) -> list[dict[str, str]]:
    """What an audit event says about files."""
    return [{"name": file.name, "sha256": file.sha256} for file in files]
