"""Shows for every node, again and again, that its network confines a pod, and writes down what was seen.

Decides when a node is looked at: at once where nothing is known of it or it is another node of the same name, soon
where it failed, else every ten minutes. A node that could not be looked at is not proven.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from tre.audit import SYSTEM, use_case
from tre.errors import NotFound, TreError, Unavailable
from tre.store import Database
from tre.workspaces.kubernetes import canary
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.canary import CONFINED, FREE, Node, Verdict
from tre.workspaces.kubernetes.cluster import Cluster
from tre.workspaces.kubernetes.content import NAMESPACE, NETWORK_POLICY, POD, SERVICE_ACCOUNT, Kind
from tre.workspaces.kubernetes.names import canary_of
from tre.workspaces.kubernetes.namespace import Object
from tre.workspaces.model import NodeProof

NODE = Kind("Node", "v1", "nodes", namespaced=False)
SERVICE = Kind("Service", "v1", "services")
AGAIN = timedelta(minutes=10)
SOON = timedelta(seconds=30)
WAIT_SECONDS = 60.0


@dataclass
class Prover:
    """Everything of one round ends with it."""

    db: Database
    cluster: Cluster
    api: Api

    def prove(self) -> int:
        """One look at the nodes that are due; returns how many those were."""
        nodes = self.nodes()
        due = self._due(nodes)
        if not due:
            return 0
        for node, verdict in show(self.cluster, self.api, due):
            self._write(node, verdict)
        return len(due)

    def nodes(self) -> list[Node]:
        """Those that are ready. The others admit no workspace, and forget their proof."""
        return ready_nodes(self.api)

    def _due(self, nodes: list[Node]) -> list[Node]:
        now = self.db.clock()
        with self.db.read() as session:
            known = {proof.node: proof for proof in session.scalars(select(NodeProof))}
        if gone := known.keys() - {node.name for node in nodes}:
            with self.db.transaction() as session:
                session.execute(delete(NodeProof).where(NodeProof.node.in_(gone)))
        return [node for node in nodes if _is_due(known.get(node.name), node, now)]

    def _write(self, node: Node, verdict: Verdict) -> None:
        """A change of the verdict is an event of the record; the same one again only a newer time."""
        now = self.db.clock()
        with use_case(self.db, SYSTEM, "cluster.prove", f"node:{node.name}") as case:
            before = case.session.get(NodeProof, node.name)
            same = before and (before.uid, before.proven, before.reason) == (node.uid, verdict.proven, verdict.reason)
            if same:
                case.nothing_changed()
            case.note(proven=verdict.proven, reason=verdict.reason)
            case.session.merge(
                NodeProof(node=node.name, uid=node.uid, proven=verdict.proven, reason=verdict.reason, shown_at=now)
            )


def ready_nodes(api: Api) -> list[Node]:
    found = api.ask("GET", NODE.path(), {})["items"]
    return [_node(each) for each in found if _condition(each, "Ready")]


def show(cluster: Cluster, api: Api, due: list[Node]) -> Iterator[tuple[Node, Verdict]]:
    """A verdict for each of the nodes. Nothing of it stays but its namespace. Raises `Unavailable` where none can be
    had.
    """
    trial = _Trial(cluster, api, secrets.token_hex(4))
    try:
        yield from trial.verdicts(due)
    finally:
        trial.clear()


@dataclass(frozen=True)
class _Trial:
    """One round. `turn` is in its pods' names."""

    cluster: Cluster
    api: Api
    turn: str

    def verdicts(self, due: list[Node]) -> Iterator[tuple[Node, Verdict]]:
        turn = self.turn
        self._house()
        self.api.create(POD, canary.listener(self.cluster, f"beacon-{turn}", FREE, turn))
        for node in due:
            self.api.create(POD, canary.listener(self.cluster, f"closed-{node.mark}-{turn}", CONFINED, turn, node))
        beacon = self._wait(f"beacon-{turn}", _ready)
        for node in due:
            try:
                yield node, self._look(node, beacon)
            except TreError as error:
                yield node, Verdict(False, f"it could not be shown: {error.message}")

    def _look(self, node: Node, beacon: Object) -> Verdict:
        turn = self.turn
        closed = self._wait(f"closed-{node.mark}-{turn}", _ready)
        service = self.api.ask("GET", SERVICE.path("default", "kubernetes"), {})["spec"]
        api = (service["clusterIP"], service["ports"][0]["port"])
        tried = canary.targets(_address(beacon), _address(closed), api, node)
        for component in (CONFINED, FREE):
            name = f"{component.removeprefix('canary-')}-{node.mark}-{turn}"
            self.api.create(POD, canary.trier(self.cluster, name, component, turn, node, tried))
        seen = [
            told(self._wait(f"{kind}-{node.mark}-{turn}", lambda pod: over(pod) is not None))
            for kind in ("free", "confined")
        ]
        return canary.judge(tried, seen[0], seen[1])

    def _house(self) -> None:
        space = canary_of(self.cluster.control_namespace)
        for kind, made in [
            (NAMESPACE, canary.namespace(self.cluster)),
            *((NETWORK_POLICY, each) for each in canary.policies(self.cluster)),
        ]:
            self.api.apply(kind, made)
        _within(lambda: self._exists(SERVICE_ACCOUNT, space, "default"), "its namespace's service account is not there")

    def _exists(self, kind: Kind, space: str, name: str) -> bool:
        try:
            return bool(self.api.ask("GET", kind.path(space, name), {}))
        except NotFound:
            return False

    def _wait(self, name: str, good: Callable[[Object], bool]) -> Object:
        return wait_for(self.api, canary_of(self.cluster.control_namespace), name, good)

    def clear(self) -> None:
        """All pods of the canary's namespace, also those of a round that was broken off; not those of a verification,
        which may go on beside it.
        """
        space, chosen = canary_of(self.cluster.control_namespace), f"{canary.ROUND}!={canary.VERIFICATION}"
        self.api.ask("DELETE", POD.path(space), {"labelSelector": chosen}, {"gracePeriodSeconds": 0})


