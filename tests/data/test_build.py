"""Building under attack: memory that does not suffice, and a key that nothing may show."""

import contextlib
from pathlib import Path

import duckdb
import pytest

from tre.data import build as building
from tre.data import engine
from tre.data.build import Recipe, build
from tre.data.model import SourceKind, Variable
from tre.data.pseudonyms import PseudonymKey
from tre.data.sources import Places
from tre.errors import InvalidInput, Unavailable

KINDS = {"nhs": "text", "n": "int", "words": "text"}
ROWS, PEOPLE = 600_000, 60_000


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> Places:
    """600,000 records of 60,000 people, with enough text to outgrow a small memory."""
    folder = tmp_path_factory.mktemp("build")
    target = folder / "incoming" / "acme" / "visits" / "part-1.parquet"
    target.parent.mkdir(parents=True)
    words = "'some words that fill the memory: ' || hash(i)"
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT lpad((i % {PEOPLE})::VARCHAR, 10, '0') AS nhs, i AS n, {words} AS words"
            f" FROM range({ROWS}) t(i)) TO '{target}'"
        )
    return Places(folder / "incoming", folder, lambda database: "")


def recipe(**changes) -> Recipe:
    variables = [Variable(name=n, kind=k, identifier=n == "nhs", unit=False, scheme="") for n, k in KINDS.items()]
    values = {
        "grant": 1,
        "dataset": "visits",
        "organisation": "acme",
        "kind": SourceKind.parquet,
        "source": {"folder": "visits"},
        "columns": tuple(KINDS),
        "pseudonymised": ("nhs",),
        "rows": None,
        "variables": tuple(variables),
        **changes,
    }
    return Recipe(**values)


def built(places: Places, folder: Path, key: bytes, **changes) -> Path:
    target, work = folder / "files", folder / "work"
    target.mkdir(parents=True)
    work.mkdir()
    build(places, recipe(**changes), PseudonymKey(key), target, work, made_at="now")
    return target


def alike(first: Path, second: Path) -> float:
    """Correlation of the places at which the same people first come in two extracts."""
    numbered = "SELECT n, row_number() OVER () AS place FROM '{}'"
    places = f"SELECT n % {PEOPLE} AS person, min(place) AS place FROM ({numbered}) GROUP BY 1"
    with duckdb.connect() as connection:
        row = connection.execute(
            f"SELECT abs(corr(a.place, b.place)) FROM ({places.format(first / 'part-1.parquet')}) a"
            f" JOIN ({places.format(second / 'part-1.parquet')}) b USING (person)"
        ).fetchone()
    return row[0]


@pytest.mark.parametrize("memory", ["1500MB", "90MB"])
@pytest.mark.parametrize("salted", [True, False])
def test_the_order_of_people_has_nothing_in_common(places, tmp_path, monkeypatch, memory, salted):
    """Also where a join outgrows the memory. There, without the salt, the orders are alike: the test would see it."""
    real = duckdb.connect
    monkeypatch.setattr(duckdb, "connect", lambda config=None: real(config={**(config or {}), "threads": 2}))
    monkeypatch.setattr(engine, "MEMORY", memory)
    if not salted:
        monkeypatch.setattr(building, "_salted", lambda key: f"hash({key}, right($salt::VARCHAR, 0))")
    heart = built(places, tmp_path / "heart", bytes(32))
    lungs = built(places, tmp_path / "lungs", bytes(range(32)))
    if salted or memory == "1500MB":
        assert alike(heart, lungs) < 0.05
    else:
        assert alike(heart, lungs) > 0.2


def rows_of(folder: Path) -> set[tuple[object, ...]]:
    with duckdb.connect() as connection:
        return set(connection.execute(f"SELECT * FROM '{folder}/*.parquet'").fetchall())


