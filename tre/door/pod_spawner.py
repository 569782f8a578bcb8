"""Workspaces as pods, by JupyterHub's KubeSpawner.

Decides the namespace (the project's), the pod and its Secret (as `tre.workspaces.kubernetes` builds them), and that a
pod which will not come to run is told in words at once. KubeSpawner makes, watches and deletes the pod; nothing of its
own configuration shapes it.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Any

from aiohttp import ClientError
from kubernetes_asyncio.client import ApiClient, Configuration
from kubernetes_asyncio.client.exceptions import ApiException
from kubespawner import KubeSpawner
from kubespawner.clients import shared_client
from kubespawner.spawner import PodReflector
from traitlets import Int

from tre.door.internal_api import read_secret
from tre.door.neighbours import Neighbours
from tre.door.spawning import WorkspaceSpawner
from tre.errors import TreError, Unavailable
from tre.workspaces.kubernetes import life
from tre.workspaces.kubernetes.installation import cluster_of
from tre.workspaces.kubernetes.names import COMPONENT, INSTALLATION, namespace_of, workspace_of
from tre.workspaces.kubernetes.namespace import Object
from tre.workspaces.kubernetes.network import JUPYTER_PORT
from tre.workspaces.kubernetes.pod import workspace_pod
from tre.workspaces.kubernetes.secret import workspace_secret
from tre.workspaces.plan import LaunchPlan

LOOK_SECONDS = 0.5
END_SECONDS = 20
#: Our words are told before the Hub loses its patience, also where what was begun cannot be ended at once.
BEFORE_THE_HUB = END_SECONDS + 10

#: The quota counts a pod anew each time that it is asked for, also where the first answer was only late: a busy API
#: server has more time than KubeSpawner's three seconds, or a project with room would seem full.
ANSWER_SECONDS = 20
#: A stream of changes is begun anew after so long without one; KubeSpawner's ten seconds are for one namespace.
QUIET_SECONDS = 120
AGAIN_SECONDS = 1


class ProjectPods(PodReflector):  # type: ignore[misc]
    """The pods of one project. The hub may look into projects' namespaces only, so there is one for each that has had a
    workspace, and each holds a connection: they have a pool of their own, which has no bound, or the hundredth would
    leave none to start a pod with.
    """

    timeout_seconds = Int(QUIET_SECONDS)
    request_timeout = Int(QUIET_SECONDS + 30)
    restart_seconds = Int(5 * QUIET_SECONDS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.api = shared_client(self.api_group_name, _unbounded(asyncio.get_running_loop()))

    async def _watch_and_update(self) -> None:
        """For as long as the hub lives: the package gives up after a minute without an API server, and would show for
        ever what it saw last.
        """
        while not self._stopping:
            await super()._watch_and_update()
            await asyncio.sleep(AGAIN_SECONDS)


@lru_cache(maxsize=1)
def _unbounded(loop: asyncio.AbstractEventLoop) -> ApiClient:
    """A client of this loop that opens as many connections as it needs."""
    configuration = Configuration.get_default_copy()
    configuration.connection_pool_maxsize = 0
    return ApiClient(configuration)


def silence(error: Exception) -> Unavailable:
    return Unavailable(f"The cluster does not answer ({type(error).__name__}).", hint="Try again in some minutes.")


class PodSpawner(WorkspaceSpawner, KubeSpawner):  # type: ignore[misc]
    """One pod."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cluster = cluster_of(self.places.settings)
        # Ours are told by `life`; the hub may not read events.
        self.events_enabled = False
        self.delete_grace_period = 2
        self.k8s_api_request_timeout = ANSWER_SECONDS
        # The Hub knows the guard alone, also after a restart.
        self.get_pod_url = lambda spawner, pod: self.places.guard_url
        self.plan: LaunchPlan | None = None
        if self.name:
            self.namespace = namespace_of(self.cluster.control_namespace, self.name)

    def guard(self) -> Neighbours:
        token = read_secret(self.places.secret("guard-admin.token"))
        return Neighbours(str(self.places.guard_admin), "the guard", token)

    async def begin(self, plan: LaunchPlan) -> str:
        if not plan.nodes:
            raise Unavailable("No node was shown to confine workspaces.", hint="Tell an administrator.")
        self.plan, self.pod_name = plan, workspace_of(plan.workspace_id)
        made = asyncio.ensure_future(KubeSpawner._start(self))
        try:
            async with asyncio.timeout(self.start_timeout - BEFORE_THE_HUB):
                await self._runs(made)
        except ApiException as error:
            raise life.refusal(error.status or 0, str(error.body or "")) from None
        except TimeoutError:
            raise Unavailable(life.waits(self._shown()), hint="Try again in some minutes.") from None
        except (ClientError, OSError) as error:
            raise silence(error) from None
        finally:
            self.plan = None
            made.cancel()
        pod = self._shown()
        if pod is None:
            raise Unavailable("The workspace's pod was gone at once.", hint="Try again.")
        address = pod["status"]["podIP"]
        return f"{address}:{JUPYTER_PORT}"

    async def _runs(self, made: asyncio.Future[str]) -> None:
        while not (await asyncio.wait({made}, timeout=LOOK_SECONDS))[0]:
            if reason := life.hopeless(self._shown() or {}):
                raise Unavailable(reason, hint="Tell an administrator.")
        await made

    async def look(self) -> str:
        await self._start_watching_pods()
        return life.ended(self._shown())

    async def end(self, workspace: dict[str, Any]) -> None:
        self.pod_name = workspace_of(workspace["workspace_id"])
        try:
            async with asyncio.timeout(END_SECONDS):
                await KubeSpawner.stop(self)
        except ApiException as error:
            raise life.refusal(error.status or 0, str(error.body or "")) from None
        except TimeoutError:
            # Its node may be gone. The API server knows that it is to end, and the control plane is told now.
            raise Unavailable("The pod has not ended yet.") from None
        except (ClientError, OSError) as error:
            raise silence(error) from None

    # What KubeSpawner asks for.

    async def get_pod_manifest(self) -> Object:
        assert self.plan is not None
        return workspace_pod(self.cluster, self.plan)

    async def _make_create_pod_request(self, pod: Object, request_timeout: float) -> bool:
        """With its Secret, which is the pod's: without it, it waits. False: not answered in time, so again."""
        assert self.plan is not None
        try:
            uid = await asyncio.wait_for(self._pod_uid(pod), request_timeout)
            secret = workspace_secret(self.cluster, self.plan, pod_uid=uid)
            await asyncio.wait_for(self._made(self.api.create_namespaced_secret, secret), request_timeout)
        except TimeoutError:
            return False
        return True

    async def _pod_uid(self, pod: Object) -> str:
        """Of the pod that is made now, or was by a try whose answer did not come in time: its name is its own."""
        await self._made(self.api.create_namespaced_pod, pod)
        there = await self.api.read_namespaced_pod(pod["metadata"]["name"], self.namespace)
        return str(there.metadata.uid)

    async def _made(self, create: Any, made: Object) -> None:
        try:
            await create(self.namespace, made)
        except ApiException as error:
            if error.status != 409:
                raise

    async def _start_watching_pods(self, replace: bool = False) -> ProjectPods:
        labels = {INSTALLATION: self.cluster.control_namespace, COMPONENT: "workspace"}
        try:
            found: ProjectPods = await self._start_reflector("pods", ProjectPods, labels=labels, replace=replace)
            return found
        except TreError:
            raise
        except Exception as error:
            self.reflectors.pop(self._get_reflector_key("pods"), None)
            # Where nobody may look yet, the project has no Role; whatever else fails is the way to the API server.
            if isinstance(error, ApiException) and error.status in (403, 404):
                raise Unavailable("The project's place on the cluster is not ready yet.", hint="Try again.") from error
            raise silence(error) from error

    def _shown(self) -> Object | None:
        """The pod as the API server last showed it."""
        reflector = self.pod_reflector
        return reflector.pods.get(f"{self.namespace}/{self.pod_name}") if reflector else None
