"""What a person may do with a request now: the rules asked one by one, for pages that show only what works.

A name in the list is a promise only as long as nothing changes; every use case asks the rules again.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.orm import Session

from tre.audit import Actor
from tre.errors import TreError
from tre.outputs import access, rules
from tre.outputs.model import ReleaseRequest
from tre.outputs.rules import Ties
from tre.outputs.states import RequestState

_S = RequestState


def actions(session: Session, actor: Actor, request: ReleaseRequest, ties: Ties) -> tuple[str, ...]:
    """Names out of view, comment, vote, decide, release, recall, withdraw, resubmit, retry, download."""
    state = RequestState(request.state)
    version = access.version_of(session, request)
    reviewed = actor.username in {review.reviewer for review in access.counted_reviews(session, version)}
    opened = version.opened_at is not None
    conflicted = any(file.decision == "conflicted" for file in version.files)
    may = {
        "view": _asks(rules.check_review, actor, ties) and version.checked_at is not None,
        "comment": _asks(rules.check_comment, actor, ties) and state not in (_S.withdrawn, _S.recalled, _S.rejected),
        "vote": _asks(rules.check_review, actor, ties)
        and state is _S.in_review
        and (not opened or (reviewed and conflicted)),
        "decide": _asks(rules.check_review, actor, ties)
        and ((state is _S.in_review and opened and reviewed) or state is _S.approved),
        "release": _asks(rules.check_review, actor, ties) and state is _S.approved,
        "recall": _asks(rules.check_recall, actor, ties) and state is _S.released,
        "withdraw": _asks(lambda _, found: rules.check_author(found), actor, ties)
        and state in (_S.returned, _S.failed),
        "resubmit": _asks(lambda _, found: rules.check_author(found), actor, ties)
        and state in (_S.returned, _S.failed),
        "retry": _asks(rules.check_retry, actor, ties) and state is _S.failed,
        "download": _asks(rules.check_download, actor, ties) and state is _S.released,
    }
    return tuple(name for name, allowed in may.items() if allowed)


def _asks(rule: Callable[[Actor, Ties], None], actor: Actor, ties: Ties) -> bool:
    try:
        rule(actor, ties)
    except TreError:
        return False
    return True
