"""The life of a release request: its states, the one table of transitions, who owns a state and for how long.

Nothing here touches a database, so that the table can be printed, drawn and tested whole.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum


class RequestState(StrEnum):
    draft = "draft"  # in the notebook only; the platform never stores one
    submitted = "submitted"
    checking = "checking"
    in_review = "in_review"
    approved = "approved"
    returned = "returned"
    rejected = "rejected"
    releasing = "releasing"
    released = "released"
    recalled = "recalled"
    withdrawn = "withdrawn"
    failed = "failed"


class Owner(StrEnum):
    """Whose turn it is."""

    author = "author"
    reviewer = "reviewer"
    system = "system"
    nobody = "nobody"


_S = RequestState

# A failed check is retried as submitted, a failed release as approved (rules.check_retry). What was approved may
# still be returned: a mis-click is mended before anything has left.
TRANSITIONS: dict[RequestState, frozenset[RequestState]] = {
    _S.draft: frozenset({_S.submitted, _S.withdrawn}),
    _S.submitted: frozenset({_S.checking, _S.failed}),
    _S.checking: frozenset({_S.in_review, _S.returned, _S.failed}),
    _S.in_review: frozenset({_S.approved, _S.returned, _S.rejected}),
    _S.approved: frozenset({_S.releasing, _S.returned}),
    _S.returned: frozenset({_S.submitted, _S.withdrawn}),
    _S.rejected: frozenset(),
    _S.releasing: frozenset({_S.released, _S.failed}),
    _S.released: frozenset({_S.recalled}),
    _S.recalled: frozenset(),
    _S.withdrawn: frozenset(),
    _S.failed: frozenset({_S.submitted, _S.approved, _S.withdrawn}),
}

OWNERS: dict[RequestState, Owner] = {
    _S.draft: Owner.author,
    _S.submitted: Owner.system,
    _S.checking: Owner.system,
    _S.in_review: Owner.reviewer,
    _S.approved: Owner.reviewer,
    _S.returned: Owner.author,
    _S.rejected: Owner.nobody,
    _S.releasing: Owner.system,
    _S.released: Owner.nobody,
    _S.recalled: Owner.nobody,
    _S.withdrawn: Owner.nobody,
    _S.failed: Owner.author,
}

# After this long a state of the system's becomes failed, with the reason, and can be retried.
TIMEOUTS: dict[RequestState, timedelta] = {
    _S.submitted: timedelta(hours=1),
    _S.checking: timedelta(minutes=15),
    _S.releasing: timedelta(minutes=15),
}

# What the world has seen.
OUT = (_S.released, _S.recalled)
OPEN = tuple(state for state, owner in OWNERS.items() if owner is not Owner.nobody)


def diagram() -> str:
    """The transitions as a Mermaid state diagram; the page in docs/ is this text."""
    lines = ["stateDiagram-v2", "    [*] --> draft"]
    for source, targets in TRANSITIONS.items():
        lines += [f"    {source} --> {target}" for target in RequestState if target in targets]
        if not targets:
            lines.append(f"    {source} --> [*]")
    for owner in Owner:
        owned = ", ".join(state for state in RequestState if OWNERS[state] is owner)
        lines.append(f"    %% {owner}: {owned}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(diagram(), end="")
