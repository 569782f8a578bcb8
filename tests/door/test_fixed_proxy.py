"""The Hub believes of the proxy with fixed rules that everything it asked for is there, and so asks it for nothing."""

from pathlib import Path

import pytest

from tests.test_cluster_settings import FILE
from tre.door.fixed_proxy import FixedProxy
from tre.door.hub import hub_settings
from tre.door.places import Places
from tre.settings import Settings


async def test_what_the_hub_added_is_there_until_it_takes_it_away():
    proxy = FixedProxy()
    await proxy.add_route("/user/bob/cost/", "http://guard", {"user": "bob"})
    assert await proxy.get_all_routes() == {
        "/user/bob/cost/": {"routespec": "/user/bob/cost/", "target": "http://guard", "data": {"user": "bob"}}
    }
    await proxy.delete_route("/user/bob/cost/")
    await proxy.delete_route("/user/bob/cost/")
    assert await proxy.get_all_routes() == {}
    with pytest.raises(ValueError, match="host-based"):
        await proxy.add_route("user", "http://guard", {})


def test_on_a_cluster_the_hub_has_no_proxy_of_its_own(tmp_path: Path):
    (tmp_path / "c.toml").write_text(FILE)
    places = Places(Settings.load({"TRE_STATE": "/s", "TRE_RUN": "/r", "TRE_CLUSTER": str(tmp_path / "c.toml")}))
    found = hub_settings(places, database_url="d", proxy_password="", web_secret="w", secure=True)
    assert found["JupyterHub"]["proxy_class"] == "tre.door.fixed_proxy.FixedProxy"
    assert not [kind for kind in found if "Traefik" in kind]
