"""What exists on the cluster, kept up to date by one list and one watch per kind.

Decides what is remembered of an object: enough to compare, never the object. Of kinds that can open a wall everything
in the projects' namespaces is seen, of others only what carries our label. Leaves judging to `comparison`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tre.errors import TreError
from tre.workspaces.kubernetes.api import Api, Expired
from tre.workspaces.kubernetes.content import NAMESPACE, PARTS, POD, Kind, digest, size, stamp
from tre.workspaces.kubernetes.life import ended
from tre.workspaces.kubernetes.names import COMPONENT, INSTALLATION, PREFIX, PROJECT, selector
from tre.workspaces.kubernetes.namespace import Object

log = logging.getLogger(__name__)

WATCHED = (*PARTS, POD)
WATCH_SECONDS = 30
PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Seen:
    """An object as it was last seen. `digest` is of its content now, `stamp` of what we last asked for; `project` is
    set only where the object says that it is ours; `over` says that a pod has ended, `why` is the reason, in words,
    also where it is only to end.
    """

    uid: str
    version: int
    digest: str = ""
    stamp: str = ""
    size: int = 0
    project: str = ""
    deleting: bool = False
    over: bool = False
    why: str = ""


Key = tuple[Kind, str]
Space = Mapping[Key, Seen]


class World:
    """Seen objects by namespace. Any thread may call any method."""

    def __init__(
        self, api: Api, control_namespace: str, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._api, self._clock = api, clock
        self._told_at: dict[Kind, datetime] = {}
        self._installation = control_namespace
        self._spaces: dict[str, dict[Key, Seen]] = {}
        self._lock = threading.Lock()
        self._listed: set[Kind] = set()
        self.changed = threading.Event()

    @property
    def complete(self) -> bool:
        """Whether every kind was listed once: before that, what is not seen may exist."""
        return len(self._listed) == len(WATCHED)

    def told_at(self, kind: Kind) -> datetime | None:
        """Until when everything of that kind is known: when the API server was last asked for all, or told of a change
        or of none. None before it was asked once.
        """
        return self._told_at.get(kind)

    def spaces(self) -> dict[str, Space]:
        """A copy of the present moment."""
        with self._lock:
            return {name: dict(space) for name, space in self._spaces.items()}

    def saw(self, kind: Kind, found: Object) -> None:
        """An object as the API server showed it, unless a later state of it is known."""
        metadata = found["metadata"]
        name = metadata["name"]
        space = metadata.get("namespace", name)
        if not space.startswith(PREFIX):
            return
        seen = self._seen(kind, found)
        with self._lock:
            known = self._spaces.setdefault(space, {}).get((kind, name))
            if known is None or known.version < seen.version:
                self._spaces[space][kind, name] = seen
                # Status is written all the time, and is nothing that a pass would look at.
                if known is None or replace(known, version=seen.version) != seen:
                    self.changed.set()

    def gone(self, kind: Kind, space: str, name: str, *, uid: str) -> None:
        with self._lock:
            known = self._spaces.get(space, {}).get((kind, name))
            if known and known.uid == uid:
                self._forget(space, (kind, name))
                self.changed.set()

    def follow(self, kind: Kind, leave: threading.Event) -> None:
        """Lists and watches one kind until `leave` is set. What fails is begun again."""
        while not leave.is_set():
            try:
                version = self.relist(kind)
                while not leave.is_set():
                    version = self._watch(kind, version)
            except Expired:
                continue
            except TreError as error:
                log.warning("%s: %s", kind.plural, error.message)
            except Exception as error:
                log.error("%s: %s", kind.plural, type(error).__name__, exc_info=True)
            leave.wait(PAUSE)

    def start(self, leave: threading.Event) -> list[threading.Thread]:
        threads = [
            threading.Thread(target=self.follow, args=(kind, leave), name=f"watch-{kind.plural}", daemon=True)
            for kind in WATCHED
        ]
        for thread in threads:
            thread.start()
        return threads

    def relist(self, kind: Kind) -> str:
        """Everything of one kind anew; returns where a watch begins."""
        version, found, asked = "0", set(), self._clock()
        for version, page in self._api.pages(kind, self._query(kind)):  # noqa: B007
            for each in page:
                metadata = each["metadata"]
                found.add((metadata.get("namespace", metadata["name"]), metadata["name"]))
                self.saw(kind, each)
        with self._lock:
            for space in [*self._spaces]:
                for key, seen in [*self._spaces[space].items()]:
                    if key[0] is kind and (space, key[1]) not in found and seen.version <= int(version):
                        self._forget(space, key)
            self._listed.add(kind)
            self._told_at[kind] = asked
        self.changed.set()
        return version

    def _watch(self, kind: Kind, version: str) -> str:
        for change, found in self._api.watch(kind, self._query(kind), version, WATCH_SECONDS):
            metadata = found["metadata"]
            version = metadata["resourceVersion"]
            if change == "DELETED":
                name = metadata["name"]
                self.gone(kind, metadata.get("namespace", name), name, uid=metadata["uid"])
            elif change != "BOOKMARK":
                self.saw(kind, found)
            self._told_at[kind] = self._clock()
        return version

    def _query(self, kind: Kind) -> dict[str, str]:
        if kind.exclusive:
            return {}
        ours = selector(self._installation)
        return {"labelSelector": f"{ours},{COMPONENT}=workspace" if kind is POD else ours}

    def _seen(self, kind: Kind, found: Object) -> Seen:
        metadata = found["metadata"]
        labels = metadata.get("labels") or {}
        ours = labels.get(INSTALLATION) == self._installation
        pod = kind is POD
        return Seen(
            uid=metadata["uid"],
            version=int(metadata["resourceVersion"]),
            # A pod is judged by its name, never by its content or its labels.
            digest="" if pod else digest(kind, found),
            stamp=stamp(found),
            size=size(kind, found),
            project=labels.get(PROJECT, "") if ours else "",
            deleting="deletionTimestamp" in metadata,
            over=pod and (found.get("status") or {}).get("phase") in ("Succeeded", "Failed"),
            why=ended(found) if pod else "",
        )

    def _forget(self, space: str, key: Key) -> None:
        """With the lock held."""
        held = self._spaces[space]
        del held[key]
        if not held:
            del self._spaces[space]


def our_namespaces(spaces: Mapping[str, Space]) -> dict[str, str]:
    """Project → namespace, for each namespace that says that it is ours."""
    return {
        seen.project: name
        for name, space in spaces.items()
        if (seen := space.get((NAMESPACE, name))) is not None and seen.project
    }