def _is_due(proof: NodeProof | None, node: Node, now: datetime) -> bool:
    if proof is None or proof.uid != node.uid or proof.shown_at > now:
        return True
    return now - proof.shown_at >= (AGAIN if proof.proven else SOON)


def _node(found: Object) -> Node:
    listed = {each["type"]: each["address"] for each in found["status"].get("addresses") or []}
    metadata = found["metadata"]
    return Node(metadata["name"], metadata["uid"], listed.get("InternalIP", "127.0.0.1"))


def _condition(found: Object, kind: str) -> bool:
    listed = (found.get("status") or {}).get("conditions") or []
    return any(each["type"] == kind and each["status"] == "True" for each in listed)


def _ready(pod: Object) -> bool:
    if over(pod) is not None:
        raise Unavailable("A pod of the canary ended at once; its image has no usable Python.")
    return _condition(pod, "Ready")


def over(pod: Object) -> Object | None:
    for each in (pod.get("status") or {}).get("containerStatuses") or []:
        if found := (each.get("state") or {}).get("terminated"):
            over: Object = found
            return over
    return None


def wait_for(
    api: Api,
    space: str,
    name: str,
    good: Callable[[Object], bool] = lambda pod: over(pod) is not None,
    seconds: float = WAIT_SECONDS,
) -> Object:
    """The pod when it has come so far; without more words, when it has ended. Raises `Unavailable` after a while."""
    seen: list[Object] = []

    def is_good() -> bool:
        seen[:] = [api.ask("GET", POD.path(space, name), {})]
        return good(seen[0])

    _within(is_good, f"the pod {name} did not come so far", seconds)
    return seen[0]


def told(pod: Object) -> dict[str, str]:
    try:
        found = json.loads((over(pod) or {}).get("message", ""))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _address(pod: Object) -> str:
    return str(pod["status"]["podIP"])


def _within(good: Callable[[], bool], otherwise: str, seconds: float = WAIT_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not good():
        if time.monotonic() > end:
            raise Unavailable(f"{otherwise} within {seconds:.0f} s.")
        time.sleep(0.3)
