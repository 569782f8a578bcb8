"""A door that asks npm's oidc-provider, and the people of one test behind it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.door.oidc.house import House, RealProvider, door_of, house_of
from tests.door.platform import Platform as Door
from tests.fixtures.people import People
from tre.people.model import Role


@pytest.fixture(scope="module")
def real() -> Iterator[tuple[Door, Any]]:
    with door_of(RealProvider) as found:
        yield found


@pytest.fixture
def house(real: tuple[Door, Any], people: People) -> Iterator[House]:
    door, provider = real
    people.add("alice", Role.researcher)
    people.add("bob", Role.researcher)
    with house_of(door, provider, people) as found:
        found.link("alice", "s-alice")
        yield found
        provider.control(people=["s-alice", "s-bob", "s-nobody"], down=False)
