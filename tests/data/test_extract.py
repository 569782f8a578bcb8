"""One extract: only what was granted, nothing that names anybody, nothing that joins two projects."""

import random
import stat
from collections import Counter
from datetime import timedelta
from statistics import correlation

import duckdb
import pyarrow as pa
import pytest
from sqlalchemy import select

from tests.data.conftest import ask, read_rows, visits, visits_dataset, write_parquet
from tre.data import extracts, grants, manifest, service, snapshots
from tre.data.model import Delivery, Extract, ExtractState, Sensitivity
from tre.data.pseudonyms import PseudonymKey, pseudonym
from tre.data.service import Described
from tre.data.worker import step, tidy
from tre.errors import Broken, Conflict, Forbidden, NotFound
from tre.projects.model import ProjectState


@pytest.fixture
def ready(visits_world):
    visits_world.project("heart", [ask()], team=("rob",))
    return visits_world


def work(world, secrets, times=1):
    return [step(world.db, world.places, secrets) for _ in range(times)]


def state(world, number=None):
    with world.db.read() as session:
        query = select(Extract).order_by(Extract.id.desc())
        found = session.scalars(query if number is None else query.where(Extract.grant_id == number)).first()
        return ExtractState(found.state), found.reason


def rows_of(world, project="heart", dataset="visits"):
    with world.db.read() as session:
        today = world.clock.now.date()
        return read_rows(snapshots.snapshot_paths(session, world.places, project, dataset, today))


def mounts(world, project="heart"):
    with world.db.read() as session:
        return snapshots.mounts(session, world.places, project, world.clock.now.date())


def test_an_extract_holds_the_granted_columns_and_rows(ready, local_secrets):
    ready.grant("heart", "visits", columns=("nhs", "age", "cost"), rows={"column": "age", "op": ">=", "value": 40})
    assert work(ready, local_secrets, 2) == [True, False]
    rows = rows_of(ready)
    expected = [row for row in visits().to_pylist() if row["age"] >= 40]
    key = PseudonymKey(local_secrets.pseudonym_key("heart"))

    def change(row):
        return pseudonym(key, "scheme\x1fnhs-number", row["nhs"]), row["age"], row["cost"]

    assert Counter(map(change, expected)) == Counter((row["nhs"], row["age"], row["cost"]) for row in rows)
    assert set(rows[0]) == {"nhs", "age", "cost"}


def test_no_identifier_is_in_any_byte(ready, local_secrets):
    ready.grant("heart", "visits")
    work(ready, local_secrets)
    ((_, folder),) = mounts(ready)
    table = duckdb.execute(f"SELECT * FROM '{folder}/part-1.parquet'").fetchall()
    names = {row["nhs"] for row in visits().to_pylist()}
    assert not names & {str(value) for row in table for value in row}
    assert len({row[0] for row in table}) == len(names)
    key = local_secrets.pseudonym_key("heart")
    for path in ready.places.extracts.rglob("*"):
        if path.is_file():
            assert key not in path.read_bytes()
            assert key.hex().encode() not in path.read_bytes()


def test_two_projects_cannot_be_joined_by_pseudonym_or_by_the_order_of_rows(ready, local_secrets):
    ready.project("lungs", [ask()])
    for project in ("heart", "lungs"):
        ready.grant(project, "visits")
    work(ready, local_secrets, 2)
    heart, lungs = rows_of(ready), rows_of(ready, "lungs")
    for name in ("nhs", "person"):
        assert not {row[name] for row in heart} & {row[name] for row in lungs}
        assert len({row[name] for row in heart}) == 100
    # A person's first costs name them here: do people come in a like order? Equal orders would correlate by 1.
    assert abs(_correlation(_places(heart, lungs))) < 0.4


def _places(first, second):
    """Where each person comes in the one and in the other, people being told by their costs."""

    def people(rows):
        places, costs = {}, {}
        for number, row in enumerate(rows):
            places.setdefault(row["nhs"], number)
            costs.setdefault(row["nhs"], []).append(row["cost"] or 0)
        return {tuple(sorted(costs[name])): place for name, place in places.items()}

    one, other = people(first), people(second)
    return [(place, other[person]) for person, place in one.items()]


