"""Signing in, starting, reaching and stopping a workspace through Traefik, the Hub and the guard."""

import pytest

from tests.door.platform import Person, Platform


@pytest.fixture
def alice(platform: Platform) -> Person:
    person = Person(platform, "alice")
    assert "Your workspaces" in person.sign_in().text
    return person


def test_journey(platform: Platform, alice: Person):
    page = alice.start("heart")
    assert page.status_code == 200, platform.log("hub")
    assert "jupyter-config-data" in page.text, page.text[:2000] + platform.log("hub")
    assert page.url.path == "/user/alice/heart/lab"
    (platform.home("alice", "heart") / "a.txt").write_text("hello")
    answer = alice.api("heart", "GET", "api/contents/a.txt")
    assert answer.json()["content"] == "hello", platform.log("guard")
    alice.stop("heart")
    assert alice.api("heart", "GET", "api/contents/a.txt").status_code in {404, 424}
