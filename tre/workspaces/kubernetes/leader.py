"""Which of several controllers acts: one that holds a Lease of the API server.

Decides by compare-and-swap on the Lease's resource version, and by this process's own steady clock only: clocks of
machines may differ. Fencing: a leader counts its time from before it asked, and stops a whole request's time before
the Lease ends, so that nothing it sent arrives when another leads.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from tre.errors import Conflict, NotFound, TreError, Unavailable
from tre.workspaces.kubernetes.api import SECONDS, Api
from tre.workspaces.kubernetes.content import Kind
from tre.workspaces.kubernetes.names import MANAGER, check_dns_label
from tre.workspaces.kubernetes.namespace import Object

log = logging.getLogger(__name__)

LEASE = Kind("Lease", "coordination.k8s.io/v1", "leases")
DURATION = 15
RENEW_EVERY = 3.0
Steady = Callable[[], float]


class Leader:
    """A candidate. `identity` is this process's own (the pod's name)."""

    def __init__(self, api: Api, namespace: str, identity: str, *, steady: Steady = time.monotonic) -> None:
        self._api, self._namespace, self._steady = api, namespace, steady
        self.identity = check_dns_label(identity, field="identity")
        self._may_act_until = -1.0
        self._rival: tuple[str, float] = ("", 0.0)

    @property
    def leads(self) -> bool:
        return self._steady() < self._may_act_until

    def check(self) -> None:
        """Raises `Unavailable` unless a request begun now ends while we lead."""
        if not self.leads:
            raise Unavailable("This controller does not lead.", hint="Another one does, or will in a moment.")

    def campaign(self) -> bool:
        """Takes or keeps the Lease where it may; returns whether we lead. Raises nothing: who cannot ask loses."""
        asked = self._steady()
        try:
            if self._hold():
                self._may_act_until = asked + DURATION - SECONDS
        except TreError as error:
            log.warning("the lease was not renewed: %s", error.message)
        return self.leads

    def resign(self) -> None:
        """Gives the Lease up, so that another need not wait for its end."""
        if not self.leads:
            return
        self._may_act_until = -1.0
        try:
            found = self._api.ask("GET", self._path, {})
            if found["spec"].get("holderIdentity") == self.identity:
                self._write(found, holder="")
        except TreError as error:
            log.warning("the lease was not given up: %s", error.message)

    def run(self, leave: threading.Event) -> None:
        while not leave.is_set():
            self.campaign()
            leave.wait(RENEW_EVERY)
        self.resign()

    def _hold(self) -> bool:
        try:
            found = self._api.ask("GET", self._path, {})
        except NotFound:
            return self._swapped(lambda: self._api.create(LEASE, self._lease({}, self.identity, 0)))
        spec = found["spec"]
        if spec.get("holderIdentity") not in ("", None, self.identity) and not self._silent(found):
            return False
        return self._swapped(lambda: self._write(found, holder=self.identity))

    def _silent(self, found: Object) -> bool:
        """Whether the holder let its whole time pass without a sign, by our own clock."""
        version, now = found["metadata"]["resourceVersion"], self._steady()
        if version != self._rival[0]:
            self._rival = (version, now)
        return now - self._rival[1] > float(found["spec"].get("leaseDurationSeconds") or DURATION)

    def _write(self, found: Object, *, holder: str) -> Object:
        changes = int(found["spec"].get("leaseTransitions") or 0)
        changes += holder != found["spec"].get("holderIdentity")
        made = self._lease({"resourceVersion": found["metadata"]["resourceVersion"]}, holder, changes)
        return self._api.replace(LEASE, made)

    def _swapped(self, write: Callable[[], Object]) -> bool:
        try:
            write()
        except Conflict:
            return False
        return True

    def _lease(self, metadata: Object, holder: str, changes: int) -> Object:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {
            "holderIdentity": holder,
            "leaseDurationSeconds": DURATION,
            "leaseTransitions": changes,
            "renewTime": now,
        }
        named = {"name": MANAGER, "namespace": self._namespace, **metadata}
        return {"apiVersion": LEASE.version, "kind": LEASE.name, "metadata": named, "spec": spec}

    @property
    def _path(self) -> str:
        return LEASE.path(self._namespace, MANAGER)
