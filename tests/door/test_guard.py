"""The guard on its own: a real Jupyter server behind it, stand-ins for the Hub and the control plane."""

import http.client
import json
from pathlib import Path

import pytest

from tests.door.parts import GuardHouse
from tests.door.stand_in import owner_model
from tre.door.guard.forward import own_resources
from tre.door.guard.headers import api_headers


def test_contents_come_through_with_our_headers_alone(front):
    answer = front.get("api/contents/a.txt?content=1")
    assert answer.json()["content"] == "hello"
    answer.headers.pop("date")
    answer.headers.pop("content-length")
    assert dict(answer.headers) == {name.lower(): value for name, value in api_headers().items()}


def test_writing_and_deleting(front, jupyter: Path):
    body = {"type": "file", "format": "text", "content": "x" * 3_000_000}
    assert front.put("api/contents/big 100%.txt", json=body).status_code == 201
    assert (jupyter / "home" / "big 100%.txt").stat().st_size == 3_000_000
    assert len(front.get("api/contents/big 100%.txt").json()["content"]) == 3_000_000
    assert front.delete("api/contents/big 100%.txt").status_code == 204


def test_upstream_headers_do_not_pass(front):
    for path in ("api/contents/missing.txt", "api/kernels", "api/status", "api/kernelspecs"):
        answer = front.get(path)
        assert answer.headers["server"] == "tre"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert not {"set-cookie", "content-disposition", "etag", "last-modified"} & set(answer.headers)


def test_kernel_specs_show_our_logos(front, house: GuardHouse):
    spec = front.get("api/kernelspecs").json()["kernelspecs"]["python3"]
    for address in spec["resources"].values():
        found = front.get(house.places.guard_url + address)
        assert found.status_code == 200
        assert found.headers["content-type"].startswith("image/")


def test_a_kernel_that_is_not_python_shows_nothing_of_the_workspace():
    """Lab shows a letter for one that has no logo; the workspace's own files have no address."""
    theirs = {"logo-svg": "/user/alice/heart/kernelspecs/ir/logo-svg.svg", "evil.js": "/x"}
    told = {"kernelspecs": {name: {"name": name, "resources": theirs} for name in ("ir", "python3")}}
    found = json.loads(own_resources(json.dumps(told).encode(), "/user/alice/heart/"))["kernelspecs"]
    assert found["ir"]["resources"] == {}
    assert all("/kernelspecs/python3/" in address for address in found["python3"]["resources"].values())


def test_lab_page_and_static(front, house: GuardHouse):
    answer = front.get("lab", headers={"Sec-Fetch-Mode": "navigate"})
    config = json.loads(answer.text.partition('type="application/json">')[2].partition("</script>")[0])
    assert config["baseUrl"] == "/user/alice/heart/"
    assert config["federated_extensions"] == []
    assert "@jupyterlab/filebrowser-extension:download" in config["disabledExtensions"]
    script = front.get(
        house.places.guard_url + answer.text.partition('<script defer="defer" src="')[2].partition('"')[0]
    )
    assert script.status_code == 200
    for found in (answer, script):
        policy = found.headers["content-security-policy"]
        assert "allow-downloads" not in policy
        assert "sandbox allow-scripts allow-same-origin" in policy
        host = front.headers["Host"]
        assert f"connect-src http://{host}/user/alice/heart/ ws://{host}/user/alice/heart/" in policy


def test_lab_settings_and_layouts_are_kept_by_the_guard(front):
    name = "lab/api/settings/@jupyterlab/apputils-extension:themes"
    assert front.put(name, json={"raw": '{"theme": "JupyterLab Dark"}'}).status_code == 204
    assert front.get(name).json()["raw"] == '{"theme": "JupyterLab Dark"}'
    everything = {found["id"]: found["raw"] for found in front.get("lab/api/settings").json()["settings"]}
    assert everything["@jupyterlab/apputils-extension:themes"] == '{"theme": "JupyterLab Dark"}'
    assert front.put("lab/api/settings/@evil/x:y", json={"raw": "{}"}).status_code == 404
    assert front.put(name, json={"raw": "x" * 600_000}).status_code == 413
    layout = {"data": {"a": 1}, "metadata": {"id": "default"}}
    assert front.put("lab/api/workspaces/default", json=layout).status_code == 204
    assert front.get("lab/api/workspaces/default").json() == layout
    assert front.delete("lab/api/workspaces/default").status_code == 204


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Cookie": ""}, 403),
        ({"Cookie": "jupyterhub-user-alice-heart=2|1:0|10:1|1:x|4:eHl6|abc"}, 403),
        ({"X-XSRFToken": ""}, 403),
        ({"X-XSRFToken": "x"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Host": "evil.example; x"}, 422),
        ({"Authorization": "token bare-jupyter-token-for-tests-0123456789", "Cookie": ""}, 403),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_who_may_not_ask(front, changes, status, method):
    answer = front.request(method, "api/contents/a.txt", headers=changes)
    assert answer.status_code == status
    assert "hello" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_only_the_owner(house: GuardHouse, front):
    """A sound token of somebody else, of a service, or without the scope."""
    models = {
        "bob": owner_model("bob", "heart"),
        "service": owner_model("alice", "heart") | {"kind": "service"},
        "narrow": owner_model("alice", "heart") | {"scopes": ["access:servers!server=alice/lung"]},
    }
    for token, model in models.items():
        house.hub.tokens[token] = model
        headers = house.browser(front.route, token)
        assert front.get("api/contents/a.txt", headers=headers).status_code == 403


def test_a_token_in_the_address_counts_for_nothing(front):
    answer = front.get("api/contents/a.txt?token=bare-jupyter-token-for-tests-0123456789", headers={"Cookie": ""})
    assert answer.status_code == 403


def test_pages_send_people_to_the_hub(front):
    answer = front.get("lab", headers={"Cookie": "", "Sec-Fetch-Mode": "navigate"})
    assert answer.status_code == 302
    assert answer.headers["location"].startswith("/hub/api/oauth2/authorize?client_id=jupyterhub-user-alice-heart&")
    assert "code_challenge_method=S256" in answer.headers["location"]
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "Path=/user/alice/heart/" in cookie
    assert "SameSite=Lax" in cookie
    state = answer.headers["location"].partition("state=")[2].partition("&")[0]
    stolen = front.get(f"oauth_callback?code=x&state={state}", headers={"Cookie": ""})
    assert stolen.status_code == 403


def test_a_page_is_not_read_by_script(front):
    assert front.get("lab", headers={"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}).status_code == 403


def test_bodies_are_bounded(front, house: GuardHouse):
    connection = http.client.HTTPConnection("127.0.0.1", house.places.guard_port, timeout=30)
    connection.putrequest("PUT", f"{front.route['base_url']}api/contents/x.txt", skip_host=True)
    for name, value in {**house.browser(front.route), "Content-Length": str(65 * 1024 * 1024)}.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 413
    assert front.put("api/contents/x.txt", content=iter([b"{}"])).status_code == 422
    assert front.put("api/contents/x.txt", headers={"Content-Encoding": "gzip"}, content=b"x").status_code == 422
