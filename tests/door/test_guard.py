"""The guard on its own: a real Jupyter server behind it, stand-ins for the Hub and the control plane."""

import http.client
import json
import signal
import time
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.door.parts import GuardHouse, route_for, wait_for
from tests.door.stand_in import owner_model
from tre.door.guard.headers import api_headers


@pytest.fixture
def front(house: GuardHouse, jupyter: Path):
    route = route_for(jupyter)
    house.add_route(route)
    with httpx.Client(
        base_url=house.places.guard_url + route["base_url"], headers=house.browser(route), timeout=60
    ) as client:
        client.route = route
        (jupyter / "home" / "a.txt").write_text("hello")
        yield client


@pytest.fixture
def kernel(front: httpx.Client):
    identity = front.post("api/kernels", json={"name": "python3"}).json()["id"]
    yield identity
    front.delete(f"api/kernels/{identity}")


def channels(front: httpx.Client, house: GuardHouse, kernel: str, **changes):
    headers = {"Cookie": front.headers["Cookie"], "Origin": house.places.guard_url} | changes
    address = f"ws://127.0.0.1:{house.places.guard_port}{front.route['base_url']}api/kernels/{kernel}/channels"
    return connect(
        f"{address}?session_id=s1",
        additional_headers={name: value for name, value in headers.items() if value},
        compression=None,
        max_size=None,
        open_timeout=60,
    )


def execute(socket, code: str) -> str:
    """Run code over the kernel's websocket; the text it printed."""
    header = {"msg_id": "m1", "username": "a", "session": "s1", "msg_type": "execute_request", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False, "stop_on_error": True}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    socket.send(json.dumps(message | {"buffers": []}))
    text = ""
    while True:
        answer = json.loads(socket.recv(timeout=60))
        if answer["parent_header"].get("msg_id") != "m1":
            continue
        if answer["msg_type"] == "stream":
            text += answer["content"]["text"]
        if answer["msg_type"] == "status" and answer["content"]["execution_state"] == "idle":
            return text


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


def drain(socket, seconds: float) -> None:
    """Read until the other side closes; raises ConnectionClosed."""
    while True:
        socket.recv(timeout=seconds)


def suspended_run(socket) -> None:
    execute(socket, "print('y' * 1_000_000)")
    drain(socket, 30)


def test_kernel_specs_show_our_logos(front, house: GuardHouse):
    spec = front.get("api/kernelspecs").json()["kernelspecs"]["python3"]
    for address in spec["resources"].values():
        found = front.get(house.places.guard_url + address)
        assert found.status_code == 200
        assert found.headers["content-type"].startswith("image/")


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


def test_kernel_websocket(front, house: GuardHouse, kernel):
    with channels(front, house, kernel) as socket:
        assert execute(socket, "print(6*7)") == "42\n"
        assert len(execute(socket, "print('x' * 5_000_000)")) == 5_000_001
    wait_for(lambda: house.api.traffic.get("w1", [0, 0])[0] > 5_000_000, "the report of the bytes", 10)


@pytest.mark.parametrize("changes", [{"Cookie": ""}, {"Origin": ""}, {"Origin": "http://evil.example"}])
def test_websockets_of_others(front, house: GuardHouse, kernel, changes):
    with pytest.raises(InvalidStatus) as refused, channels(front, house, kernel, **changes):
        pass
    assert refused.value.response.status_code == 403


def test_a_websocket_ends_with_the_sign_in(front, house: GuardHouse, kernel):
    with channels(front, house, kernel) as socket:
        execute(socket, "1")
        house.hub.tokens.clear()
        with pytest.raises(ConnectionClosed) as closed:
            drain(socket, 60)
    assert closed.value.rcvd.code == 1008
    assert closed.value.rcvd.reason == "your sign-in has ended"