def _correlation(pairs):
    return correlation([a for a, _ in pairs], [b for _, b in pairs])


def test_without_a_pseudonym_the_rows_are_shuffled(ready, local_secrets):
    ready.project("lungs", [ask("cost", "sex")])
    ready.grant("lungs", "visits")
    work(ready, local_secrets)
    costs = [row["cost"] for row in rows_of(ready, "lungs") if row["cost"] is not None]
    assert sorted(costs) == sorted(c for c in visits()["cost"].to_pylist() if c is not None)
    assert abs(_correlation(list(enumerate(costs)))) < 0.5


def test_a_pseudonymised_category_does_not_keep_the_source_s_order(ready, local_secrets):
    """Hospitals are few and their sizes tell them apart: their rows are shuffled, not only grouped."""
    ready.project("lungs", [ask("cost", "sex")])
    ready.grant("lungs", "visits", pseudonymised=("sex",))
    work(ready, local_secrets)
    rows = rows_of(ready, "lungs")
    assert {len(row["sex"]) for row in rows} == {32}
    for sex in {row["sex"] for row in rows}:
        costs = [row["cost"] for row in rows if row["sex"] == sex and row["cost"] is not None]
        assert abs(_correlation(list(enumerate(costs)))) < 0.6


def test_rows_without_an_identifier_stay_and_get_no_pseudonym(world, local_secrets):
    names = [None, "", "  ", "a", "a ", "b"] * 5
    write_parquet(world.places, "acme", "visits", pa.table({"nhs": names, "n": list(range(30))}))
    described = {"nhs": Described("number", identifier=True)}
    service.register(world.db, world.places, world.actor("carol"), visits_dataset(units=(), described=described))
    world.project("heart", [ask("nhs", "n")])
    world.grant("heart", "visits")
    work(world, local_secrets)
    rows = rows_of(world)
    assert sorted(row["n"] for row in rows) == list(range(30))
    found = Counter(row["nhs"] for row in rows)
    assert found.pop(None) == 15
    # "a" and "a " are one person: one spelling, one pseudonym.
    assert sorted(found.values()) == [5, 10]


def test_equal_schemes_join_two_datasets_inside_one_project_only(ready, local_secrets):
    write_parquet(ready.places, "beta", "deaths", pa.table({"number": [f"{400 + i} 000 {i:04}" for i in range(50)]}))
    described = {"number": Described("NHS number", identifier=True, scheme="nhs-number")}
    other = visits_dataset(
        slug="deaths", organisation="beta", source={"folder": "deaths"}, units=(), described=described
    )
    service.register(ready.db, ready.places, ready.actor("cyril"), other)
    ready.project("link", [ask("nhs", "person"), ask("number", dataset="deaths")])
    ready.grant("link", "visits")
    ready.grant("link", "deaths", by="cyril")
    work(ready, local_secrets, 2)
    people = {row["nhs"] for row in rows_of(ready, "link")}
    dead = {row["number"] for row in rows_of(ready, "link", "deaths")}
    assert len(people & dead) == 50
    assert not {row["person"] for row in rows_of(ready, "link")} & dead


def test_a_snapshot_is_pinned_against_a_change_of_the_source(ready, local_secrets):
    ready.grant("heart", "visits")
    work(ready, local_secrets)
    before = rows_of(ready)
    write_parquet(ready.places, "acme", "visits", visits(30))
    work(ready, local_secrets)
    assert rows_of(ready) == before


