"""Registering: what a custodian may name, place and say, and what the catalogue then shows."""

import os
from datetime import date

import psycopg
import pyarrow as pa
import pytest

from tests.data.conftest import visits, visits_dataset, write_parquet
from tre.data import service, table
from tre.data.model import Sensitivity, SourceKind
from tre.data.service import Described
from tre.data.sources import Places
from tre.errors import Conflict, Forbidden, InvalidInput, NotFound, TreError, Unavailable
from tre.projects.service import Ask


def register(world, by="carol", **changes):
    service.register(world.db, world.places, world.actor(by), visits_dataset(**changes))


def shown(world, slug="visits"):
    with world.db.read() as session:
        dataset = service.get(session, slug)
        variables = {variable.name: variable for variable in dataset.variables}
        session.expunge_all()
    return dataset, variables


def test_the_catalogue_shows_types_ranges_and_missing_shares(visits_world):
    dataset, variables = shown(visits_world)
    assert (dataset.row_count, dataset.unit_count) == (300, 100)
    assert {name: v.kind for name, v in variables.items()} == {
        "nhs": "text",
        "person": "int",
        "age": "int",
        "sex": "text",
        "cost": "float",
        "seen": "date",
    }
    assert variables["sex"].categories == ["F", "M"]
    assert variables["cost"].missing == "about 10 %"
    assert variables["age"].missing == "few or none"
    assert (variables["seen"].lowest, variables["seen"].highest) == ("2020-02-01", "2020-10-01")
    # Exact: the tenth smallest of a person's lowest age is 23, the tenth largest 72.
    assert (int(variables["age"].lowest), int(variables["age"].highest)) == (23, 72)


def test_identifiers_and_units_show_no_range(visits_world):
    _, variables = shown(visits_world)
    for name in ("nhs", "person"):
        assert (variables[name].lowest, variables[name].highest, variables[name].categories) == (None, None, None)
    assert variables["nhs"].scheme == "nhs-number"


def test_one_person_with_many_records_is_one_unit(world):
    """A thousand records of nine people are nine people."""
    records = pa.table({"person": [i % 9 for i in range(1000)], "cost": [float(i) for i in range(1000)]})
    write_parquet(world.places, "acme", "visits", records)
    register(world, described={}, sensitivity=Sensitivity.de_personalised)
    dataset, variables = shown(world)
    assert (dataset.row_count, dataset.unit_count) == (None, None)
    assert (variables["cost"].missing, variables["cost"].lowest) == ("not shown", None)


def test_without_units_each_record_is_one(world):
    write_parquet(world.places, "acme", "visits", pa.table({"cost": [float(i) for i in range(432)]}))
    register(world, units=(), described={}, sensitivity=Sensitivity.anonymous)
    dataset, variables = shown(world)
    assert dataset.unit_count == 430
    assert (variables["cost"].lowest, variables["cost"].highest) == ("10", "420")


def test_infinite_values_count_as_missing(world):
    cost = [float("inf")] * 20 + [float("-inf")] * 20 + [float("nan")] * 20 + [float(i) for i in range(40)]
    write_parquet(world.places, "acme", "visits", pa.table({"cost": cost}))
    register(world, units=(), described={}, sensitivity=Sensitivity.anonymous)
    _, variables = shown(world)
    assert (variables["cost"].missing, variables["cost"].lowest, variables["cost"].highest) == ("about 60 %", "9", "30")


def test_an_empty_dataset_says_nothing(world):
    write_parquet(world.places, "acme", "visits", visits().slice(0, 0))
    register(world)
    dataset, variables = shown(world)
    assert dataset.row_count is None
    assert {v.missing for v in variables.values()} == {"not shown"}


@pytest.mark.parametrize("by", ["cyril", "rita", "adam", "olga"])
def test_only_the_controller_s_custodian_registers(world, by):
    write_parquet(world.places, "acme", "visits", visits())
    with pytest.raises(Forbidden):
        register(world, by=by)
    event = world.events("dataset.register")[0]
    assert (event["outcome"], event["actor"]) == ("refused", by)


