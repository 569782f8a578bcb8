"""Names, texts, passwords, standings and interests: the pure rules, with hostile characters and days at the border."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tre.audit import Actor
from tre.errors import Forbidden, InvalidInput
from tre.people import rules, words
from tre.people.model import Role, Standing, StandingHeld
from tre.projects.model import RefusalCode

HASH = "$argon2id$v=19$m=65536,t=3,p=4$"
TODAY = date(2026, 6, 1)
DAY = timedelta(days=1)
HOSTILE = ("\0", "\x1b[2J", "\x07", "\x7f", "\x9b2J", "\u202etxt", "\u2066x", "\ud800", "a\rb")
NO_NAMES = (
    "", " ", "a", "A", "Ada", "1ada", "-a", "ada-", "ad--a", "ada lovelace", "ada\n", "ada/../root", "a.b", "ä" * 5,
    "ад" * 2, "ada\0", "../etc", "%2e%2e", "a" * 32, "ada;drop", "０ab", "a\u200bb", "ada@x", "\u202eada", "aﬁ",
)  # fmt: skip


def test_the_words_equal_the_enums():
    assert tuple(Role) == words.ROLES
    assert tuple(Standing) == words.STANDINGS
    assert tuple(RefusalCode) == words.REFUSAL_CODES


@pytest.mark.parametrize("name", NO_NAMES)
def test_names_that_any_other_part_might_read_otherwise_are_refused(name: str):
    with pytest.raises(InvalidInput) as refused:
        rules.check_username(name)
    assert refused.value.field == "username"


@pytest.mark.parametrize("slug", [*(name for name in NO_NAMES if name != "a"), "a" * 31, "a_b", "a-"])
def test_slugs_that_any_other_part_might_read_otherwise_are_refused(slug: str):
    with pytest.raises(InvalidInput) as refused:
        rules.check_slug(slug, field="slug")
    assert refused.value.field == "slug"


@pytest.mark.parametrize("slug", ["a", "a-b", "rand-cost-2", "a" * 30])
def test_slugs(slug: str):
    assert rules.check_slug(slug, field="slug") == slug


@given(st.text(max_size=40))
def test_what_is_accepted_is_ascii_and_harmless_in_a_path(text: str):
    for check in (rules.check_username, lambda value: rules.check_slug(value, field="slug")):
        try:
            accepted = check(text)
        except InvalidInput:
            continue
        assert accepted == text
        assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


@pytest.mark.parametrize("bad", HOSTILE)
def test_texts_with_control_characters_and_overrides_are_refused(bad: str):
    for check in (rules.check_text, rules.check_line):
        with pytest.raises(InvalidInput) as refused:
            check(f"a{bad}b", field="purpose")
        assert refused.value.field == "purpose"


@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\u00a0", "\u200b", "\u200b \u2060", "\ufeff"])
def test_a_text_without_anything_to_see_is_refused(blank: str):
    with pytest.raises(InvalidInput):
        rules.check_text(blank, field="purpose")


def test_texts_are_trimmed_and_bounded_and_may_have_lines():
    assert rules.check_text(" a\n\tb \n", field="x") == "a\n\tb"
    assert rules.check_text("هذا نص عربي", field="x") == "هذا نص عربي"
    assert rules.check_text("a" * 10, field="x", longest=10) == "a" * 10
    with pytest.raises(InvalidInput):
        rules.check_text("a" * 11, field="x", longest=10)


@pytest.mark.parametrize("end", ["\n", "\t", "\u2028", "\u2029"])
def test_a_line_is_one_line(end: str):
    with pytest.raises(InvalidInput):
        rules.check_line(f"Ada{end}state  approved", field="name")
    assert rules.check_line("Ada O'Brien-Łukasz", field="name") == "Ada O'Brien-Łukasz"


@pytest.mark.parametrize(
    ("password", "accepted"),
    [
        ("a" * 11, False),
        ("a" * 12, True),
        ("ü" * 256, True),
        ("a" * 257, False),
        ("my name is ADA ok", False),
        ("half a character \ud800", False),
    ],
)
def test_passwords(password: str, accepted: bool):
    if accepted:
        rules.check_password(password, "ada")
        return
    with pytest.raises(InvalidInput) as refused:
        rules.check_password(password, "ada")
    assert refused.value.field == "password"


@pytest.mark.parametrize(
    "object", ["", "x", "project:", "Project:cost", "project:cost ", "project:Cost", "person:bob", "project:a:b"]
)
def test_an_interest_in_nothing_that_there_is_would_protect_nothing(object: str):
    with pytest.raises(InvalidInput):
        rules.check_interest(object)


def test_interests():
    assert rules.check_interest("project:rand-cost") == ("project", "rand-cost")
    assert rules.check_interest("organisation:uni") == ("organisation", "uni")


def test_whoever_declared_an_interest_does_not_decide():
    rules.check_no_conflict("ada", ["project:a"], {"project:b"})
    with pytest.raises(Forbidden, match="project:a") as refused:
        rules.check_no_conflict("ada", ["project:a", "organisation:x"], {"project:a"})
    assert refused.value.error_code == "conflict_of_interest"


def held(kind: Standing, awarded_on: date, expires_on: date) -> StandingHeld:
    return StandingHeld(kind=kind, awarded_on=awarded_on, expires_on=expires_on)


def codes(*standings: StandingHeld) -> list[str]:
    return [obstacle.code for obstacle in rules.standing_obstacles("bob", standings, TODAY)]


@pytest.mark.parametrize(
    ("awarded", "expires", "code"),
    [
        (TODAY - DAY, TODAY - DAY, "training_expired"),
        (TODAY - DAY, TODAY, None),
        (TODAY - DAY, TODAY + DAY, None),
        (TODAY, TODAY, None),
        (TODAY + DAY, TODAY + DAY, "training_missing"),
    ],
)
def test_a_standing_holds_from_award_to_expiry_both_included(awarded: date, expires: date, code: str | None):
    accreditation = held(Standing.accreditation, TODAY, TODAY)
    assert codes(accreditation, held(Standing.training, awarded, expires)) == ([code] if code else [])


def test_one_that_holds_is_enough_and_each_kind_is_needed():
    old, good = held(Standing.training, TODAY - 9 * DAY, TODAY - DAY), held(Standing.training, TODAY - DAY, TODAY)
    assert codes(old, good) == codes(good, old) == ["accreditation_missing"]
    assert codes() == ["accreditation_missing", "training_missing"]


def test_the_obstacle_says_when_it_expired():
    old = (
        held(Standing.training, TODAY - 9 * DAY, TODAY - DAY),
        held(Standing.training, TODAY - 9 * DAY, TODAY - 5 * DAY),
    )
    messages = [obstacle.message for obstacle in rules.standing_obstacles("bob", old, TODAY)]
    assert messages == ["bob has no accreditation on record.", "bob's training expired on 2026-05-31."]


def test_a_role_is_asked_by_name():
    rules.check_role(Actor("a", frozenset({"auditor"})), Role.administrator, Role.auditor)
    with pytest.raises(Forbidden, match="administrator or auditor"):
        rules.check_role(
            Actor("a", frozenset({"researcher", "admin", "Administrator"})), Role.administrator, Role.auditor
        )