def test_the_manifest_says_what_it_is_and_its_digest_is_in_the_audit_record(ready, local_secrets):
    number = ready.grant("heart", "visits", columns=("nhs", "age"))
    work(ready, local_secrets)
    with ready.db.read() as session:
        found = snapshots.snapshot(session, ready.places, "heart", "visits", ready.clock.now.date())
    assert (found.grant, found.dataset, found.rows) == (number, "visits", 300)
    assert found.columns == {"nhs": "text", "age": "int"}
    assert found.pseudonyms == {"nhs": "scheme\x1fnhs-number"}
    assert found.key_id == PseudonymKey(local_secrets.pseudonym_key("heart")).id
    event = ready.events("extract.ready")[0]
    assert event["detail"]["manifest"] == found.digest
    assert event["detail"]["files"] == [{"name": f.name, "sha256": f.sha256} for f in found.files]
    assert [e["action"] for e in ready.events("extract")] == ["extract.ready", "extract.build"]


def test_files_are_read_only_and_their_names_tell_nothing(ready, local_secrets):
    ready.grant("heart", "visits")
    work(ready, local_secrets)
    ((name, folder),) = mounts(ready)
    assert name == "visits"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o555
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o444}
    for word in ("heart", "visits", "rita", "carol"):
        assert word not in folder.name
    assert sorted(path.name for path in ready.places.extracts.iterdir()) == [folder.name]


@pytest.mark.parametrize("spoil", ["change", "add", "remove", "manifest", "row", "gone", "link"])
def test_an_altered_snapshot_is_broken_and_never_used(ready, local_secrets, spoil):
    ready.grant("heart", "visits")
    work(ready, local_secrets)
    ((_, folder),) = mounts(ready)
    part = folder / "part-1.parquet"
    folder.chmod(0o755)
    if spoil == "change":
        part.chmod(0o644)
        with part.open("r+b") as file:
            file.seek(100)
            file.write(b"x")
    elif spoil == "add":
        (folder / "more.parquet").write_bytes(part.read_bytes())
    elif spoil == "remove":
        part.unlink()
    elif spoil == "manifest":
        (folder / manifest.NAME).chmod(0o644)
        (folder / manifest.NAME).write_text('{"format": "tre-extract/1"}')
    elif spoil == "row":
        with ready.db.transaction() as session:
            extract = session.scalars(select(Extract)).one()
            extract.manifest = {**extract.manifest, "rows": 1}
    elif spoil == "gone":
        extracts.remove_folder(folder)
    else:
        kept = part.rename(folder.parent / "kept")
        part.symlink_to(kept)
    with pytest.raises(Broken):
        rows_of(ready)


def test_a_grant_of_a_database_only_mounts_nothing(ready):
    number = ready.grant("heart", "visits", delivery=Delivery.database)
    with ready.db.transaction() as session:
        extract = session.scalars(select(Extract).where(Extract.grant_id == number)).one()
        extract.state = ExtractState.ready
    assert mounts(ready) == []
    with ready.db.read() as session:
        assert snapshots.needs_database(session, "heart", ready.clock.now.date())


def test_there_is_no_snapshot_without_a_ready_extract(ready, local_secrets):
    with pytest.raises(NotFound):
        rows_of(ready)
    ready.grant("heart", "visits")
    assert mounts(ready) == []
    work(ready, local_secrets)
    ready.clock.forward(days=101)
    assert mounts(ready) == []
    with pytest.raises(NotFound):
        rows_of(ready)


def test_nothing_is_built_before_the_project_is_approved(visits_world, local_secrets):
    from tre.projects import service as projects

    visits_world.project("heart", [ask()], approve=False)
    visits_world.grant("heart", "visits")
    assert work(visits_world, local_secrets) == [False]
    assert local_secrets.asked == []
    projects.approve(visits_world.db, visits_world.actor("adam"), "heart", reason="good")
    assert work(visits_world, local_secrets) == [True]
    visits_world.set_state("heart", ProjectState.suspended)
    assert work(visits_world, local_secrets) == [False]
    assert state(visits_world)[0] is ExtractState.ready


