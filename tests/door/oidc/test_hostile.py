"""A provider, or whoever stands in its place, that sends the Hub what no provider should: nobody comes in."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.door.oidc.hostile import BAD, KEY, OTHER_KEY, HostileProvider, Json, jwk, signed
from tests.door.oidc.house import REFRESH, House, door_of, house_of
from tests.door.parts import wait_for
from tests.door.platform import Platform as Door
from tests.fixtures.people import People
from tre.people.model import Role


@pytest.fixture(scope="module")
def hostile() -> Iterator[tuple[Door, Any]]:
    with door_of(HostileProvider) as found:
        yield found


@pytest.fixture
def house(hostile: tuple[Door, Any], people: People) -> Iterator[House]:
    door, provider = hostile
    provider.reset()
    people.add("alice", Role.researcher)
    people.add("bob", Role.researcher)
    with house_of(door, provider, people) as found:
        found.link("alice", "s-alice")
        found.link("bob", "s-bob")
        yield found


def come_in(house: House) -> tuple[httpx.Client, httpx.Response]:
    browser = house.browser()
    return browser, browser.get("/hub/oauth_login")


def test_an_honest_answer_signs_in_so_that_refusals_mean_something(house: House):
    _, landed = come_in(house)
    assert landed.url.path == "/hub/home", landed.text + house.log()
    (asked,) = house.provider.asked
    assert len(asked["code_verifier"]) >= 43


@pytest.mark.parametrize(("name", "make", "code"), BAD, ids=[bad[0] for bad in BAD])
def test_a_bad_token_signs_nobody_in_and_is_on_record(house: House, name: str, make: Callable[[Json], str], code: str):
    house.provider.mint = make
    browser, landed = come_in(house)
    assert landed.status_code == 403, landed.text
    (refused,) = [event for event in house.events("person.sign_in") if event["outcome"] == "refused"]
    assert (refused["detail"]["code"], refused["actor"]) == (code, "unknown")
    assert refused["detail"]["message"] in landed.text.replace("&#39;", "'")
    assert browser.get("/hub/home").url.path == "/hub/login"


ANSWERS: list[tuple[str, Callable[[Json], Json]]] = [
    ("no ID token", lambda answer: {**answer, "id_token": None}),
    ("no access token", lambda answer: {**answer, "access_token": None}),
    ("no refresh token", lambda answer: {**answer, "refresh_token": None}),
    ("nothing", lambda answer: {}),
    ("an error", lambda answer: {"status": 400, "error": "invalid_grant"}),
    ("another error", lambda answer: {"status": 401, "error": "invalid_client"}),
    ("a failure", lambda answer: {"status": 500}),
]


@pytest.mark.parametrize(("name", "answer"), ANSWERS, ids=[each[0] for each in ANSWERS])
def test_a_bad_answer_signs_nobody_in(house: House, name: str, answer: Callable[[Json], Json]):
    house.provider.answer = answer
    browser, landed = come_in(house)
    assert landed.status_code in (403, 503), landed.text
    assert browser.get("/hub/home").url.path == "/hub/login"


def test_the_tokens_of_another_person_do_not_fit_this_attempt(house: House):
    """Swapped: bob's token, kept from his own sign-in, in answer to alice's."""
    kept: list[str] = []

    def keep(claims: Json) -> str:
        kept.append(signed({**claims, "sub": "s-bob"}))
        return kept[-1]

    house.provider.mint = keep
    assert come_in(house)[1].url.path == "/hub/home"
    house.provider.mint = lambda claims: kept[0]
    _, landed = come_in(house)
    assert (landed.status_code, "another sign-in" in landed.text) == (403, True)


def test_a_new_key_is_learnt_and_a_withdrawn_one_forgotten(house: House):
    """Keys turn over: an unknown name makes the Hub ask again, though not at every bad token."""
    house.provider.keys = [jwk(OTHER_KEY, "k2"), jwk(KEY)]
    house.provider.mint = lambda claims: signed(claims, key=OTHER_KEY, kid="k2")
    statuses = {come_in(house)[1].status_code for _ in range(2)}
    assert statuses <= {200, 403}
    wait_for(lambda: come_in(house)[1].status_code == 200, "the new key", 40)


@pytest.mark.parametrize(
    "make",
    [
        lambda claims: signed({**claims, "sub": "s-bob"}),
        lambda claims: signed({**claims, "iss": "https://evil.example"}),
        lambda claims: signed({**claims, "aud": "other"}),
        lambda claims: signed(claims, key=OTHER_KEY),
    ],
    ids=["another person", "another issuer", "another audience", "another key"],
)
def test_a_renewal_that_cannot_be_believed_ends_what_is_open(house: House, make: Callable[[Json], str]):
    browser, landed = come_in(house)
    assert landed.url.path == "/hub/home"
    house.provider.mint = make
    wait_for(lambda: house.events("identity.lose"), "the loss: " + house.log(), REFRESH + 5)
    wait_for(lambda: browser.get("/hub/home").url.path == "/hub/login", "the end of the session", 15)


def test_a_renewal_without_an_id_token_is_a_yes(house: House):
    _, landed = come_in(house)
    assert landed.url.path == "/hub/home"
    house.provider.answer = lambda answer: {"access_token": "a", "token_type": "Bearer", "refresh_token": "r-2"}
    house.people.clock.advance(seconds=30)
    asked = len(house.provider.asked)
    wait_for(lambda: len(house.provider.asked) > asked + 1, "two renewals", 2 * REFRESH + 5)
    assert house.provider.asked[-1]["refresh_token"] == "r-2", "the newest one is used"
    assert not house.events("identity.lose")
