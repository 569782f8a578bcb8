"""The guard on its own: a real Jupyter server behind it, stand-ins for the Hub and the control plane."""

import json

import httpx
import pytest

from tests.door.parts import GuardHouse, route_for


@pytest.fixture
def front(house: GuardHouse, jupyter):
    route = route_for(jupyter)
    house.add_route(route)
    with httpx.Client(base_url=house.places.guard_url + route["base_url"], headers=house.browser(route)) as client:
        client.route = route
        yield client


def test_contents_come_through(front, jupyter):
    (jupyter / "home" / "a.txt").write_text("hello")
    answer = front.get("api/contents/a.txt")
    assert answer.status_code == 200
    assert answer.json()["content"] == "hello"
    assert answer.headers["content-type"] == "application/json"


def test_lab_page(front):
    answer = front.get("lab", headers={"Sec-Fetch-Mode": "navigate"})
    assert answer.status_code == 200, answer.text
    text = answer.text.partition('type="application/json">')[2].partition("</script>")[0]
    assert json.loads(text)["baseUrl"] == "/user/alice/heart/"