def test_registering_is_audited_and_happens_once(visits_world):
    event = visits_world.events("dataset.register")[0]
    assert (event["outcome"], event["subject"], event["detail"]["source"]) == (
        "done",
        "dataset:visits",
        {"folder": "visits"},
    )
    with pytest.raises(Conflict):
        register(visits_world)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"source": {"folder": "../beta/secret"}}, "source.folder"),
        ({"source": {"folder": "/etc"}}, "source.folder"),
        ({"source": {"folder": "*"}}, "source.folder"),
        ({"source": {"folder": ""}}, "source.folder"),
        ({"source": {"folder": "a\0b"}}, "source.folder"),
        ({"source": {"folder": "elsewhere"}}, "source.folder"),
        ({"source": {"table": "visits"}}, "source"),
        ({"source": {"folder": "visits", "more": "x"}}, "source"),
        ({"source_kind": SourceKind.postgres, "source": {"table": 'a"; DROP TABLE b'}}, "source.table"),
        ({"source_kind": SourceKind.postgres, "source": {"table": "beta.secret"}}, "source.table"),
        ({"slug": "Visits!"}, "slug"),
        ({"title": " "}, "title"),
        ({"units": ("nobody",)}, "units"),
        ({"described": {"nobody": Described("x")}}, "variables"),
        ({"described": {"nhs": Described("x", identifier=True, scheme="Not A Slug")}}, "variables.nhs.scheme"),
        ({"sensitivity": Sensitivity.anonymous}, "sensitivity"),
    ],
)
def test_bad_words_are_refused_by_field(world, changes, field):
    write_parquet(world.places, "acme", "visits", visits())
    write_parquet(world.places, "beta", "secret", visits())
    with pytest.raises(TreError) as refusal:
        register(world, **changes)
    assert isinstance(refusal.value, InvalidInput | NotFound)
    assert refusal.value.field == field
    with world.db.read() as session:
        assert not service.list_datasets(session)


