"""A terminal that is let in from a browser, as somebody who would be let in without."""

from collections.abc import Callable

import pytest

from tests.fixtures.people import PASSWORD, People
from tre.audit import Actor
from tre.errors import Conflict, Forbidden, InvalidInput, LimitExceeded, TreError, Unauthenticated
from tre.people import identities, service, terminal
from tre.people.model import Role
from tre.people.renewal import change_password
from tre.people.signin import actor_of_token, revoke_tokens


@pytest.fixture
def bob(people: People) -> Actor:
    return people.add("bob", Role.researcher)


def test_the_terminal_gets_a_token_of_whoever_said_yes_and_once(people: People, bob: Actor):
    begun = terminal.begin(people.db, scope="all")
    with pytest.raises(Conflict) as waiting:
        terminal.take(people.db, secret=begun.secret)
    assert waiting.value.error_code == "pending"
    terminal.approve(people.db, bob, code=f" {begun.code.lower()} ")
    token, _, who = terminal.take(people.db, secret=begun.secret)
    assert who.username == "bob"
    assert actor_of_token(people.db, token, writes=True) == Actor("bob", frozenset({"researcher"}), "cli")
    with pytest.raises(Unauthenticated):
        terminal.take(people.db, secret=begun.secret)
    with pytest.raises(InvalidInput):
        terminal.approve(people.db, people.admin, code=begun.code)


def test_a_terminal_that_asked_to_read_only_reads(people: People, bob: Actor):
    begun = terminal.begin(people.db, scope="read")
    terminal.approve(people.db, bob, code=begun.code)
    token, *_ = terminal.take(people.db, secret=begun.secret)
    with pytest.raises(Forbidden):
        actor_of_token(people.db, token, writes=True)


@pytest.mark.parametrize("code", ["", "x", "AAAA-AAAA", "BCDF-GHJK", "B" * 10_000, "\0", "ÄÖÜ"])
def test_a_guessed_code_lets_nobody_in(people: People, bob: Actor, code: str):
    begun = terminal.begin(people.db, scope="all")
    with pytest.raises(InvalidInput, match="No terminal waits"):
        terminal.approve(people.db, bob, code=code)
    for secret in ("", begun.code, begun.secret[:-1], begun.secret + "x", "\ud800"):
        with pytest.raises(Unauthenticated):
            terminal.take(people.db, secret=secret)


def test_the_code_alone_is_no_secret_of_the_terminal(people: People, bob: Actor):
    """Whoever looks over a shoulder sees the code; it opens nothing by itself, and a second yes changes nothing."""
    begun = terminal.begin(people.db, scope="all")
    terminal.approve(people.db, bob, code=begun.code)
    with pytest.raises(InvalidInput):
        terminal.approve(people.db, people.admin, code=begun.code)
    assert terminal.take(people.db, secret=begun.secret)[2].username == "bob"


def test_minutes_later_it_is_too_late(people: People, bob: Actor):
    early, late = terminal.begin(people.db, scope="all"), terminal.begin(people.db, scope="all")
    terminal.approve(people.db, bob, code=early.code)
    people.clock.advance(minutes=10)
    with pytest.raises(InvalidInput):
        terminal.approve(people.db, bob, code=late.code)
    with pytest.raises(Unauthenticated):
        terminal.take(people.db, secret=early.secret)


def test_who_left_in_between_is_not_let_in(people: People, bob: Actor):
    who = {"issuer": "https://id.example", "subject": "s-1"}
    identities.add_identity(people.db, people.admin, username="bob", **who)
    identities.sign_in(people.db, **who, life=terminal.LIFE, via="web")
    left, ended = terminal.begin(people.db, scope="all"), terminal.begin(people.db, scope="all")
    for begun in (left, ended):
        terminal.approve(people.db, bob, code=begun.code)
    identities.lose(people.db, username="bob", **who, reason="no")
    with pytest.raises(Unauthenticated):
        terminal.take(people.db, secret=left.secret)
    service.end_account(people.db, people.admin, username="bob", reason="left")
    with pytest.raises(Unauthenticated):
        terminal.take(people.db, secret=ended.secret)


def sign_out(people: People) -> None:
    revoke_tokens(people.db, people.admin, username="bob")


def change(people: People) -> None:
    code = people.code("bob")
    new = {"password": PASSWORD, "totp": code, "new": "a new horse, another battery"}
    change_password(people.db, people.sealer, people.actor("bob"), **new)


def revive(people: People) -> None:
    """No command does; whatever may some day finds nothing waiting."""
    service.end_account(people.db, people.admin, username="bob", reason="Left.")
    with people.db.transaction() as session:
        service.get_person(session, "bob").active = True


@pytest.mark.parametrize("end", [sign_out, change, revive])
def test_a_terminal_let_in_by_a_stolen_session_does_not_outlive_it(
    people: People, bob: Actor, end: Callable[[People], None]
):
    begun = terminal.begin(people.db, scope="all")
    terminal.approve(people.db, bob, code=begun.code)
    end(people)
    with pytest.raises(Unauthenticated):
        terminal.take(people.db, secret=begun.secret)


def test_two_at_once_get_one_token(people: People, bob: Actor, at_once: Callable[..., list[object]]):
    begun = terminal.begin(people.db, scope="all")
    terminal.approve(people.db, bob, code=begun.code)
    outcomes = at_once(*[lambda: terminal.take(people.db, secret=begun.secret)] * 2)
    assert sorted(isinstance(outcome, TreError) for outcome in outcomes) == [False, True]


def test_a_flood_of_terminals_is_bounded_and_passes(people: People, bob: Actor, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(terminal, "MOST_WAITING", 3)
    for _ in range(3):
        terminal.begin(people.db, scope="all")
    with pytest.raises(LimitExceeded):
        terminal.begin(people.db, scope="all")
    people.clock.advance(minutes=10)
    assert terminal.begin(people.db, scope="all").code
