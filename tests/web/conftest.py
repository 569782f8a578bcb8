"""A served site for each test, on a migrated database of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.people import People, Projects
from tests.web.site import Site, build_site
from tre.settings import Settings


@pytest.fixture
def site(fresh_settings: Settings, people: People, projects: Projects, tmp_path: Path) -> Iterator[Site]:
    with build_site(fresh_settings, people, projects, tmp_path).served() as served:
        yield served