HOSTILE_NAMES = [
    "*.parquet",
    "[a-z].parquet",
    "a?.parquet",
    "{a,b}.parquet",
    "part 1.parquet",
    "part-1.csv",
    ".hidden.parquet",
    "part\n1.parquet",
    "part‮1.parquet",
    "-part.parquet",
    "~.parquet",
    "p'art.parquet",
    "a" * 200 + ".parquet",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_file_name_is_refused(world, name):
    good = write_parquet(world.places, "acme", "visits", visits())
    (good.parent / name).write_bytes(good.read_bytes())
    with pytest.raises(InvalidInput) as refusal:
        register(world)
    assert refusal.value.field == "source.folder"


def _link_file(folder, secret):
    (folder / "part-2.parquet").symlink_to(secret / "part-1.parquet")


def _link_hard(folder, secret):
    (folder / "part-2.parquet").hardlink_to(secret / "part-1.parquet")


def _fifo(folder, secret):
    os.mkfifo(folder / "part-2.parquet")


def _folder(folder, secret):
    (folder / "part-2.parquet").mkdir()


def _not_parquet(folder, secret):
    (folder / "part-2.parquet").write_bytes(b"PAR1 no PAR1")


def _truncated(folder, secret):
    whole = (folder / "part-1.parquet").read_bytes()
    (folder / "part-1.parquet").write_bytes(whole[: len(whole) // 2])


def _other_shape(folder, secret):
    import pyarrow.parquet as parquet

    parquet.write_table(pa.table({"other": [1]}), folder / "part-2.parquet")


def _nothing(folder, secret):
    (folder / "part-1.parquet").unlink()


@pytest.mark.parametrize(
    "spoil", [_link_file, _link_hard, _fifo, _folder, _not_parquet, _truncated, _other_shape, _nothing]
)
def test_links_special_files_and_broken_files_are_refused(world, spoil):
    folder = write_parquet(world.places, "acme", "visits", visits()).parent
    secret = write_parquet(world.places, "beta", "secret", visits()).parent
    spoil(folder, secret)
    with pytest.raises(InvalidInput) as refusal:
        register(world)
    assert refusal.value.field.startswith("source")


def test_a_folder_that_is_a_link_is_refused(world):
    secret = write_parquet(world.places, "beta", "secret", visits()).parent
    (world.places.incoming / "acme").mkdir()
    (world.places.incoming / "acme" / "visits").symlink_to(secret)
    with pytest.raises(NotFound):
        register(world)
    (world.places.incoming / "acme" / "visits").unlink()
    (world.places.incoming / "acme").rmdir()
    (world.places.incoming / "acme").symlink_to(secret.parent)
    with pytest.raises(NotFound):
        register(world, source={"folder": "secret"})


@pytest.mark.parametrize("name", ['a"b', "a b", "1a", "", "ä", "a" * 64, "a;b"])
def test_a_hostile_column_name_is_refused(world, name):
    write_parquet(world.places, "acme", "visits", pa.table({name: [1, 2]}))
    with pytest.raises(InvalidInput) as refusal:
        register(world, units=(), described={}, sensitivity=Sensitivity.anonymous)
    assert refusal.value.field == "source"


@pytest.mark.parametrize("column", [pa.array([[1]]), pa.array([b"x"]), pa.array([{"a": 1}])])
def test_an_unsupported_type_is_refused(world, column):
    write_parquet(world.places, "acme", "visits", pa.table({"a": column}))
    with pytest.raises(InvalidInput):
        register(world, units=(), described={}, sensitivity=Sensitivity.anonymous)


def test_names_that_differ_in_case_only_are_refused(world):
    write_parquet(world.places, "acme", "visits", pa.table({"age": [1], "b": [2]}))
    write_parquet(world.places, "acme", "cased", pa.table([pa.array([1]), pa.array([2])], names=["age", "AGE"]))
    with pytest.raises(InvalidInput):
        register(world, source={"folder": "cased"}, units=(), described={}, sensitivity=Sensitivity.anonymous)


def test_profiling_again_follows_the_data_but_not_other_columns(visits_world):
    world = visits_world
    write_parquet(world.places, "acme", "visits", visits(600, 200))
    world.clock.forward(days=1)
    service.profile_again(world.db, world.places, world.actor("carol"), "visits")
    dataset, _ = shown(world)
    assert (dataset.unit_count, dataset.profiled_at) == (200, world.clock.now)
    write_parquet(world.places, "acme", "visits", visits().drop_columns(["cost"]))
    with pytest.raises(Conflict):
        service.profile_again(world.db, world.places, world.actor("carol"), "visits")
    with pytest.raises(Forbidden):
        service.profile_again(world.db, world.places, world.actor("cyril"), "visits")


def test_withdrawn_datasets_cannot_be_asked_for(visits_world):
    world = visits_world
    with pytest.raises(Forbidden):
        service.withdraw(world.db, world.actor("cyril"), "visits", reason="no")
    service.withdraw(world.db, world.actor("carol"), "visits", reason="superseded")
    with pytest.raises(Conflict):
        service.withdraw(world.db, world.actor("carol"), "visits", reason="twice")
    with world.db.read() as session, pytest.raises(InvalidInput):
        service.check_asks(session, [Ask("visits", ("age",))])


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (Ask("nothing", ("age",)), "datasets.0.dataset"),
        (Ask("visits", ("age", "salary")), "datasets.0.columns"),
        (Ask("visits", ("age",), {"column": "nhs", "op": "==", "value": "1"}), "datasets.0.rows"),
        (Ask("visits", ("age",), {"column": "sex", "op": "==", "value": "\0"}), "datasets.0.rows.sex"),
    ],
)
def test_a_proposal_asks_for_what_exists(visits_world, asked, field):
    with visits_world.db.read() as session, pytest.raises(InvalidInput) as refusal:
        service.check_asks(session, [asked])
    assert refusal.value.field == field


def test_nothing_of_the_work_stays(visits_world):
    assert list(visits_world.places.extracts.iterdir()) == []


def test_files_that_change_while_they_are_read_are_refused(world, monkeypatch):
    part = write_parquet(world.places, "acme", "visits", visits())
    real = service.profile.measure

    def slow(*arguments):
        measured = real(*arguments)
        with part.open("ab") as file:
            file.write(b"more")
        return measured

    monkeypatch.setattr(service.profile, "measure", slow)
    with pytest.raises(Conflict) as refusal:
        register(world)
    assert "changed while they were read" in refusal.value.message


def test_free_text_and_many_values_show_no_categories(world):
    table = pa.table(
        {
            "code": [f"C{i % 70}" for i in range(2000)],
            "note": ["a note that somebody wrote about somebody else in a clinic, and so on"] * 2000,
            "few": [f"v{i % 3}" for i in range(2000)],
        }
    )
    write_parquet(world.places, "acme", "visits", table)
    register(world, units=(), described={}, sensitivity=Sensitivity.de_personalised)
    _, variables = shown(world)
    assert variables["code"].categories is None
    assert variables["note"].categories is None
    assert variables["few"].categories == ["v0", "v1", "v2"]


def test_too_many_columns_or_files_are_refused(world, monkeypatch):
    from tre.data import sources

    write_parquet(world.places, "acme", "visits", visits())
    monkeypatch.setattr(sources, "MOST_COLUMNS", 5)
    with pytest.raises(InvalidInput):
        register(world)
    monkeypatch.undo()
    monkeypatch.setattr(sources, "MOST_FILES", 1)
    write_parquet(world.places, "acme", "visits", visits(), "part-2")
    with pytest.raises(InvalidInput):
        register(world)


def test_several_files_are_one_dataset(world):
    write_parquet(world.places, "acme", "visits", visits())
    write_parquet(world.places, "acme", "visits", visits(), "part-2")
    register(world)
    dataset, _ = shown(world)
    assert (dataset.row_count, dataset.unit_count) == (600, 100)


def test_places_come_from_the_settings(fresh_settings):
    places = Places.from_settings(fresh_settings)
    assert places.incoming == fresh_settings.state / "incoming"
    assert places.extracts == fresh_settings.extracts
    assert "dbname='datasets'" in places.database("datasets")


@pytest.fixture
def shared_table(data_db, world):
    """acme's schema with a table of every supported type, and beta's with a secret."""
    with psycopg.connect(data_db, autocommit=True) as db:
        for schema in ("acme", "beta"):
            db.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
            db.execute(f"CREATE SCHEMA {schema}")
        db.execute(
            "CREATE TABLE acme.visits AS SELECT i AS person, i::text AS nhs, (i % 50)::smallint AS age,"
            " i * 1.5 AS cost, i::real AS r, i % 2 = 0 AS dead, DATE '2020-01-01' + i AS seen, 'x'::varchar(3) AS site,"
            " TIMESTAMPTZ '2020-01-01 00:00+02' + make_interval(days => i) AS at, gen_random_uuid() AS visit"
            " FROM generate_series(1, 500) i"
        )
        db.execute("CREATE TABLE beta.secret AS SELECT 1 AS person")
        db.execute("CREATE TABLE acme.odd AS SELECT '{}'::jsonb AS j")
    world.places = Places(world.places.incoming, world.places.extracts, lambda database: data_db)
    yield world
    with psycopg.connect(data_db, autocommit=True) as db:
        db.execute("DROP SCHEMA acme CASCADE")
        db.execute("DROP SCHEMA beta CASCADE")


def test_a_table_of_the_shared_server_is_registered(shared_table):
    register(shared_table, source_kind=SourceKind.postgres, source={"table": "visits"})
    dataset, variables = shown(shared_table)
    assert dataset.unit_count == 500
    kinds = ["int", "text", "int", "float", "float", "bool", "date", "text", "time", "text"]
    assert [v.kind for v in variables.values()] == kinds
    assert variables["dead"].categories == ["false", "true"]
    assert variables["at"].lowest == "2020-02-01"
    assert variables["seen"].highest == date(2021, 5, 1).isoformat()


@pytest.mark.parametrize(("name", "error"), [("secret", NotFound), ("odd", InvalidInput), ("pg_class", NotFound)])
def test_a_custodian_reaches_the_own_schema_only(shared_table, name, error):
    with pytest.raises(error):
        register(shared_table, source_kind=SourceKind.postgres, source={"table": name}, units=(), described={})


@pytest.mark.parametrize("organisation", ["pg-catalog", "information-schema", "pg-toast"])
def test_an_organisation_named_like_the_server_s_own_schemas_has_none(organisation):
    with pytest.raises(InvalidInput):
        table.schema_of(organisation)


def test_a_silent_server_is_unavailable_and_says_nothing_of_the_connection(world):
    world.places = Places(
        world.places.incoming, world.places.extracts, lambda database: "host=/nowhere password=hunter2hunter2"
    )
    with pytest.raises(Unavailable) as error:
        register(world, source_kind=SourceKind.postgres, source={"table": "visits"})
    assert "hunter2" not in str(error.value)
