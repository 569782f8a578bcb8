"""What is to be done for one project: its wish beside what was seen. Pure.

Decides what counts as drift (our last wish is this one, the content is another), what is removed (of a kind that could
open a wall: everything not asked for) and which pods end. A namespace that does not say that it is this project's is
never touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tre.errors import Conflict
from tre.workspaces.kubernetes.content import CLAIM, NAMESPACE, PARTS, POD, ROLE_BINDING
from tre.workspaces.kubernetes.desired import Key, Wanted, Wish
from tre.workspaces.kubernetes.names import workspace_of
from tre.workspaces.kubernetes.namespace import HUB
from tre.workspaces.kubernetes.world import Seen, Space

ORDER = {kind: place for place, kind in enumerate(PARTS)}


@dataclass(frozen=True)
class Todo:
    """Keys of objects to make, to change because the wish did, to repair because somebody else changed them; objects
    to remove, pods to end, or the whole namespace to delete.
    """

    make: tuple[Key, ...] = ()
    change: tuple[Key, ...] = ()
    repair: tuple[Key, ...] = ()
    remove: tuple[tuple[Key, Seen], ...] = ()
    end: tuple[tuple[Key, Seen], ...] = ()
    delete: Seen | None = None

    def __bool__(self) -> bool:
        return bool(self.make or self.change or self.repair or self.remove or self.end or self.delete)


@dataclass
class _Found:
    """`complete` where the last part, the hub's right, is there: what is missing then was taken away by hand."""

    complete: bool
    make: list[Key] = field(default_factory=list)
    change: list[Key] = field(default_factory=list)
    repair: list[Key] = field(default_factory=list)


def compare(wish: Wish, name: str, wanted: Mapping[Key, Wanted], seen: Space) -> Todo:
    """`name` is the project's namespace. Raises `Conflict` where there is one of that name that is not ours."""
    namespace = seen.get((NAMESPACE, name))
    if namespace is not None and namespace.project != wish.slug:
        raise not_ours(name)
    if namespace is not None and namespace.deleting:
        return Todo()
    if wish.over:
        return Todo(delete=namespace)
    if namespace is None:
        # Whatever lies in a namespace that is not seen is not ours to remove. A project that is not open needs none.
        return Todo(make=tuple(sorted(wanted, key=_order))) if wish.open else Todo()
    found = _Found(complete=(ROLE_BINDING, HUB) in seen)
    for key, want in wanted.items():
        _judge(found, key, want, seen.get(key))
    return Todo(
        make=tuple(sorted(found.make, key=_order)),
        change=tuple(sorted(found.change, key=_order)),
        repair=tuple(sorted(found.repair, key=_order)),
        remove=_surplus(wanted, seen, wish.slug),
        end=pods_to_end(seen, wish.live, wish.guests) if wish.open else pods_to_end(seen),
    )


def _judge(found: _Found, key: Key, want: Wanted, have: Seen | None) -> None:
    if have is None:
        # A home is missing because somebody joined.
        (found.repair if found.complete and key[0] is not CLAIM else found.make).append(key)
    elif have.deleting:
        return
    elif have.digest != want.digest:
        by_hand = found.complete and have.stamp in ("", want.digest)
        (found.repair if by_hand else found.change).append(key)
    elif have.stamp != want.digest or have.size < want.size:
        found.change.append(key)


def _surplus(wanted: Mapping[Key, Wanted], seen: Space, slug: str) -> tuple[tuple[Key, Seen], ...]:
    return tuple(
        (key, have)
        for key, have in seen.items()
        if key not in wanted
        and not key[0].kept
        and key[0] is not POD
        and not have.deleting
        and (key[0].exclusive or have.project == slug)
    )


def pods_to_end(
    seen: Space, live: frozenset[str] = frozenset(), guests: frozenset[tuple[str, str]] = frozenset()
) -> tuple[tuple[Key, Seen], ...]:
    """Pods of no workspace that may run, and of no guest. Their own names say whose they are, of which there is one
    each: labels are what whoever makes them likes.
    """
    uids = {workspace_of(guest): uid for guest, uid in guests}
    names = {workspace_of(workspace_id) for workspace_id in live} | uids.keys()

    def lives(name: str, have: Seen) -> bool:
        return name in names and uids.get(name, "") in ("", have.uid)

    return tuple(
        (key, have) for key, have in seen.items() if key[0] is POD and not have.deleting and not lives(key[1], have)
    )


def not_ours(name: str) -> Conflict:
    return Conflict(
        f"There is a namespace {name} that this installation did not make.",
        hint="Look whose it is. Nothing in it was touched; the project has no workspaces until it is gone.",
        field="namespace",
    )


def _order(key: Key) -> int:
    return ORDER[key[0]]
