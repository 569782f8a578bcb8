"""Identities, as somebody who wants another's account, and as somebody who left the institution."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from tests.fixtures.people import PASSWORD, People
from tre.audit import Actor
from tre.audit.model import AuditEvent
from tre.errors import Conflict, Forbidden, InvalidInput, NotFound, TreError, Unauthenticated
from tre.people import identities, service, signin
from tre.people.model import Role
from tre.people.signin import actor_of_token, issue_token

ISSUER = "https://id.example"
LIFE = timedelta(minutes=20)


@pytest.fixture
def bob(people: People) -> People:
    """bob the researcher has the identity s-1; carol is there, too."""
    people.add("bob", Role.researcher)
    people.add("carol", Role.researcher)
    identities.add_identity(people.db, people.admin, username="bob", issuer=ISSUER, subject="s-1")
    return people


def enter(people: People, subject: str = "s-1", issuer: str = ISSUER) -> str:
    return identities.sign_in(people.db, issuer=issuer, subject=subject, life=LIFE, via="web").username


def by_password(people: People, username: str = "bob", *, keep: bool) -> str:
    people.clock.advance(seconds=60)
    return signin.sign_in(
        people.db,
        people.sealer,
        username=username,
        password=PASSWORD,
        totp=people.code(username),
        via="web",
        local_accounts=keep,
    ).username


def events(people: People) -> list[tuple[str, str, str, str]]:
    with people.db.read() as session:
        found = session.scalars(select(AuditEvent).order_by(AuditEvent.seq)).all()
        return [(event.actor, event.action, event.subject, event.outcome) for event in found]


def token_of(people: People, username: str = "bob") -> str:
    who = signin.SignedIn(username, username.title(), frozenset(), people.session_round(username))
    return issue_token(people.db, who, scope="all", via="web")[0]


def test_an_identity_signs_in_whom_it_belongs_to_and_is_audited(bob: People):
    assert enter(bob) == "bob"
    assert ("ada", "identity.add", "person:bob", "done") in events(bob)
    assert events(bob)[-1] == ("bob", "person.sign_in", "person:bob", "done")


@pytest.mark.parametrize(
    ("issuer", "subject"),
    [
        (ISSUER, "bob"),
        (ISSUER, "bob@uni.example"),
        (ISSUER, "S-1"),
        (ISSUER, "s-1 "),
        (ISSUER + "/", "s-1"),
        ("https://evil.example", "s-1"),
        ("HTTPS://id.example", "s-1"),
    ],
)
def test_nothing_but_the_exact_issuer_and_subject_is_a_person(bob: People, issuer: str, subject: str):
    with pytest.raises(Forbidden, match="Nobody here has this identity"):
        enter(bob, subject, issuer)
    assert events(bob)[-1] == ("unknown", "person.sign_in", "person:unknown", "refused")


def test_an_identity_has_one_owner(bob: People):
    with pytest.raises(Conflict, match="belongs to an account"):
        identities.add_identity(bob.db, bob.admin, username="carol", issuer=ISSUER, subject="s-1")
    code, _ = identities.invite(bob.db, bob.admin, username="carol")
    with pytest.raises(Conflict, match="belongs to an account"):
        identities.redeem(bob.db, code=code, issuer=ISSUER, subject="s-1")
    assert enter(bob) == "bob"


def test_two_at_once_do_not_both_get_an_identity(bob: People, at_once: Callable[..., list[object]]):
    def link(username: str) -> Callable[[], object]:
        return lambda: identities.add_identity(bob.db, bob.admin, username=username, issuer=ISSUER, subject="s-2")

    outcomes = at_once(link("bob"), link("carol"))
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict", "NoneType"]


@pytest.mark.parametrize("role", [Role.researcher, Role.checker, Role.auditor])
def test_only_administrators_link(bob: People, role: Role):
    other = bob.add("otto", role)
    calls: list[Callable[[], Any]] = [
        lambda: identities.add_identity(bob.db, other, username="otto", issuer=ISSUER, subject="s-9"),
        lambda: identities.invite(bob.db, other, username="otto"),
        lambda: identities.remove_identity(bob.db, other, username="bob", issuer=ISSUER, subject="s-1"),
    ]
    for call in calls:
        with pytest.raises(Forbidden):
            call()
        assert events(bob)[-1][3] == "refused"


@pytest.mark.parametrize(
    ("issuer", "subject"),
    [
        ("id.example", "s"),
        (ISSUER, ""),
        (ISSUER, "x" * 256),
        (ISSUER, "a\0b"),
        (ISSUER, "é"),
        (ISSUER, " s"),
        ("https://a\n", "s"),
    ],
)
def test_what_no_provider_writes_is_refused(bob: People, issuer: str, subject: str):
    with pytest.raises(InvalidInput):
        identities.add_identity(bob.db, bob.admin, username="carol", issuer=issuer, subject=subject)


def test_an_invitation_links_once(bob: People):
    first, _ = identities.invite(bob.db, bob.admin, username="carol")
    code, _ = identities.invite(bob.db, bob.admin, username="carol")
    with pytest.raises(Unauthenticated, match="unknown, used, or too old"):
        identities.redeem(bob.db, code=first, issuer=ISSUER, subject="s-2")
    assert identities.redeem(bob.db, code=code, issuer=ISSUER, subject="s-2") == "carol"
    assert enter(bob, "s-2") == "carol"
    with pytest.raises(Unauthenticated, match="unknown, used, or too old"):
        identities.redeem(bob.db, code=code, issuer=ISSUER, subject="s-3")
    assert events(bob)[-1] == ("unknown", "identity.redeem", "person:unknown", "refused")
    with bob.db.read() as session:
        assert code not in str(session.scalars(select(AuditEvent.detail)).all())


def test_an_invitation_grows_old_and_ends_with_the_account(bob: People):
    code, _ = identities.invite(bob.db, bob.admin, username="carol")
    late, _ = identities.invite(bob.db, bob.admin, username="bob")
    service.end_account(bob.db, bob.admin, username="carol", reason="left")
    with pytest.raises(Forbidden, match="has ended"):
        identities.redeem(bob.db, code=code, issuer=ISSUER, subject="s-2")
    bob.clock.advance(days=3, seconds=1)
    with pytest.raises(Unauthenticated):
        identities.redeem(bob.db, code=late, issuer=ISSUER, subject="s-2")


def test_one_code_at_the_same_moment_links_one(bob: People, at_once: Callable[..., list[object]]):
    code, _ = identities.invite(bob.db, bob.admin, username="carol")
    both = [lambda s=s: identities.redeem(bob.db, code=code, issuer=ISSUER, subject=s) for s in ("s-5", "s-6")]
    outcomes = at_once(*both)
    assert sorted(str(type(outcome).__name__) for outcome in outcomes) == ["Unauthenticated", "str"]


def test_who_has_an_identity_has_no_password_unless_it_is_kept(bob: People):
    with pytest.raises(Forbidden, match="signs in through the identity provider"):
        by_password(bob, keep=False)
    assert by_password(bob, keep=True) == "bob"
    assert by_password(bob, "carol", keep=False) == "carol"


def test_a_wrong_password_does_not_tell_who_has_an_identity(bob: People):
    for name in ("bob", "carol", "nobody"):
        with pytest.raises(Unauthenticated, match=r"^User name, password or one-time code is wrong\.$"):
            signin.sign_in(
                bob.db, bob.sealer, username=name, password="wrong", totp="000000", via="web", local_accounts=False
            )


def test_an_account_without_a_password_has_no_password(bob: People):
    made = service.add_person(
        bob.db, bob.sealer, bob.admin, username="dora", name="Dora", password=None, organisation="uni"
    )
    assert (made.totp_secret, made.totp_uri) == ("", "")
    for password in ("", "None", PASSWORD):
        with pytest.raises(Unauthenticated):
            signin.sign_in(
                bob.db, bob.sealer, username="dora", password=password, totp="000000", via="web", local_accounts=True
            )


def test_an_ended_account_does_not_come_in_by_its_identity(bob: People):
    service.end_account(bob.db, bob.admin, username="bob", reason="left")
    with pytest.raises(Forbidden, match="has ended"):
        enter(bob)


def test_who_left_the_provider_loses_every_session(bob: People):
    enter(bob)
    token, hers = token_of(bob), token_of(bob, "carol")
    identities.lose(bob.db, username="bob", issuer=ISSUER, subject="s-1", reason="The provider said no.")
    with pytest.raises(Unauthenticated):
        actor_of_token(bob.db, token, writes=False)
    assert actor_of_token(bob.db, hers, writes=False).username == "carol"
    with bob.db.read() as session:
        (closed,) = identities.obstacles(session, "bob", bob.clock())
        assert "The provider said no." in closed.message
        assert identities.obstacles(session, "carol", bob.clock()) == []
    assert events(bob)[-1] == ("system", "identity.lose", "person:bob", "done")


def test_what_was_lost_comes_back_by_a_sign_in_only(bob: People):
    enter(bob)
    old = token_of(bob)
    identities.lose(bob.db, username="bob", issuer=ISSUER, subject="s-1", reason="no")
    with pytest.raises(Forbidden):
        identities.confirm(bob.db, username="bob", issuer=ISSUER, subject="s-1", life=LIFE)
    enter(bob)
    assert actor_of_token(bob.db, token_of(bob), writes=True).username == "bob"
    with pytest.raises(Unauthenticated):
        actor_of_token(bob.db, old, writes=False)


def test_a_provider_that_is_away_ends_nothing_and_prolongs_nothing(bob: People):
    enter(bob)
    token = token_of(bob)
    until = bob.clock() + LIFE
    for _ in range(3):
        bob.clock.advance(minutes=5)
        identities.note_away(bob.db, username="bob", issuer=ISSUER, subject="s-1", reason="It does not answer.")
        assert actor_of_token(bob.db, token, writes=True).username == "bob"
    assert [event[1] for event in events(bob)].count("identity.unconfirmed") == 1
    bob.clock.set(until)
    with pytest.raises(Unauthenticated, match="It does not answer"):
        actor_of_token(bob.db, token, writes=False)
    # It is back, and says yes: nobody has to sign in again.
    identities.confirm(bob.db, username="bob", issuer=ISSUER, subject="s-1", life=LIFE)
    assert actor_of_token(bob.db, token, writes=True).username == "bob"
    assert events(bob)[-1] == ("system", "identity.confirm", "person:bob", "done")


def test_confirming_writes_no_event_and_is_for_the_signed_in_alone(bob: People):
    with pytest.raises(Forbidden):
        identities.confirm(bob.db, username="bob", issuer=ISSUER, subject="s-1", life=LIFE)
    enter(bob)
    before = len(events(bob))
    identities.confirm(bob.db, username="bob", issuer=ISSUER, subject="s-1", life=LIFE)
    assert len(events(bob)) == before
    with pytest.raises(Forbidden):
        identities.confirm(bob.db, username="carol", issuer=ISSUER, subject="s-1", life=LIFE)


def test_a_removed_identity_takes_what_is_open_along(bob: People):
    enter(bob)
    token = token_of(bob)
    with pytest.raises(NotFound):
        identities.remove_identity(bob.db, bob.admin, username="carol", issuer=ISSUER, subject="s-1")
    identities.remove_identity(bob.db, bob.admin, username="bob", issuer=ISSUER, subject="s-1")
    for call in (lambda: enter(bob), lambda: actor_of_token(bob.db, token, writes=False)):
        with pytest.raises(TreError):
            call()
    assert by_password(bob, keep=False) == "bob"
    assert actor_of_token(bob.db, token_of(bob), writes=True) == Actor("bob", frozenset({"researcher"}), "web")


def test_an_identity_brings_no_role(bob: People):
    who = identities.sign_in(bob.db, issuer=ISSUER, subject="s-1", life=LIFE, via="web")
    assert who.roles == {"researcher"}
