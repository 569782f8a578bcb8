"""Signing in, as somebody who guesses: one sentence, the same work, five attempts, no code twice."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.fixtures.people import PASSWORD, LocalSealer, People
from tests.people.test_passwords import Watching
from tre.audit.model import AuditEvent
from tre.errors import Forbidden, TreError, Unauthenticated, Unavailable
from tre.people import passwords, service
from tre.people.model import Role, SignInFailure
from tre.people.signin import FAILURES_ALLOWED, SignedIn, TooManyAttempts, forget_failures, sign_in

WRONG = "User name, password or one-time code is wrong."


@pytest.fixture
def bob(people: People) -> People:
    """The people, bob the researcher among them."""
    people.add("bob", Role.researcher)
    return people


def attempt(people: People, username: str = "bob", password: str = PASSWORD, totp: str | None = None) -> SignedIn:
    code = people.code("bob") if totp is None else totp
    return sign_in(
        people.db, people.sealer, username=username, password=password, totp=code, via="web", local_accounts=False
    )


def failures(people: People, username: str = "bob") -> int:
    with people.db.read() as session:
        query = select(func.count()).select_from(SignInFailure).where(SignInFailure.username == username)
        return session.scalar(query) or 0


def test_the_right_password_and_code_sign_in_and_are_audited(bob: People):
    assert attempt(bob) == SignedIn("bob", "Bob", frozenset({"researcher"}), 0)
    assert failures(bob) == 0
    with bob.db.read() as session:
        last = session.scalars(select(AuditEvent).order_by(AuditEvent.seq.desc())).first()
        assert last is not None
        assert (last.actor, last.via, last.action, last.outcome) == ("bob", "web", "person.sign_in", "done")


WRONGS: dict[str, dict[str, str]] = {
    "name": {"username": "nobody"},
    "unreadable name": {"username": "Bob\0"},
    "password": {"password": "wrong horse battery"},
    "empty password": {"password": ""},
    "half a character": {"password": "\ud800"},
    "long password": {"password": "x" * 100_000},
    "code": {"totp": "000000"},
    "empty code": {"totp": ""},
    "letters as code": {"totp": "abcdef"},
    "other digits as code": {"totp": "１２３４５６"},
    "half a character as code": {"totp": "\ud800"},
    "long code": {"totp": "0" * 10_000},
    "everything": {"username": "nobody", "password": "x", "totp": "x"},
}


@dataclass
class Counted:
    """Counts what costs time: calls of the password hash and of the secrets server."""

    hashes: int = 0
    sealer: LocalSealer = field(default_factory=LocalSealer)
    calls: int = 0

    def seal(self, context: str, plain: bytes) -> str:
        self.calls += 1
        return self.sealer.seal(context, plain)

    def unseal(self, context: str, sealed: str) -> bytes:
        self.calls += 1
        return self.sealer.unseal(context, sealed)


@pytest.mark.parametrize("wrong", WRONGS.values(), ids=WRONGS)
def test_whatever_is_wrong_costs_one_sentence_and_the_same_work(
    bob: People, wrong: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    counted = Counted(sealer=bob.sealer)
    real = passwords._hasher

    class Hasher:
        def verify(self, stored: str, password: str) -> bool:
            counted.hashes += 1
            return real.verify(stored, password)

    monkeypatch.setattr(passwords, "_hasher", Hasher())
    monkeypatch.setattr(bob, "sealer", counted)
    with pytest.raises(Unauthenticated) as refused:
        attempt(bob, **wrong)
    assert refused.value.as_dict() == Unauthenticated(WRONG).as_dict()
    assert (counted.hashes, counted.calls) == (1, 1)
    assert failures(bob, "bob" if "username" not in wrong else service.__name__) == ("username" not in wrong)


def test_nobody_has_the_parameters_of_everybody(cheap_passwords: None):
    assert passwords._NOBODY.split("$")[:4] == passwords.hash_password("x").split("$")[:4]


def test_after_five_failures_even_the_right_password_waits(bob: People):
    for _ in range(FAILURES_ALLOWED):
        with pytest.raises(Unauthenticated):
            attempt(bob, password="wrong")
    with pytest.raises(TooManyAttempts):
        attempt(bob)
    bob.clock.advance(minutes=14, seconds=59)
    with pytest.raises(TooManyAttempts):
        attempt(bob)
    bob.clock.advance(seconds=1)
    assert attempt(bob).username == "bob"


def test_four_failures_do_not_lock_and_others_are_not_concerned(bob: People):
    for _ in range(FAILURES_ALLOWED - 1):
        with pytest.raises(Unauthenticated):
            attempt(bob, totp="000000")
    assert attempt(bob).username == "bob"
    bob.add("cy")
    assert attempt(bob, "cy", totp=bob.code("cy")).username == "cy"


def test_a_success_does_not_forgive_the_failures_before_it(bob: People):
    for _ in range(FAILURES_ALLOWED - 1):
        with pytest.raises(Unauthenticated):
            attempt(bob, password="wrong")
    attempt(bob)
    bob.clock.advance(minutes=1)
    with pytest.raises(Unauthenticated):
        attempt(bob, password="wrong")
    with pytest.raises(TooManyAttempts):
        attempt(bob)


def test_a_clock_that_jumps_back_does_not_open_the_lock(bob: People):
    for _ in range(FAILURES_ALLOWED):
        with pytest.raises(Unauthenticated):
            attempt(bob, password="wrong")
    bob.clock.advance(days=-1)
    with pytest.raises(TooManyAttempts):
        attempt(bob)


@pytest.mark.parametrize("username", ["bob", "nobody", "\0"])
def test_fifty_attempts_at_once_cannot_slip_past(bob: People, username: str, at_once: Callable[..., list[object]]):
    results = at_once(*[lambda: attempt(bob, username, password="wrong")] * 50)
    kinds = [type(result) for result in results]
    assert kinds.count(Unauthenticated) == FAILURES_ALLOWED
    assert kinds.count(TooManyAttempts) == 50 - FAILURES_ALLOWED


def test_a_person_called_as_the_unreadable_are_counted_is_not_locked_by_them(bob: People):
    bob.add("unreadable")
    for _ in range(FAILURES_ALLOWED):
        with pytest.raises(Unauthenticated):
            attempt(bob, "\0")
    assert attempt(bob, "unreadable", totp=bob.code("unreadable")).username == "unreadable"


@pytest.mark.parametrize(("steps", "right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_codes_one_step_either_side_are_right(bob: People, steps: int, right: bool):
    if right:
        assert attempt(bob, totp=bob.code("bob", steps=steps)).username == "bob"
        return
    with pytest.raises(Unauthenticated):
        attempt(bob, totp=bob.code("bob", steps=steps))


@pytest.mark.parametrize("first", [-1, 0, 1])
def test_a_code_and_those_before_it_work_once(bob: People, first: int):
    attempt(bob, totp=bob.code("bob", steps=first))
    for steps in range(-1, first + 1):
        with pytest.raises(Unauthenticated, match=WRONG):
            attempt(bob, totp=bob.code("bob", steps=steps))
    bob.clock.advance(seconds=60)
    assert attempt(bob).username == "bob"


def test_a_code_works_once_for_ten_who_show_it_at_once(bob: People, at_once: Callable[..., list[object]]):
    code = bob.code("bob")
    results = at_once(*[lambda: attempt(bob, totp=code)] * 5)
    assert sorted(type(result).__name__ for result in results) == ["SignedIn", *["Unauthenticated"] * 4]


def test_a_wrong_password_does_not_use_the_code_up(bob: People):
    code = bob.code("bob")
    with pytest.raises(Unauthenticated):
        attempt(bob, password="wrong", totp=code)
    assert attempt(bob, totp=code).username == "bob"


def test_an_ended_account_is_told_only_to_whoever_proves_to_be_it(bob: People):
    service.end_account(bob.db, bob.admin, username="bob", reason="Left.")
    with pytest.raises(Unauthenticated, match=WRONG):
        attempt(bob, password="wrong")
    with pytest.raises(Unauthenticated, match=WRONG):
        attempt(bob, totp="000000")
    with pytest.raises(Forbidden) as refused:
        attempt(bob)
    assert refused.value.error_code == "account_ended"


def test_a_silent_secrets_server_counts_against_nobody(bob: People, monkeypatch: pytest.MonkeyPatch):
    class Down(LocalSealer):
        def unseal(self, context: str, sealed: str) -> bytes:
            raise Unavailable("down")

        def seal(self, context: str, plain: bytes) -> str:
            raise Unavailable("down")

    kept = bob.sealer
    monkeypatch.setattr(bob, "sealer", Down())
    for wrong in ({}, {"password": "wrong"}, {"username": "nobody"}):
        for _ in range(FAILURES_ALLOWED + 1):
            with pytest.raises(Unavailable):
                attempt(bob, **wrong)
    monkeypatch.setattr(bob, "sealer", kept)
    assert attempt(bob).username == "bob"


def test_every_refused_attempt_is_audited_without_what_was_typed(bob: People):
    typed: list[dict[str, Any]] = [{"password": "hunter2 hunter2"}, {"totp": "424242"}, {"username": "hunter2\0"}]
    for wrong in typed:
        with pytest.raises(TreError):
            attempt(bob, **wrong)
    with bob.db.read() as session:
        refused = session.scalars(select(AuditEvent).where(AuditEvent.outcome == "refused")).all()
    assert [event.subject for event in refused] == ["person:bob", "person:bob", "person:(unreadable)"]
    written = "".join(f"{event.actor}{event.detail}" for event in refused)
    assert "hunter2" not in written
    assert "424242" not in written


def test_a_code_belongs_to_its_person(bob: People):
    bob.add("cy")
    with pytest.raises(Unauthenticated):
        attempt(bob, "cy", totp=bob.code("bob"))


def test_the_window_slides(bob: People):
    for _ in range(FAILURES_ALLOWED):
        with pytest.raises(Unauthenticated):
            attempt(bob, password="wrong")
        bob.clock.advance(minutes=4)
    # Twenty minutes later the first two no longer count.
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            attempt(bob, password="wrong")
    with pytest.raises(TooManyAttempts):
        attempt(bob)


def test_enrolment_is_what_an_authenticator_reads(people: People):
    made = service.add_person(
        people.db, people.sealer, people.admin, username="bob", name="Bob", password=PASSWORD, organisation="uni"
    )
    assert made.totp_uri == f"otpauth://totp/tre:bob?secret={made.totp_secret}&issuer=tre"
    with people.db.read() as session:
        assert made.totp_secret not in service.get_person(session, "bob").sealed_totp
    assert timedelta(seconds=passwords.STEP_SECONDS) == timedelta(seconds=30)


def test_no_connection_is_held_while_a_password_is_hashed(bob: People, monkeypatch: pytest.MonkeyPatch):
    held: list[int] = []
    pool: Any = bob.db.engine.pool
    monkeypatch.setattr(passwords, "_hasher", Watching(lambda: held.append(pool.checkedout())))
    with pytest.raises(Unauthenticated):
        attempt(bob)
    assert held == [0]


def test_failures_that_no_longer_count_are_forgotten_and_no_others(bob: People):
    with pytest.raises(Unauthenticated):
        attempt(bob, password="wrong")
    bob.clock.advance(minutes=10)
    with pytest.raises(Unauthenticated):
        attempt(bob, password="wrong")
    assert forget_failures(bob.db) == 0
    bob.clock.advance(minutes=5)
    assert [forget_failures(bob.db), forget_failures(bob.db)] == [1, 0]
    for _ in range(FAILURES_ALLOWED - 1):
        with pytest.raises(Unauthenticated):
            attempt(bob, password="wrong")
    with pytest.raises(TooManyAttempts):
        attempt(bob)