def test_a_changed_source_fails_visibly_and_is_built_again_on_request(ready, local_secrets):
    number = ready.grant("heart", "visits")
    write_parquet(ready.places, "acme", "visits", visits().drop_columns(["age"]))
    assert work(ready, local_secrets, 2) == [True, False]
    assert state(ready) == (ExtractState.failed, "Column age of visits is no longer as it was registered.")
    with ready.db.read() as session:
        (obstacle,) = grants.obstacles(session, "heart", ready.clock.now.date())
    assert (obstacle.code, "no longer" in obstacle.message) == ("extract_not_ready", True)
    write_parquet(ready.places, "acme", "visits", visits())
    with pytest.raises(Forbidden):
        extracts.build_again(ready.db, ready.actor("rita"), number)
    extracts.build_again(ready.db, ready.actor("carol"), number)
    assert work(ready, local_secrets) == [True]
    assert state(ready) == (ExtractState.ready, "")
    with pytest.raises(Conflict):
        extracts.build_again(ready.db, ready.actor("adam"), number)
    with pytest.raises(NotFound):
        extracts.build_again(ready.db, ready.actor("adam"), number + 1)


def test_a_secrets_server_that_is_down_is_tried_again_later_and_not_for_ever(ready, local_secrets):
    ready.grant("heart", "visits")
    local_secrets.down = True
    for attempt in range(1, extracts.MOST_ATTEMPTS):
        assert work(ready, local_secrets, 2) == [True, False]
        assert state(ready) == (ExtractState.queued, "the secrets server does not answer")
        ready.clock.forward(seconds=attempt * extracts.PAUSE.total_seconds() + 1)
    work(ready, local_secrets)
    assert state(ready)[0] is ExtractState.failed
    assert [e["detail"]["again"] for e in ready.events("extract.fail")] == [False, True, True]


def test_a_full_disk_is_told_and_leaves_nothing(ready, local_secrets, monkeypatch):
    ready.grant("heart", "visits")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(extracts, "build", full)
    work(ready, local_secrets)
    assert state(ready) == (ExtractState.queued, "The extract's files cannot be written: No space left on device.")
    assert list(ready.places.extracts.iterdir()) == []


