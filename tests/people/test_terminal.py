"""A terminal that is let in from a browser, as somebody who would be let in without."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from tests.fixtures.people import PASSWORD, People
from tre.audit import Actor
from tre.errors import Conflict, Forbidden, InvalidInput, LimitExceeded, TreError, Unauthenticated
from tre.people import identities, service, terminal
from tre.people.model import ApiToken, Role
from tre.people.renewal import change_password
from tre.people.signin import SignedIn, actor_of_token, issue_token, revoke_tokens


@pytest.fixture
def bob(people: People) -> Actor:
    return people.add("bob", Role.researcher)


def session_of(people: People, who: Actor) -> str:
    """A browser's session."""
    signed_in = SignedIn(who.username, who.username, who.roles, people.session_round(who.username))
    return issue_token(people.db, signed_in, scope="all", via="web")[0]


def say_yes(people: People, who: Actor, code: str) -> None:
    terminal.approve(people.db, who, token=session_of(people, who), code=code)


def test_the_terminal_gets_a_token_of_whoever_said_yes_and_once(people: People, bob: Actor):
    begun = terminal.begin(people.db, scope="all")
    with pytest.raises(Conflict) as waiting:
        terminal.take(people.db, secret=begun.secret)
    assert waiting.value.error_code == "pending"
    say_yes(people, bob, f" {begun.code.lower()} ")
    token, _, who = terminal.take(people.db, secret=begun.secret)
    assert who.username == "bob"
    assert actor_of_token(people.db, token, writes=True) == Actor("bob", frozenset({"researcher"}), "cli")
    with pytest.raises(Unauthenticated):
        terminal.take(people.db, secret=begun.secret)
    with pytest.raises(InvalidInput):
        say_yes(people, people.admin, begun.code)


def test_a_terminal_that_asked_to_read_only_reads(people: People, bob: Actor):
    begun = terminal.begin(people.db, scope="read")
    say_yes(people, bob, begun.code)
    token, *_ = terminal.take(people.db, secret=begun.secret)
    with pytest.raises(Forbidden):
        actor_of_token(people.db, token, writes=True)


@pytest.mark.parametrize("code", ["", "x", "AAAA-AAAA", "BCDF-GHJK", "B" * 10_000, "\0", "ÄÖÜ"])
def test_a_guessed_code_lets_nobody_in(people: People, bob: Actor, code: str):
    begun = terminal.begin(people.db, scope="all")
    with pytest.raises(InvalidInput, match="No terminal waits"):
        say_yes(people, bob, code)
    for secret in ("", begun.code, begun.secret[:-1], begun.secret + "x", "\ud800"):
        with pytest.raises(Unauthenticated):
            terminal.take(people.db, secret=secret)


def test_the_code_alone_is_no_secret_of_the_terminal(people: People, bob: Actor):
    """Whoever looks over a shoulder sees the code; it opens nothing by itself, and a second yes changes nothing."""
    begun = terminal.begin(people.db, scope="all")
    say_yes(people, bob, begun.code)
    with pytest.raises(InvalidInput):
        say_yes(people, people.admin, begun.code)
    assert terminal.take(people.db, secret=begun.secret)[2].username == "bob"


def test_minutes_later_it_is_too_late(people: People, bob: Actor):
    early, late = terminal.begin(people.db, scope="all"), terminal.begin(people.db, scope="all")
    say_yes(people, bob, early.code)
    people.clock.advance(minutes=10)
    with pytest.raises(InvalidInput):
        say_yes(people, bob, late.code)
    with pytest.raises(Unauthenticated):
        terminal.take(people.db, secret=early.secret)


def test_who_left_in_between_is_not_let_in(people: People, bob: Actor):
    who = {"issuer": "https://id.example", "subject": "s-1"}
    identities.add_identity(people.db, people.admin, username="bob", **who)
    identities.sign_in(people.db, **who, life=terminal.LIFE, via="web")
    left, ended = terminal.begin(people.db, scope="all"), terminal.begin(people.db, scope="all")
    for begun in (left, ended):
        say_yes(people, bob, begun.code)
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
    say_yes(people, bob, begun.code)
    end(people)
    with pytest.raises(Unauthenticated):
        terminal.take(people.db, secret=begun.secret)


def tokens_after(people: People) -> list[ApiToken]:
    with people.db.read() as session:
        return list(session.scalars(select(ApiToken).where(ApiToken.revoked_at.is_(None))))


def test_a_terminal_that_comes_for_its_token_while_everything_ends_gets_none_that_lives(
    people: People, bob: Actor, at_once: Callable[..., list[object]]
):
    for _ in range(10):
        begun = terminal.begin(people.db, scope="all")
        say_yes(people, bob, begun.code)
        took, _ = at_once(lambda secret=begun.secret: terminal.take(people.db, secret=secret), lambda: sign_out(people))
        assert isinstance(took, tuple | Unauthenticated), took
        assert tokens_after(people) == []


def test_a_yes_that_is_said_while_everything_ends_lets_nobody_in(
    people: People, bob: Actor, at_once: Callable[..., list[object]]
):
    for _ in range(10):
        begun, token = terminal.begin(people.db, scope="all"), session_of(people, bob)
        yes = lambda token=token, code=begun.code: terminal.approve(people.db, bob, token=token, code=code)  # noqa: E731
        said, _ = at_once(yes, lambda: sign_out(people))
        assert isinstance(said, Unauthenticated | None), said
        with pytest.raises((Unauthenticated, Conflict)):
            terminal.take(people.db, secret=begun.secret)


def test_a_session_that_has_ended_says_yes_to_nothing(people: People, bob: Actor):
    begun, token = terminal.begin(people.db, scope="all"), session_of(people, bob)
    sign_out(people)
    with pytest.raises(Unauthenticated):
        terminal.approve(people.db, bob, token=token, code=begun.code)
    with pytest.raises(Conflict):
        terminal.take(people.db, secret=begun.secret)


def test_two_at_once_get_one_token(people: People, bob: Actor, at_once: Callable[..., list[object]]):
    begun = terminal.begin(people.db, scope="all")
    say_yes(people, bob, begun.code)
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
