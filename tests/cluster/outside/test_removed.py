"""The end of a release beside the institution's servers: what is in them stays, and a next one goes on with it."""

from __future__ import annotations

import pytest

from .beside import Beside
from .people import Everybody
from .town import DATA, STATE

pytestmark = pytest.mark.timeout(900)


def test_uninstalling_leaves_the_servers_as_they_are(everybody: Everybody, installed: Beside) -> None:
    databases = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE datname ~ '^(p_|tre|datasets)'"
    before = [installed.town.psql(host, databases) for host in (STATE, DATA)]
    engines = set(installed.town.secrets_server().sys.list_mounted_secrets_engines()["data"])
    installed.release.helm("uninstall", "tre", "--wait", "--timeout=2m")
    assert [installed.town.psql(host, databases) for host in (STATE, DATA)] == before
    assert before[0] == "tre tre_hub"
    assert any(name.startswith("p_") for name in before[1].split())
    assert set(installed.town.secrets_server().sys.list_mounted_secrets_engines()["data"]) == engines


def test_a_release_that_is_installed_again_goes_on_with_it(everybody: Everybody, installed: Beside) -> None:
    installed.run("helm install tre helm/tre -n tre-system -f values.yaml --wait --timeout 5m")
    installed.bring_front()
    browser = everybody.browser("ada")
    browser.sign_in()
    everybody.stage.login_by_browser(browser)
    mine = everybody.stage.tre("ada", "project", "show", everybody.researcher.project)
    assert mine["slug"] == everybody.researcher.project
