"""Does what `comparison` found, for one project: by server-side apply, in order, as long as we lead.

Decides that the object is what was asked for when the call returns: where somebody else's fields survive an apply, the
whole object is replaced. Stops at the first failure and says what was done until then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tre.errors import Conflict, InvalidInput, TreError
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.comparison import Todo, not_ours
from tre.workspaces.kubernetes.content import (
    CLAIM,
    NAMESPACE,
    ROLE_BINDING,
    Kind,
    digest,
    others_labels,
    size,
    stamp,
)
from tre.workspaces.kubernetes.desired import Key
from tre.workspaces.kubernetes.namespace import Object
from tre.workspaces.kubernetes.quantities import of_bytes
from tre.workspaces.kubernetes.world import Seen, Space, World

#: Raises where this process may not act (any more).
MayAct = Callable[[], None]


@dataclass
class Done:
    """What was done, as the audit event tells it: kind/name. `error` is what stopped it."""

    made: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    error: TreError | None = None

    def detail(self) -> dict[str, Any]:
        told = {name: value for name, value in vars(self).items() if value and name != "error"}
        return told | ({"stopped_by": self.error.message} if self.error and told else {})


@dataclass(frozen=True)
class Hand:
    """What acts: on which cluster, what it tells of its acts to, and who lets it."""

    api: Api
    world: World
    may_act: MayAct

    def carry_out(self, space: str, todo: Todo, objects: dict[Key, Object], seen: Space) -> Done:
        """`objects` has the project's objects, `seen` what `todo` was made from."""
        done = Done()
        try:
            for key, pod in todo.end:
                self._remove(space, key, pod, done.ended)
            if todo.delete:
                self._remove(space, (NAMESPACE, space), todo.delete, done.deleted)
            # What was added by hand may open a wall: it goes before anything is made.
            for key, have in todo.remove:
                self._remove(space, key, have, done.removed)
            for keys, told in ((todo.repair, done.repaired), (todo.change, done.changed), (todo.make, done.made)):
                for key in keys:
                    self._put(key[0], objects[key], seen.get(key))
                    told.append(_told(key))
        except TreError as error:
            done.error = error
        return done

    def _remove(self, space: str, key: Key, have: Seen, told: list[str]) -> None:
        kind, name = key
        self.may_act()
        left = self.api.delete(kind, space if kind.namespaced else "", name, uid=have.uid)
        if left:
            self.world.saw(kind, left)
        else:
            self.world.gone(kind, space, name, uid=have.uid)
        told.append(_told(key))

    def _put(self, kind: Kind, made: Object, have: Seen | None) -> None:
        self.may_act()
        if kind is NAMESPACE and have is None:
            live = self._create_namespace(made)
        else:
            live = self._apply(kind, _placed(kind, made, have), have)
        if digest(kind, live) != stamp(made) or stamp(live) != stamp(made):
            self.may_act()
            live = self.api.replace(kind, _instead_of(kind, made, live))
        if digest(kind, live) != stamp(made):
            name = made["metadata"]["name"]
            raise Conflict(
                f"{kind.name} {name} does not stay as it is asked for.", hint="Look which admission webhook changes it."
            )
        self.world.saw(kind, live)

    def _create_namespace(self, made: Object) -> Object:
        """Never by apply, which would take over somebody else's."""
        try:
            return self.api.create(NAMESPACE, made)
        except Conflict as error:
            raise not_ours(made["metadata"]["name"]) from error

    def _apply(self, kind: Kind, made: Object, have: Seen | None) -> Object:
        try:
            return self.api.apply(kind, made)
        except InvalidInput:
            # What a binding refers to cannot be changed: one that was made by hand in our name is made anew.
            if kind is not ROLE_BINDING or have is None:
                raise
            metadata = made["metadata"]
            self.api.delete(kind, metadata["namespace"], metadata["name"], uid=have.uid)
            self.may_act()
            del metadata["uid"]
            return self.api.apply(kind, made)


def _placed(kind: Kind, made: Object, have: Seen | None) -> Object:
    """Of the very object that was seen; a volume never smaller than it is."""
    if have is None:
        return made
    placed = {**made, "metadata": {**made["metadata"], "uid": have.uid}}
    if kind is CLAIM and have.size > size(kind, made):
        resources = {"requests": {"storage": of_bytes(have.size)}}
        placed["spec"] = {**made["spec"], "resources": resources}
    return placed


def _instead_of(kind: Kind, made: Object, live: Object) -> Object:
    """The whole object for the place of the live one; nobody's claim on a field is kept."""
    metadata = {
        **made["metadata"],
        "resourceVersion": live["metadata"]["resourceVersion"],
        "uid": live["metadata"]["uid"],
        "managedFields": [{}],
    }
    if kind.kept:
        metadata["labels"] = others_labels(live) | made["metadata"]["labels"]
        return {**live, "metadata": {**live["metadata"], **metadata}}
    return {**made, "metadata": metadata}


def _told(key: Key) -> str:
    kind, name = key
    return f"{kind.name}/{name}"
