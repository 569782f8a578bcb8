"""The launch plan: there and back, what is refused, and that it never shows its secrets."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.workspaces.conftest import Plan, make_plan
from tre.errors import InvalidInput
from tre.workspaces.plan import DataMount, LaunchPlan, Limits


def test_there_and_back(plan: Plan) -> None:
    made = plan()
    assert LaunchPlan.from_json(made.to_json()) == made
    assert LaunchPlan.from_dict(json.loads(made.to_json())) == made


def test_repr_shows_no_secret(plan: Plan) -> None:
    made = plan()
    for secret in (made.jupyter_token, *made.secrets.values()):
        assert secret not in repr(made)
        assert secret not in str(made)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("workspace_id", "../up"),
        ("workspace_id", ""),
        ("workspace_id", "a" * 65),
        ("person", "a b"),
        ("project", "a/b"),
        ("home", "relative"),
        ("home", "/a/../b"),
        ("home", "/a\0b"),
        ("intake_socket", "run/x"),
        ("postgres_socket_dir", "x"),
        ("base_url", "user/x/"),
        ("base_url", "/user/x"),
        ("base_url", "/user/../x?/"),
        ("jupyter_token", "short"),
        ("secrets", {"../x": "y"}),
        ("secrets", {"intake.sock": "y"}),
        ("secrets", {"a/b": "y"}),
        ("data", (DataMount("../x", "/x"),)),
        ("data", (DataMount("x", "x"),)),
        ("data", (DataMount("x", "/x"), DataMount("x", "/y"))),
    ],
)
def test_refuses_and_names_the_field(plan: Plan, field: str, value: object) -> None:
    made = plan()
    with pytest.raises(InvalidInput) as refused:
        replace(made, **{field: value})
    assert refused.value.field == field


@pytest.mark.parametrize("value", [0, -1, True, "1"])
def test_limits_are_positive_numbers(value: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        Limits(processes=value)  # type: ignore[arg-type]
    assert refused.value.field == "limits.processes"


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body | {"extra": 1},
        lambda body: {key: value for key, value in body.items() if key != "home"},
        lambda body: body | {"limits": {"unknown": 1}},
        lambda body: body | {"data": [{"name": "x"}]},
        lambda body: [],
        lambda body: "text",
    ],
)
def test_other_shapes_are_refused_without_quoting_them(folder: Path, change: object) -> None:
    body = json.loads(make_plan(folder, "one").to_json())
    with pytest.raises(InvalidInput) as refused:
        LaunchPlan.from_dict(change(body))  # type: ignore[operator]
    assert body["jupyter_token"] not in str(refused.value)
    with pytest.raises(InvalidInput):
        LaunchPlan.from_json("{")
