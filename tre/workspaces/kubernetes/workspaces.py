"""Running workspaces as the workspaces' own controller needs them: ending one, and handing it a new secret text.

Decides only where a workspace's pod and Secret are. Both calls are safe to repeat.
"""

from __future__ import annotations

from dataclasses import dataclass

from tre.errors import NotFound
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.cluster import Cluster
from tre.workspaces.kubernetes.content import POD, SECRET
from tre.workspaces.kubernetes.names import namespace_of, workspace_of
from tre.workspaces.kubernetes.secret import replacement
from tre.workspaces.model import Workspace


@dataclass(frozen=True)
class PodRuntime:
    """An `Ender` (see `tre.workspaces.controller`), and what replaces a secret file of a running workspace."""

    api: Api
    cluster: Cluster

    def end_sandbox(self, workspace: Workspace) -> None:
        """The API server forgets the pod when its node has ended it; its Secret goes with it."""
        space, name = self._place(workspace)
        try:
            pod = self.api.ask("GET", POD.path(space, name), {})
        except NotFound:
            return
        self.api.delete(POD, space, name, uid=pod["metadata"]["uid"])

    def replace_secret(self, workspace: Workspace, name: str, text: str) -> None:
        """Raises `NotFound` where it does not run."""
        space, secret = self._place(workspace)
        self.api.merge(SECRET, space, secret, replacement(name, text))

    def _place(self, workspace: Workspace) -> tuple[str, str]:
        return namespace_of(self.cluster.control_namespace, workspace.project_slug), workspace_of(workspace.id)
