"""On a cluster no workspace starts but where the walls were shown, lately; elsewhere the reason is told."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fixtures.workspaces import Desk
from tre.data.model import Carriage, CarriageState, Extract
from tre.errors import GateClosed
from tre.workspaces.model import NodeProof
from tre.workspaces.nodes import HOLDS


def shown(desk: Desk, node: str, *, proven: bool = True, reason: str = "", ago: timedelta = timedelta()) -> None:
    with desk.people.db.transaction() as session:
        moment = desk.people.clock() - ago
        session.merge(NodeProof(node=node, uid="u", proven=proven, reason=reason, shown_at=moment))


def place(desk: Desk) -> None:
    """The project's files are in its volume."""
    with desk.people.db.transaction() as session:
        for extract in session.query(Extract).all():
            session.add(Carriage(extract_id=extract.id, state=CarriageState.placed, state_since=desk.people.clock()))


@pytest.fixture
def cluster(desk: Desk) -> Desk:
    desk.places = replace(desk.places, on_cluster=True)
    return desk


def test_one_machine_needs_no_proof(desk: Desk):
    assert desk.start().nodes == ()


def test_only_where_the_walls_were_shown(cluster: Desk):
    shown(cluster, "one")
    shown(cluster, "two", proven=False, reason="it reached tcp://10.0.0.1:443.")
    shown(cluster, "three", ago=HOLDS + timedelta(seconds=1))
    shown(cluster, "four", ago=-HOLDS - timedelta(seconds=1))
    place(cluster)
    assert cluster.start().nodes == ("one",)


@pytest.mark.parametrize(
    ("proof", "words"),
    [
        (None, "not shown yet"),
        ({"ago": HOLDS}, "not shown lately"),
        ({"proven": False, "reason": "it reached tcp://10.0.0.1:443."}, "Node one: it reached tcp://10.0.0.1:443."),
    ],
)
def test_without_a_proof_nothing_starts_and_the_reason_is_told(cluster: Desk, proof: dict | None, words: str):
    if proof is not None:
        shown(cluster, "one", **proof)
    with pytest.raises(GateClosed, match="No workspace is started") as refusal:
        cluster.start()
    assert words in refusal.value.message
    assert refusal.value.error_code == "walls_not_proven"
    (event,) = cluster.events("workspace.start")
    assert event["outcome"] == "refused"
    assert cluster.leases.asked == []


def test_nothing_starts_while_the_projects_files_are_on_their_way(cluster: Desk):
    shown(cluster, "one")
    with pytest.raises(GateClosed, match=r"on their way to the project's volume: survey\.") as refusal:
        cluster.start()
    assert refusal.value.error_code == "data_on_the_way"
    assert cluster.leases.asked == []
    place(cluster)
    assert cluster.start().nodes == ("one",)