def test_suspension_closes_everything(front, house: GuardHouse, kernel):
    with channels(front, house, kernel) as socket:
        execute(socket, "1")
        house.api.suspended["w1"] = "Too much has left this workspace today."
        with pytest.raises(ConnectionClosed) as closed:
            suspended_run(socket)
        assert closed.value.rcvd.reason == "Too much has left this workspace today."
    answer = front.get("api/contents/a.txt")
    assert answer.status_code == 403
    assert answer.json()["message"] == "Too much has left this workspace today."
    house.api.suspended.clear()
    wait_for(lambda: front.get("api/contents/a.txt").status_code == 200, "the workspace to open again", 15)


def test_a_silent_control_plane_closes_a_new_workspace(house: GuardHouse, jupyter: Path):
    house.api.silent = True
    route = route_for(jupyter, workspace_id="w9", server="lung")
    house.add_route(route)
    address = f"{house.places.guard_url}{route['base_url']}api/status"
    assert httpx.get(address, headers=house.browser(route)).status_code == 403
    house.api.silent = False
    wait_for(lambda: httpx.get(address, headers=house.browser(route)).status_code == 200, "an answer", 15)


def test_routes_survive_kill_9(house: GuardHouse, front):
    house.stop(signal.SIGKILL)
    house.start()
    assert front.get("api/contents/a.txt").json()["content"] == "hello"
    assert house.places.routes_file.stat().st_mode & 0o077 == 0
    assert house.settings.guard_socket.stat().st_mode & 0o077 == 0


def test_a_removed_route_is_gone_at_once(front, house: GuardHouse, kernel):
    with channels(front, house, kernel) as socket:
        execute(socket, "1")
        assert house.admin("DELETE", "/routes/w1")[0] == 204
        with pytest.raises(ConnectionClosed):
            drain(socket, 10)
    assert front.get("api/contents/a.txt").status_code == 404
    assert house.admin("DELETE", "/routes/w1")[0] == 404
    house.add_route(front.route)


@pytest.mark.parametrize(
    "changes",
    [
        {"base_url": "/hub/"},
        {"base_url": "/user/alice/../bob/"},
        {"upstream_socket": "relative.sock"},
        {"upstream_token": "a\r\nX: y"},
        {"workspace_id": ""},
        {"started_at": "now"},
        {"more": "x"},
    ],
)
def test_odd_routes_are_refused(house: GuardHouse, jupyter: Path, changes):
    route = route_for(jupyter) | changes
    status, text = house.admin("PUT", "/routes/w1", json.dumps(route).encode())
    assert status == 422
    assert b"hub-token" not in text
    assert house.admin("GET", "/routes/w1")[0] == 404


def test_activity_is_what_a_person_does(front, house: GuardHouse):
    """Lab's polling is none; opening Lab is, and the Hub is told."""
    before = json.loads(house.admin("GET", "/routes/w1")[1])["active_at"]
    front.get("api/kernels")
    front.get("api/contents/a.txt")
    assert json.loads(house.admin("GET", "/routes/w1")[1])["active_at"] == before
    front.get("lab", headers={"Sec-Fetch-Mode": "navigate"})
    assert json.loads(house.admin("GET", "/routes/w1")[1])["active_at"] > before
    wait_for(lambda: any(name == "alice" for name, _ in house.hub.activity), "the Hub to be told", 10)


def test_an_old_workspace_is_ended(house: GuardHouse, jupyter: Path):
    house.add_route(route_for(jupyter, workspace_id="w7", server="old", started_at=time.time() - 73 * 3600))
    wait_for(lambda: "alice/old" in house.hub.deleted, "the Hub to be asked", 10)


def test_an_upstream_that_is_gone(house: GuardHouse, tmp_path: Path):
    route = route_for(tmp_path, workspace_id="w8", server="gone")
    house.add_route(route)
    answer = httpx.get(
        f"{house.places.guard_url}{route['base_url']}api/status", headers=house.browser(route), timeout=30
    )
    assert answer.status_code == 503
    assert "does not answer" in answer.json()["message"]
