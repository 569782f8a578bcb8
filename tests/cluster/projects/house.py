"""An installation of a test's own on a cluster that others use, too."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from tests.fixtures.workspaces import Desk
from tests.workspaces.kubernetes import house
from tre.errors import Unavailable
from tre.projects import service as projects
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.apply import Hand
from tre.workspaces.kubernetes.cluster import Cluster
from tre.workspaces.kubernetes.content import POD, SECRET, Kind
from tre.workspaces.kubernetes.controller import Controller
from tre.workspaces.kubernetes.pod import workspace_pod
from tre.workspaces.kubernetes.secret import workspace_secret
from tre.workspaces.kubernetes.world import WATCHED, World
from tre.workspaces.model import WorkspacePolicy
from tre.workspaces.plan import LaunchPlan, Limits

Object = dict[str, Any]
READS = {"GET"}


@dataclass
class Installation:
    """One controller over its own database; `slug` is bob's project, of a name that no other test has."""

    desk: Desk
    api: Api
    cluster: Cluster
    slug: str
    world: World = field(init=False)
    controller: Controller = field(init=False)
    leads: bool = True
    limits: Limits = house.LIMITS
    now: float = 0

    def __post_init__(self) -> None:
        self.world = World(self.api, self.cluster.control_namespace)
        hand = Hand(self.api, self.world, self._may_act)
        self.controller = Controller(self.desk.people.db, self.cluster, hand, steady=lambda: self.now)
        self.desk.projects.approved(self.slug, self.desk.bob)
        projects.close(self.desk.people.db, self.desk.people.admin, "cost", reason="Not of this test.")

    @property
    def space(self) -> str:
        return f"tre-{self.slug}"

    def _may_act(self) -> None:
        if not self.leads:
            raise Unavailable("This controller does not lead.")

    def converge(self) -> int:
        """A pass over what there is now."""
        for kind in WATCHED:
            self.world.relist(kind)
        return self.controller.converge()

    def writes(self) -> int:
        return sum(count for method, count in self.api.requests.items() if method not in READS)

    def events(self) -> list[Object]:
        return [event for event in self.desk.events("cluster.") if event["subject"] == f"project:{self.slug}"]

    def set_limits(self, limits: Limits) -> None:
        """For every workspace of this installation."""
        values = {name: value for name, value in vars(limits).items() if hasattr(WorkspacePolicy, name)}
        self.desk.change(WorkspacePolicy, **values)
        self.limits = limits

    def get(self, kind: Kind, name: str) -> Object:
        return self.api.ask("GET", kind.path(self.space, name), {})

    def plan(self, workspace: str) -> LaunchPlan:
        return replace(house.PLAN, workspace_id=workspace, project=self.slug, limits=self.limits)

    def start(self, workspace: str) -> Object:
        """As a spawner does: a pod that no node takes, and its Secret."""
        plan = self.plan(workspace)
        made = workspace_pod(self.cluster, plan)
        made["spec"]["nodeSelector"] = {"tre.example/none": "x"}
        pod = self.api.create(POD, made)
        self.api.create(SECRET, workspace_secret(self.cluster, plan, pod_uid=pod["metadata"]["uid"]))
        return pod
