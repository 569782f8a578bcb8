"""The allowlist as a pure function."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tre.door.guard.paths import (
    Admitted,
    Kind,
    MethodRefused,
    PathRefused,
    admit,
    clean,
    split_base,
    split_target,
)

KERNEL = "0f4b5e5c-8c7b-4c9a-9e63-0c6a2b1d7e11"


def ask(method: str, target: str) -> Admitted:
    path, query = split_target(target)
    _, rest = split_base(clean(path))
    return admit(method, rest, query)


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "", Admitted(Kind.START, "")),
        ("GET", "lab", Admitted(Kind.PAGE, "lab")),
        ("GET", "lab/", Admitted(Kind.PAGE, "lab")),
        ("GET", "lab/tree/a/b.ipynb", Admitted(Kind.PAGE, "lab/tree/a/b.ipynb")),
        (
            "GET",
            "lab/workspaces/auto-A?reset&x=1",
            Admitted(Kind.PAGE, "lab/workspaces/auto-A", query=(("reset", ""),)),
        ),
        ("GET", "api/contents", Admitted(Kind.UPSTREAM, "api/contents", "/api/contents")),
        (
            "GET",
            "api/contents/b%C3%BCro/1%20%232.csv?content=1&1700000000&token=abc",
            Admitted(
                Kind.UPSTREAM,
                "api/contents/büro/1 #2.csv",
                "/api/contents/b%C3%BCro/1%20%232.csv?content=1",
                (("content", "1"),),
            ),
        ),
        (
            "PUT",
            "api/contents/100%25.txt",
            Admitted(Kind.UPSTREAM, "api/contents/100%.txt", "/api/contents/100%25.txt"),
        ),
        ("DELETE", f"api/kernels/{KERNEL}", Admitted(Kind.UPSTREAM, f"api/kernels/{KERNEL}", f"/api/kernels/{KERNEL}")),
        (
            "GET",
            f"api/kernels/{KERNEL}/channels?session_id=a%26b&token=t",
            Admitted(
                Kind.CHANNELS,
                f"api/kernels/{KERNEL}/channels",
                f"/api/kernels/{KERNEL}/channels?session_id=a%26b",
                (("session_id", "a&b"),),
            ),
        ),
        ("GET", "api/me", Admitted(Kind.ME, "api/me")),
        ("GET", "api/nbconvert", Admitted(Kind.NONE, "api/nbconvert")),
        ("GET", "api/events/subscribe", Admitted(Kind.SILENCE, "api/events/subscribe")),
        ("GET", "api/", Admitted(Kind.READY, "api")),
        ("GET", "lab/api/settings/@jupyterlab/x:y", Admitted(Kind.LAB, "lab/api/settings/@jupyterlab/x:y")),
    ],
)
def test_admitted(method, target, expected):
    assert ask(method, f"/user/alice/heart/{target}") == expected


@pytest.mark.parametrize(
    "target",
    [
        "files/a.txt",
        "nbconvert/html/a.ipynb",
        "view/a.html",
        "kernelspecs/python3/kernel.json",
        "kernelspecs/other/logo-svg.svg",
        "lab/extensions/x/static/a.js",
        "proxy/8080/",
        "terminals/websocket/1",
        "api/terminals",
        "api/events",
        "api/events/subscribe/x",
        "api/spec.yaml",
        "api/nbconvert/html",
        "api/config/notebook",
        "metrics",
        "logout",
        "login",
        "custom/custom.css",
        "API/contents",
        "api/Contents",
        "api/contentsx",
        "Files/a",
        "api/contents/../../files/a.txt",
        "api/contents/%2e%2e/%2e%2e/files/a.txt",
        "api/contents/a/..;/b",
        "api/contents/%2e%2e%3b/b",
        "api/contents/a%2f%2fb",
        "api/contents/a%252fb",
        "api/contents/%252e%252e/x",
        "api/contents//x",
        "api/contents/a%5cb",
        "api/contents/a\\b",
        "api/contents/a%00b",
        "api/contents/a%0ab",
        "api/contents/%ff",
        "api/contents/%e2%80%a4%e2%80%a4/x",
        "api/contents/a%ef%bc%8fb",
        "api/contents/a%ef%bc%bcb",
        "api/contents/%c0%ae%c0%ae/x",
        f"api/kernels/{KERNEL.upper()}",
        f"api/kernels/{KERNEL}x",
        "api/kernels/../contents",
        "lab/api/plugins",
        "lab/api/extensions",
        "lab/api/listings/@jupyterlab/x",
        "api/kernelspecs/a/b",
        "static",
    ],
)
def test_refused(target):
    with pytest.raises((PathRefused, MethodRefused)):
        ask("GET", f"/user/alice/heart/{target}")


@pytest.mark.parametrize(
    "target", ["", "/", "/user", "/user/", "/user/alice", "/user//heart/", "/hub/api", "user/a/b/", "*"]
)
def test_no_workspace(target):
    with pytest.raises(PathRefused):
        split_base(clean(split_target(target)[0]))


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "lab"),
        ("HEAD", "api/contents"),
        ("OPTIONS", "api/contents"),
        ("PUT", "api/kernels"),
        ("DELETE", "api/kernels"),
        ("CONNECT", "api/status"),
        ("TRACE", "api/status"),
        ("get", "api/status"),
        ("POST", "static/lab/x.js"),
    ],
)
def test_methods(method, target):
    with pytest.raises(MethodRefused):
        ask(method, f"/user/alice/heart/{target}")


@given(st.text(max_size=60))
def test_a_clean_path_stays_what_it_is(text):
    """What is let through decodes to itself, has no dot segment and builds a target that decodes to it again."""
    try:
        found = ask("GET", f"/user/alice/heart/api/contents/{text}")
    except (PathRefused, MethodRefused):
        return
    parts = found.path.split("/")
    assert parts[:2] == ["api", "contents"]
    assert not {".", "..", ""} & set(parts)
    assert clean(found.target.partition("?")[0]) == f"/{found.path}"


@given(st.binary(max_size=40))
def test_any_bytes_are_answered(raw):
    """Every byte string, percent-encoded, is admitted or refused: no other error."""
    try:
        ask("GET", "/user/alice/heart/api/contents/" + "".join(f"%{byte:02x}" for byte in raw))
    except (PathRefused, MethodRefused):
        return
