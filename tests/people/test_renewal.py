"""A lost password, a lost telephone: who may replace what somebody signs in with, and what ends with the old."""

from collections.abc import Callable

import pyotp
import pytest
from sqlalchemy import select

from tests.fixtures.people import PASSWORD, People
from tre.audit import Actor
from tre.audit.model import AuditEvent
from tre.errors import Forbidden, InvalidInput, NotFound, Refusal, TreError, Unauthenticated, Unavailable
from tre.people import service
from tre.people.model import Role
from tre.people.renewal import change_password, renew, renew_on_the_machine
from tre.people.service import Enrolment
from tre.people.signin import (
    FAILURES_ALLOWED,
    SignedIn,
    TooManyAttempts,
    actor_of_token,
    issue_token,
    revoke_tokens,
    sign_in,
)

NEW = "a new horse, another battery"


@pytest.fixture
def bob(people: People) -> Actor:
    return people.add("bob", Role.researcher)


def change(people: People, actor: Actor, *, password: str = PASSWORD, totp: str | None = None, new: str = NEW) -> None:
    code = people.code(actor.username) if totp is None else totp
    change_password(people.db, people.sealer, actor, password=password, totp=code, new=new)


def renewed(people: People, actor: Actor, username: str, *, password: str = NEW, reason: str = "Lost.") -> Enrolment:
    return renew(people.db, people.sealer, actor, username=username, password=password, reason=reason)


def signed_in(people: People, username: str, password: str, code: str) -> SignedIn:
    return sign_in(
        people.db, people.sealer, username=username, password=password, totp=code, via="web", local_accounts=False
    )


def token(people: People, username: str = "bob") -> str:
    return issue_token(
        people.db, SignedIn(username, username, frozenset(), people.session_round(username)), scope="all", via="web"
    )[0]


def living(people: People, held: str) -> bool:
    try:
        actor_of_token(people.db, held, writes=False)
    except Unauthenticated:
        return False
    return True


def last_event(people: People) -> AuditEvent:
    with people.db.read() as session:
        found = session.scalars(select(AuditEvent).order_by(AuditEvent.seq.desc())).first()
        assert found is not None
        session.expunge(found)
        return found


def test_with_the_old_one_and_a_code_the_password_changes_and_everything_signed_in_ends(people: People, bob: Actor):
    held, other = token(people), token(people, "ada")
    change(people, bob)
    event = last_event(people)
    assert (event.actor, event.action, event.outcome) == ("bob", "person.change_password", "done")
    assert not living(people, held)
    assert living(people, other)
    assert people.session_round("bob") == 1
    people.clock.advance(seconds=30)
    with pytest.raises(Unauthenticated):
        signed_in(people, "bob", PASSWORD, people.code("bob"))
    assert signed_in(people, "bob", NEW, people.code("bob")).username == "bob"


@pytest.mark.parametrize(
    ("given", "error", "field"),
    [
        ({"password": "wrong horse battery"}, Unauthenticated, None),
        ({"totp": "000000"}, Unauthenticated, None),
        ({"new": "short"}, InvalidInput, "new"),
        ({"new": "my name is bob, you see"}, InvalidInput, "new"),
        ({"new": PASSWORD}, InvalidInput, "new"),
    ],
)
def test_what_does_not_change_it(
    people: People, bob: Actor, given: dict[str, str], error: type[TreError], field: str | None
):
    held = token(people)
    with pytest.raises(error) as raised:
        change(people, bob, **given)
    assert field is None or raised.value.field == field
    refused = (last_event(people).action, last_event(people).outcome) == ("person.change_password", "refused")
    assert refused == issubclass(error, Refusal), "what is only typed wrongly is no refusal"
    assert living(people, held)
    assert people.session_round("bob") == 0
    people.clock.advance(seconds=60)
    assert signed_in(people, "bob", PASSWORD, people.code("bob")).username == "bob"


def test_a_stolen_session_does_not_guess_the_password_here_either(people: People, bob: Actor):
    for _ in range(FAILURES_ALLOWED):
        with pytest.raises(Unauthenticated):
            change(people, bob, password="wrong horse battery")
    with pytest.raises(TooManyAttempts):
        change(people, bob)
    with pytest.raises(TooManyAttempts):
        signed_in(people, "bob", PASSWORD, people.code("bob"))


