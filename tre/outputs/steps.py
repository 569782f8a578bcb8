"""The state is the queue: how a worker takes a request, keeps it, and lets go of it whatever happens.

Decides leases (who takes a request holds it for minutes; a worker that dies loses it), attempts, what a failure
becomes, and timeouts. Leaves what is done with a request to `checking` and `release`.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from tre.audit import SYSTEM, UseCase, use_case
from tre.errors import Broken, Conflict, TreError, Unavailable
from tre.outputs import access
from tre.outputs.content.bucket_errors import AWAY
from tre.outputs.model import ReleaseRequest
from tre.outputs.service import move
from tre.outputs.states import TIMEOUTS, RequestState
from tre.store import Database

log = logging.getLogger(__name__)
LEASE = timedelta(minutes=2)
BEAT = timedelta(seconds=10)
#: After a part did not answer: long enough not to hammer it, short enough to go unnoticed.
PAUSE = timedelta(seconds=20)
MAX_ATTEMPTS = 5


class LeaseLost(Conflict):
    """Another worker, or a timeout, took the request over: nothing of ours counts any more."""

    code = "lease_lost"


@dataclass(frozen=True)
class Claim:
    """A request in the hands of one worker. `lease` proves it; `since` is when the request entered its state."""

    request: int
    version: int
    lease: str
    since: datetime


def claim(db: Database, state: RequestState, *, waiting: RequestState | None = None) -> Claim | None:
    """Takes the oldest request that nobody holds: one in `waiting` (moved to `state`), or one in `state` whose
    holder died.
    """
    with use_case(db, SYSTEM, f"request.{state}", "request:none") as case:
        request = _next(case.session, case.now, state, waiting)
        if request is None:
            case.nothing_changed()
            return None
        case.subject = access.subject_of(request.id)
        if request.state != state:
            move(case, request, state)
        elif request.attempts >= MAX_ATTEMPTS:
            give_up(case, request, f"It stopped {request.attempts} times without an answer.")
            return None
        request.attempts += 1
        request.lease, request.lease_until = secrets.token_hex(8), case.now + LEASE
        case.note(version=request.version, attempt=request.attempts)
        return Claim(request.id, request.version, request.lease, request.state_since)


def _next(session: Session, now: datetime, state: RequestState, waiting: RequestState | None) -> ReleaseRequest | None:
    free = or_(ReleaseRequest.lease_until.is_(None), ReleaseRequest.lease_until < now)
    for wanted in (state, waiting):
        if wanted is not None:
            query = select(ReleaseRequest).where(ReleaseRequest.state == wanted, free).order_by(ReleaseRequest.id)
            found = session.scalars(query.limit(1).with_for_update(skip_locked=True)).first()
            if found is not None:
                return found
    return None


def held(session: Session, taken: Claim, state: RequestState) -> ReleaseRequest:
    """The request, locked, if it is still in this worker's hands. Raises `LeaseLost` otherwise: somebody
    else goes on.
    """
    request = access.get(session, taken.request, lock=True)
    if request.state != state or request.lease != taken.lease or request.version != taken.version:
        raise LeaseLost(f"Request {taken.request} is no longer in these hands.")
    return request


def heartbeat(db: Database, taken: Claim, state: RequestState) -> Callable[[], None]:
    """To be called as often as one likes: says now and then that the worker lives, so that a long step keeps its lease.

    What is returned raises `LeaseLost` when somebody else took over.
    """
    last = db.clock()

    def beat() -> None:
        nonlocal last
        if db.clock() - last >= BEAT:
            with db.transaction() as session:
                held(session, taken, state).lease_until = db.clock() + LEASE
            last = db.clock()

    return beat


@contextmanager
def handling(db: Database, taken: Claim, state: RequestState) -> Iterator[None]:
    """What a failure in the block becomes: a pause and another attempt, or failed with the reason; never silence."""
    try:
        yield
    except LeaseLost as lost:
        log.warning("request %s: %s", taken.request, lost.message)
    except Broken as error:
        alarm(db, f"request:{taken.request}", error)
        _fail(db, taken, state, error.message)
    except TreError as error:
        if _passing(error):
            log.warning("request %s waits: %s", taken.request, error.message)
            _pause(db, taken, state, error)
        else:
            _fail(db, taken, state, error.message)
    except Exception as error:
        log.exception("request %s: unexpected", taken.request)
        _fail(db, taken, state, f"An unexpected error ({type(error).__name__}); the worker's log says more.")


def _passing(error: TreError) -> bool:
    """Worth another attempt: a part did not answer, or the database let somebody else go first."""
    return isinstance(error, Unavailable) or (isinstance(error, Conflict) and error.error_code == Conflict.code)


def _pause(db: Database, taken: Claim, state: RequestState, error: TreError) -> None:
    with db.transaction() as session:
        request = held(session, taken, state)
        request.lease, request.lease_until = "", db.clock() + PAUSE
        if error.error_code == AWAY:
            # Of that no request can be the reason: it waits as long as its state may last.
            request.attempts -= 1
        request.reason = f"Waiting: {error.message}"


def _fail(db: Database, taken: Claim, state: RequestState, reason: str) -> None:
    try:
        with use_case(db, SYSTEM, "request.fail", access.subject_of(taken.request)) as case:
            give_up(case, held(case.session, taken, state), reason)
    except LeaseLost as lost:
        log.warning("request %s: %s", taken.request, lost.message)


def give_up(case: UseCase, request: ReleaseRequest, reason: str) -> None:
    case.action = "request.fail"
    request.failed_from = request.state
    move(case, request, RequestState.failed, reason)
    case.note(reason=reason, failed_from=request.failed_from)


def alarm(db: Database, subject: str, error: Broken) -> None:
    """Evidence of tampering or loss: on record at once, whatever becomes of the use case that met it."""
    log.critical("%s: %s", subject, error.message)
    with use_case(db, SYSTEM, "content.alarm", subject) as case:
        case.note(code=error.error_code, message=error.message)


def expire(db: Database) -> bool:
    """Fails one request that a state of the system's has held for too long; says whether there was one."""
    for state, limit in TIMEOUTS.items():
        with use_case(db, SYSTEM, "request.expire", "request:none") as case:
            query = select(ReleaseRequest).where(
                ReleaseRequest.state == state, ReleaseRequest.state_since < case.now - limit
            )
            request = case.session.scalars(query.limit(1).with_for_update(skip_locked=True)).first()
            if request is not None:
                case.subject = access.subject_of(request.id)
                give_up(case, request, f"It was {state} for longer than {limit}.")
                return True
            case.nothing_changed()
    return False
