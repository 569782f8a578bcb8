"""Tokens: scope, expiry, revocation, and the roles of today."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from tests.fixtures.people import People
from tre.audit.model import AuditEvent
from tre.errors import Forbidden, NotFound, TreError, Unauthenticated
from tre.people import service
from tre.people.model import ApiToken, Role
from tre.people.renewal import renew
from tre.people.signin import TOKEN_LIFE, SignedIn, actor_of_token, issue_token, revoke_token, revoke_tokens

BOB = SignedIn("bob", "Bob", frozenset({"researcher"}), 0)


@pytest.fixture
def token(people: People) -> str:
    people.add("bob", Role.researcher)
    return issue_token(people.db, BOB, scope="all", via="cli")[0]


def test_a_token_stands_for_its_person_at_its_edge(people: People, token: str):
    assert actor_of_token(people.db, token, writes=True) == people.actor("bob", via="cli")


def test_only_the_hash_of_a_token_is_kept(people: People, token: str):
    with people.db.read() as session:
        rows = session.execute(text("SELECT t::text FROM api_token t UNION ALL SELECT e::text FROM audit_event e"))
        assert not any(token in row[0] for row in rows)
    assert len(token) >= 43


@pytest.mark.parametrize("scope", ["read", "", "ALL", "all ", "write"])
def test_any_scope_but_all_may_only_read_and_the_attempt_is_audited(people: People, token: str, scope: str):
    held, _ = issue_token(people.db, BOB, scope=scope, via="cli")
    assert actor_of_token(people.db, held, writes=False).username == "bob"
    with pytest.raises(Forbidden):
        actor_of_token(people.db, held, writes=True)
    with people.db.read() as session:
        last = session.scalars(select(AuditEvent).order_by(AuditEvent.seq.desc())).first()
        assert last is not None
        assert (last.actor, last.action, last.outcome) == ("bob", "token.use", "refused")


def test_a_token_ends_at_its_moment(people: People, token: str):
    people.clock.advance(seconds=TOKEN_LIFE.total_seconds() - 1)
    actor_of_token(people.db, token, writes=True)
    people.clock.advance(seconds=1)
    with pytest.raises(Unauthenticated):
        actor_of_token(people.db, token, writes=False)


def test_a_life_may_be_shorter(people: People, token: str):
    held, expires = issue_token(people.db, BOB, scope="all", via="web", life=timedelta(minutes=5))
    assert expires == people.clock() + timedelta(minutes=5)
    people.clock.advance(minutes=5)
    with pytest.raises(Unauthenticated):
        actor_of_token(people.db, held, writes=False)


def test_a_revoked_token_is_one_no_more_and_revoking_twice_is_once(people: People, token: str):
    other, _ = issue_token(people.db, BOB, scope="all", via="cli")
    bob = actor_of_token(people.db, token, writes=True)
    revoke_token(people.db, bob, token)
    revoke_token(people.db, bob, token)
    with pytest.raises(Unauthenticated):
        actor_of_token(people.db, token, writes=False)
    assert actor_of_token(people.db, other, writes=True) == bob


def test_nobody_revokes_anothers_token(people: People, token: str):
    with pytest.raises(Unauthenticated):
        revoke_token(people.db, people.admin, token)
    with pytest.raises(Unauthenticated):
        revoke_token(people.db, people.actor("bob"), "no-such-token")
    assert actor_of_token(people.db, token, writes=True).username == "bob"


@pytest.mark.parametrize("who", ["bob", "ada"])
def test_every_token_of_a_person_ends_at_once_and_nobody_elses(people: People, token: str, who: str):
    people.add("eve", Role.researcher)
    theirs, _ = issue_token(people.db, SignedIn("eve", "Eve", frozenset(), 0), scope="all", via="cli")
    lost, _ = issue_token(people.db, BOB, scope="read", via="web")
    issue_token(people.db, BOB, scope="all", via="cli", life=timedelta(seconds=-1))
    assert revoke_tokens(people.db, people.actor(who), username="bob") == 2
    assert revoke_tokens(people.db, people.actor(who), username="bob") == 0
    for held in (token, lost):
        with pytest.raises(Unauthenticated):
            actor_of_token(people.db, held, writes=False)
    assert actor_of_token(people.db, theirs, writes=True).username == "eve"


def test_nobody_but_an_administrator_ends_anothers_tokens(people: People, token: str):
    people.add("eve", Role.auditor, Role.checker, Role.researcher)
    for username in ("bob", "ada", "nobody"):
        with pytest.raises(Forbidden):
            revoke_tokens(people.db, people.actor("eve"), username=username)
    with pytest.raises(NotFound):
        revoke_tokens(people.db, people.admin, username="nobody")
    assert actor_of_token(people.db, token, writes=True).username == "bob"


@pytest.mark.parametrize("change", ["", "x", "upper", "\0", "\ud800", "cut", "blank"])
def test_nothing_but_the_token_is_the_token(people: People, token: str, change: str):
    shown = {"upper": token.swapcase(), "cut": token[:-1], "blank": token + " ", "x": token + "x"}.get(change, change)
    with pytest.raises(Unauthenticated):
        actor_of_token(people.db, shown, writes=False)


def test_roles_given_and_taken_act_at_once(people: People, token: str):
    service.give_role(people.db, people.admin, username="bob", role=Role.checker)
    assert actor_of_token(people.db, token, writes=True).roles == {"researcher", "checker"}
    service.take_role(people.db, people.admin, username="bob", role=Role.checker)
    service.take_role(people.db, people.admin, username="bob", role=Role.researcher)
    assert actor_of_token(people.db, token, writes=True).roles == frozenset()


def sign_out(people: People) -> None:
    revoke_tokens(people.db, people.admin, username="bob")


def end(people: People) -> None:
    service.end_account(people.db, people.admin, username="bob", reason="Left.")


def renew_it(people: People) -> None:
    renew(
        people.db, people.sealer, people.admin, username="bob", password="a new horse, another battery", reason="Lost."
    )


def living(people: People) -> list[ApiToken]:
    with people.db.read() as session:
        return list(session.scalars(select(ApiToken).where(ApiToken.revoked_at.is_(None))))


@pytest.mark.parametrize("ending", [sign_out, end, renew_it])
def test_who_was_let_in_before_everything_ended_gets_no_token_after_it(
    people: People, token: str, ending: Callable[[People], None]
):
    """Judging somebody and making their token are two moments; what ends them in between ends both."""
    ending(people)
    with pytest.raises(Unauthenticated):
        issue_token(people.db, BOB, scope="all", via="cli")
    assert living(people) == []
    with people.db.read() as session:
        last = session.scalars(select(AuditEvent).order_by(AuditEvent.seq.desc())).first()
        assert last is not None
        assert (last.actor, last.action, last.outcome) == ("bob", "token.issue", "refused")


def test_a_token_that_is_made_while_everything_ends_does_not_outlive_it(
    people: People, token: str, at_once: Callable[..., list[object]]
):
    """Whoever is first: either there was a token and it ended, or there was none."""
    for number in range(10):
        who = replace(BOB, session_round=number)
        made = lambda who=who: issue_token(people.db, who, scope="all", via="web")  # noqa: E731
        results = at_once(made, made, lambda: sign_out(people), made, made)
        assert all(isinstance(result, tuple | Unauthenticated | None) for result in results), results
        assert living(people) == []


def test_a_token_for_nobody_is_refused(people: People):
    with pytest.raises(NotFound):
        issue_token(people.db, SignedIn("ghost", "", frozenset(), 0), scope="all", via="cli")


def test_revoking_while_using_ends_in_refusal(people: People, token: str, at_once: Callable[..., list[object]]):
    bob = people.actor("bob")

    def use() -> None:
        actor_of_token(people.db, token, writes=True)

    results = at_once(*[use] * 4, lambda: revoke_token(people.db, bob, token), *[use] * 4)
    assert all(result is None or isinstance(result, TreError) for result in results)
    with pytest.raises(Unauthenticated):
        use()