def test_an_administrator_gives_another_both_anew(people: People, bob: Actor):
    held = token(people)
    made = renewed(people, people.admin, "bob", reason="Lost telephone; seen in person.")
    event = last_event(people)
    assert (event.actor, event.action, event.subject) == ("ada", "person.renew", "person:bob")
    assert event.detail["reason"] == "Lost telephone; seen in person."
    assert NEW not in str(event.detail)
    assert made.totp_secret not in str(event.detail)
    assert not living(people, held)
    assert people.session_round("bob") == 1
    with pytest.raises(Unauthenticated):
        signed_in(people, "bob", NEW, people.code("bob"))
    code = pyotp.TOTP(made.totp_secret).at(people.clock())
    assert signed_in(people, "bob", NEW, code).username == "bob"


def test_a_code_used_before_the_renewal_does_not_work_again_after_it(people: People, bob: Actor):
    signed_in(people, "bob", PASSWORD, people.code("bob", steps=1))
    made = renewed(people, people.admin, "bob")
    with pytest.raises(Unauthenticated):
        signed_in(people, "bob", NEW, pyotp.TOTP(made.totp_secret).at(people.clock()))


REFUSED: dict[str, tuple[Callable[[People], object], type[TreError]]] = {
    "one's own": (lambda people: renewed(people, people.admin, "ada"), Forbidden),
    "without the role": (lambda people: renewed(people, people.actor("bob"), "ada"), Forbidden),
    "an auditor": (lambda people: renewed(people, people.add("olga", Role.auditor), "bob"), Forbidden),
    "nobody": (lambda people: renewed(people, people.admin, "nobody"), NotFound),
    "a weak password": (lambda people: renewed(people, people.admin, "bob", password="short"), InvalidInput),
    "no reason": (lambda people: renewed(people, people.admin, "bob", reason=" "), InvalidInput),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_renewed(people: People, bob: Actor, case: str):
    attempt, error = REFUSED[case]
    held = token(people)
    with pytest.raises(error):
        attempt(people)
    refused = (last_event(people).action, last_event(people).outcome) == ("person.renew", "refused")
    assert refused == issubclass(error, Refusal)
    assert living(people, held)
    assert people.session_round("bob") == 0


def test_an_account_that_has_ended_is_not_revived(people: People, bob: Actor):
    service.end_account(people.db, people.admin, username="bob", reason="Left.")
    with pytest.raises(Forbidden, match="ended"):
        renewed(people, people.admin, "bob")


def test_an_administrator_of_yesterday_renews_nothing(people: People, bob: Actor):
    eve = people.add("eve", Role.administrator)
    service.take_role(people.db, people.admin, username="eve", role=Role.administrator)
    with pytest.raises(Forbidden):
        renewed(people, eve, "bob")


def test_on_the_machine_an_administrators_and_nobody_elses(people: People, bob: Actor):
    made = renew_on_the_machine(people.db, people.sealer, username="ada", password=NEW, reason="Lost both.")
    assert last_event(people).actor == "machine"
    assert signed_in(people, "ada", NEW, pyotp.TOTP(made.totp_secret).at(people.clock())).username == "ada"
    with pytest.raises(Forbidden):
        renew_on_the_machine(people.db, people.sealer, username="bob", password=NEW, reason="Lost both.")


def test_where_the_secrets_server_is_silent_nothing_is_renewed(
    people: People, bob: Actor, monkeypatch: pytest.MonkeyPatch
):
    def silent(context: str, plain: bytes) -> str:
        raise Unavailable("The secrets server does not answer.")

    monkeypatch.setattr(people.sealer, "seal", silent)
    with pytest.raises(Unavailable):
        renewed(people, people.admin, "bob")
    assert people.session_round("bob") == 0


def test_ending_all_tokens_begins_a_new_round(people: People, bob: Actor):
    revoke_tokens(people.db, bob, username="bob")
    revoke_tokens(people.db, people.admin, username="bob")
    assert people.session_round("bob") == 2
    assert people.session_round("ada") == 0