def test_a_mistake_of_ours_is_recorded_and_raised(ready, local_secrets, monkeypatch):
    ready.grant("heart", "visits")
    monkeypatch.setattr(extracts, "build", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        work(ready, local_secrets)
    assert state(ready) == (ExtractState.failed, "An unexpected error (ZeroDivisionError).")


def lose(world):
    """A worker claims and dies."""
    claim = extracts._claim(world.db)
    assert claim is not None
    return claim


def test_a_lost_worker_s_extract_is_built_by_the_next(ready, local_secrets):
    ready.grant("heart", "visits")
    claim = lose(ready)
    assert work(ready, local_secrets) == [False]
    ready.clock.forward(seconds=61)
    assert work(ready, local_secrets) == [True]
    assert state(ready)[0] is ExtractState.ready
    # The dead come too late: nothing that they say counts.
    assert not extracts._renew(ready.db, claim)
    extracts._give_back(ready.db, claim, Broken("too late"))
    with pytest.raises(extracts._Lost):
        extracts._record(ready.db, ready.places, claim, None, None)
    assert state(ready)[0] is ExtractState.ready


def test_a_lease_that_is_renewed_is_not_taken(ready, local_secrets):
    ready.grant("heart", "visits")
    claim = lose(ready)
    for _ in range(5):
        ready.clock.forward(seconds=50)
        assert extracts._renew(ready.db, claim)
        assert work(ready, local_secrets) == [False]


def test_workers_that_die_three_times_leave_a_visible_failure(ready, local_secrets):
    ready.grant("heart", "visits")
    for _ in range(extracts.MOST_ATTEMPTS):
        lose(ready)
        ready.clock.forward(seconds=61)
    assert work(ready, local_secrets) == [False]
    assert state(ready) == (ExtractState.failed, "Its worker was lost 3 times.")


def test_what_was_finished_but_not_recorded_is_taken_over(ready, local_secrets, monkeypatch):
    ready.grant("heart", "visits")

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    monkeypatch.setattr(extracts, "_record", killed)
    with pytest.raises(Killed):
        work(ready, local_secrets)
    monkeypatch.undo()
    ready.clock.forward(seconds=61)
    made = [path.stat().st_ino for path in ready.places.extracts.rglob("*.parquet")]
    assert work(ready, local_secrets) == [True]
    assert [path.stat().st_ino for path in ready.places.extracts.rglob("*.parquet")] == made
    assert local_secrets.asked == ["heart"]
    assert len(rows_of(ready)) == 300


def test_a_half_finished_folder_under_the_final_name_is_thrown_away(ready, local_secrets):
    ready.grant("heart", "visits")
    with ready.db.read() as session:
        folder = ready.places.extracts / session.scalars(select(Extract.name)).one()
    folder.mkdir(parents=True)
    (folder / "part-1.parquet").write_bytes(b"half")
    assert work(ready, local_secrets) == [True]
    assert len(rows_of(ready)) == 300


def test_a_grant_that_ends_while_it_is_built_leaves_nothing(ready, local_secrets, monkeypatch):
    number = ready.grant("heart", "visits")
    real = extracts.build

    def slow(*arguments, **options):
        made = real(*arguments, **options)
        grants.end(ready.db, ready.actor("carol"), number, reason="breach")
        assert step(ready.db, ready.places, local_secrets)  # another worker removes it
        return made

    monkeypatch.setattr(extracts, "build", slow)
    assert work(ready, local_secrets) == [True]
    assert state(ready)[0] is ExtractState.removed
    assert mounts(ready) == []
    assert tidy(ready.db, ready.places) == 1
    assert list(ready.places.extracts.iterdir()) == []


def test_removal_proves_what_was_deleted(ready, local_secrets):
    number = ready.grant("heart", "visits")
    work(ready, local_secrets)
    ((_, folder),) = mounts(ready)
    made = manifest.read(folder)
    grants.end(ready.db, ready.actor("carol"), number, reason="enough")
    assert mounts(ready) == []
    assert work(ready, local_secrets, 2) == [True, False]
    assert not folder.exists()
    detail = ready.events("extract.remove")[0]["detail"]
    assert detail["files"] == [{"name": f.name, "sha256": f.sha256} for f in made.files]
    assert (detail["as_pinned"], detail["left"], detail["from"]) == (True, False, "ready")


@pytest.mark.parametrize("end", ["closed", "ran out", "refused"])
def test_extracts_go_when_the_project_closes_or_the_grant_runs_out(ready, local_secrets, end):
    ready.grant("heart", "visits")
    work(ready, local_secrets)
    if end == "ran out":
        ready.clock.forward(days=101)
    else:
        ready.set_state("heart", ProjectState(end))
    # A closed project's key and database go in a step of their own.
    assert work(ready, local_secrets, 3) == ([True, True, False] if end == "closed" else [True, False, False])
    assert state(ready)[0] is ExtractState.removed
    assert list(ready.places.extracts.iterdir()) == []


def test_removal_of_altered_bytes_says_so(ready, local_secrets):
    number = ready.grant("heart", "visits")
    work(ready, local_secrets)
    ((_, folder),) = mounts(ready)
    folder.chmod(0o755)
    (folder / "part-1.parquet").unlink()
    (folder / manifest.NAME).unlink()
    grants.end(ready.db, ready.actor("carol"), number, reason="enough")
    work(ready, local_secrets)
    detail = ready.events("extract.remove")[0]["detail"]
    assert detail["as_pinned"] is False
    assert detail["found"] == ["_manifest.json is missing", "part-1.parquet is missing"]


def test_a_removal_that_was_killed_is_done_again(ready, local_secrets, monkeypatch):
    from tre.data import removal

    number = ready.grant("heart", "visits")
    work(ready, local_secrets)
    grants.end(ready.db, ready.actor("carol"), number, reason="enough")

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    monkeypatch.setattr(removal, "names_of", killed)
    with pytest.raises(Killed):
        work(ready, local_secrets)
    monkeypatch.undo()
    assert state(ready)[0] is ExtractState.ready
    assert work(ready, local_secrets) == [True]
    assert ready.events("extract.remove")[0]["detail"]["found"] == ["the folder is missing"]


def test_a_removal_that_fails_holds_up_nothing_else(ready, local_secrets, monkeypatch):
    from tre.data import removal

    number = ready.grant("heart", "visits")
    ready.project("lungs", [ask()])
    other = ready.grant("lungs", "visits")
    work(ready, local_secrets, 2)
    for one in (number, other):
        grants.end(ready.db, ready.actor("carol"), one, reason="enough")
    broken = str(mounts_name(ready, number))

    def stuck(folder):
        if folder.name == broken:
            raise OSError(5, "Input/output error")
        extracts.remove_folder(folder)

    monkeypatch.setattr(removal, "remove_folder", stuck)
    assert work(ready, local_secrets, 2) == [True, False]
    assert (state(ready, number)[0], state(ready, other)[0]) == (ExtractState.ready, ExtractState.removed)


def mounts_name(world, number):
    with world.db.read() as session:
        return session.scalars(select(Extract.name).where(Extract.grant_id == number)).one()


def test_a_new_grant_waits_until_the_old_extract_is_gone(ready, local_secrets):
    """Both would have the same table."""
    first = ready.grant("heart", "visits")
    work(ready, local_secrets)
    grants.end(ready.db, ready.actor("carol"), first, reason="more columns")
    second = ready.grant("heart", "visits", columns=("age",))
    assert not extracts.step(ready.db, ready.places, local_secrets)
    assert work(ready, local_secrets, 3) == [True, True, False]
    assert (state(ready, first)[0], state(ready, second)[0]) == (ExtractState.removed, ExtractState.ready)
    assert set(rows_of(ready)[0]) == {"age"}


def test_tidying_leaves_live_folders_and_young_work_alone(ready, local_secrets):
    import os
    import time

    ready.grant("heart", "visits")
    work(ready, local_secrets)
    ((_, folder),) = mounts(ready)
    for name in ("x_nobody", ".work-x_1-dead", ".files-x_1-dead", ".measure-young", ".measure-old"):
        (ready.places.extracts / name).mkdir()
    (ready.places.extracts / "stray").write_text("x")
    long_ago = time.time() - timedelta(days=2).total_seconds()
    os.utime(ready.places.extracts / ".measure-old", (long_ago, long_ago))
    assert tidy(ready.db, ready.places) == 5
    (event,) = ready.events("extract.tidy")
    assert event["detail"] == {"folders": [".files-x_1-dead", ".measure-old", ".work-x_1-dead", "stray", "x_nobody"]}
    assert tidy(ready.db, ready.places) == 0
    assert len(ready.events("extract.tidy")) == 1, "nothing removed, nothing written"
    assert sorted(path.name for path in ready.places.extracts.iterdir()) == [".measure-young", folder.name]


def test_two_workers_build_each_extract_once(ready, local_secrets, at_once):
    ready.project("lungs", [ask()])
    for project in ("heart", "lungs"):
        ready.grant(project, "visits")
    results = at_once(*[lambda: step(ready.db, ready.places, local_secrets)] * 4)
    while step(ready.db, ready.places, local_secrets):
        pass
    assert not [result for result in results if isinstance(result, Exception)]
    assert sorted(local_secrets.asked) == ["heart", "lungs"]
    assert len(ready.events("extract.ready")) == 2


def test_a_dataset_without_identifiers_asks_for_no_order_of_people(world, local_secrets):
    random.seed(1)
    values = pa.table({"cost": [float(i) for i in range(100)]})
    write_parquet(world.places, "acme", "visits", values)
    service.register(
        world.db,
        world.places,
        world.actor("carol"),
        visits_dataset(units=(), described={}, sensitivity=Sensitivity.anonymous),
    )
    world.project("heart", [ask("cost")])
    world.grant("heart", "visits")
    work(world, local_secrets)
    assert sorted(row["cost"] for row in rows_of(world)) == [float(i) for i in range(100)]