def test_identifiers_whose_salted_hashes_are_the_same_stay_apart(places, tmp_path, monkeypatch):
    """The hash alone is joined by only where it was seen to tell all of them apart."""
    usual = built(places, tmp_path / "usual", bytes(32))
    monkeypatch.setattr(building, "_salted", lambda key: f"hash({key}, $salt) % {PEOPLE}")
    colliding = built(places, tmp_path / "colliding", bytes(32))
    found = rows_of(usual)
    assert len(found) == ROWS
    assert rows_of(colliding) == found


def test_memory_that_does_not_suffice_is_told(places, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "MEMORY", "1MB")
    with pytest.raises(Unavailable) as error:
        built(places, tmp_path, bytes(32))
    assert "memory or disk" in error.value.message


class Overheard:
    """A connection that writes down every query, every parameter, and DuckDB's own profile of what it ran."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, heard: list[str]) -> None:
        self._connection, self._heard = connection, heard

    def __getattr__(self, name):
        def call(*arguments, **options):
            self._profile()
            self._heard += [repr(arguments), repr(options)]
            result = getattr(self._connection, name)(*arguments, **options)
            if name != "close":
                self._profile()
            return result

        return call

    def _profile(self):
        with contextlib.suppress(duckdb.Error):
            self._heard.append(self._connection.get_profiling_information(format="json"))


def test_the_key_reaches_neither_queries_nor_parameters_nor_profile_nor_files(places, tmp_path, monkeypatch):
    """The profile is where a key that is merely bound would show."""
    key, heard, real = bytes(range(100, 132)), [], duckdb.connect

    def overheard(**options):
        connection = real(**options)
        connection.execute("PRAGMA enable_profiling = 'json'")
        connection.execute("SET profiling_output = ''")
        return Overheard(connection, heard)

    monkeypatch.setattr(duckdb, "connect", overheard)
    monkeypatch.setattr(building, "CANONICAL", building.CANONICAL + " || 'SEEN IN THE PROFILE'")
    built(places, tmp_path, key)
    padded = [bytes(byte ^ pad for byte in key) for pad in (0, 0x36, 0x5C)]
    spellings = [text for part in padded for text in (repr(part), part.hex(), part.hex().upper())]
    spellings += ["".join(f"\\x{byte:02X}" for byte in part) for part in padded]
    said = "".join(heard)
    assert "COPY" in said
    assert '"operator"' in said
    assert "SEEN IN THE PROFILE" in "".join(part for part in heard if '"operator"' in part)
    assert not [spelling for spelling in spellings if spelling in said]
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert not [part for part in padded if part in path.read_bytes()]


LOCKED_OUT = [
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM glob('/etc/*')",
    "COPY (SELECT 1) TO '/tmp/tre-escaped.parquet'",
    "ATTACH '/tmp/tre-escaped.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "SET allowed_paths = ['/etc/passwd']",
    "SET lock_configuration = false",
    "PRAGMA enable_profiling",
    "EXPORT DATABASE '/tmp/tre-escaped'",
    "SELECT * FROM 'https://example.org/x.parquet'",
    "CREATE PERSISTENT SECRET s (TYPE http, BEARER_TOKEN 'x')",
]


@pytest.mark.parametrize("query", LOCKED_OUT)
def test_the_engine_opens_nothing_else_and_stays_locked(tmp_path, query):
    with pytest.raises((InvalidInput, Unavailable)), engine.locked([], tmp_path) as connection:
        connection.execute(query)
    assert not list(Path("/tmp").glob("tre-escaped*"))


def test_variables_of_python_are_no_tables(tmp_path):
    table = {"a": [1]}
    with pytest.raises(InvalidInput), engine.locked([], tmp_path) as connection:
        connection.execute("SELECT * FROM table_of_mine")
    assert table


def test_an_error_never_quotes_the_data(tmp_path):
    with pytest.raises(InvalidInput) as error, engine.locked([], tmp_path) as connection:
        connection.execute("SELECT CAST('Mrs Secret' AS INTEGER)")
    assert "Secret" not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__
