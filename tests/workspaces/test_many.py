"""What a pass over running workspaces asks of the database does not grow with them, and each loses only its own."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from tests.fixtures.workspaces import Desk, grant_survey
from tre.people.model import Role
from tre.projects import service as projects
from tre.store import Database
from tre.workspaces import gate, service
from tre.workspaces.model import Traffic, WorkspaceState


@contextmanager
def counted(db: Database) -> Iterator[list[str]]:
    """The statements that the block sends."""
    sent: list[str] = []

    def note(connection: object, cursor: object, statement: str, *more: object) -> None:
        sent.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


@pytest.fixture
def street(desk: Desk) -> dict[str, str]:
    """Running workspaces of bob and carol in three projects more: person/project → id."""
    carol = desk.people.add("carol", Role.researcher)
    running = {}
    for slug in ("alpha", "beta", "gamma"):
        desk.projects.approved(slug, desk.bob, team=("carol",))
        grant_survey(desk.people, slug)
        for actor in (desk.bob, carol):
            plan = service.start(desk.people.db, desk.leases, desk.places, actor, slug)
            desk.report(plan.workspace_id, WorkspaceState.running)
            running[f"{actor.username}/{slug}"] = plan.workspace_id
    return running


def test_a_pass_over_many_asks_as_often_as_one_over_one(desk: Desk, street: dict[str, str]):
    for workspace_id in [*street.values()][1:]:
        desk.report(workspace_id, WorkspaceState.stopped)
    with counted(desk.people.db) as one:
        assert desk.converge() == 0
    for slug in ("beta", "gamma"):
        plan = service.start(desk.people.db, desk.leases, desk.places, desk.bob, slug)
        desk.report(plan.workspace_id, WorkspaceState.running)
    with counted(desk.people.db) as three:
        assert desk.converge() == 0
    assert len(three) == len(one)


def test_of_many_each_loses_only_its_own(desk: Desk, street: dict[str, str]):
    db, admin = desk.people.db, desk.people.admin
    projects.remove_member(db, admin, "alpha", username="carol", reason="Left.")
    projects.suspend(db, admin, "beta", reason="A breach.")
    assert desk.converge() == 3
    ended = {name for name, workspace_id in street.items() if desk.state(workspace_id) == "stopping"}
    assert ended == {"carol/alpha", "bob/beta", "carol/beta"}
    assert desk.workspace(street["carol/alpha"]).reason == "carol is not in the project's team."
    assert desk.workspace(street["bob/beta"]).reason == "Project beta is suspended (A breach.)."


def test_the_gate_of_many_is_that_of_each(desk: Desk, street: dict[str, str]):
    db, now = desk.people.db, desk.people.clock()
    projects.remove_member(db, desk.people.admin, "alpha", username="carol", reason="Left.")
    closed = {"project_slug": "gamma", "username": "bob", "day": now.date()}
    with db.transaction() as session:
        session.add(Traffic(**closed, suspended_until=now.replace(hour=23)))
    desk.projects.propose("delta", desk.bob)
    pairs = [(slug, name) for slug in ("alpha", "beta", "gamma", "delta", "cost") for name in ("bob", "carol")]
    with db.read() as session:
        together = gate.obstacles_of(session, pairs, now)
        alone = {pair: gate.obstacles(session, *pair, now) for pair in pairs}
    assert together == alone
    codes = {pair: [obstacle.code for obstacle in found] for pair, found in together.items()}
    assert codes["alpha", "carol"] == ["not_a_member"]
    assert codes["gamma", "bob"] == ["traffic_suspended"]
    assert codes["delta", "bob"] == ["project_proposed", "agreement_missing", "grant_missing"]
    assert codes["beta", "bob"] == codes["beta", "carol"] == []
