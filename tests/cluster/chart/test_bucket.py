"""Submitted and released bytes in a bucket: who is told of it, who holds its keys, and what lies where."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tre.settings import Bucket

from .rendering import BUCKET, PROFILES, Object, changed, pods, render
from .test_rendering import settings_of

TOLD = Bucket("https://s3.example:9000", "outputs", prefix="tre/", ca="/etc/tre/ca/bucket/ca.pem")
KEYS: list[tuple[str, Any, str]] = [
    ("name", "other.bucket", "name"),
    ("endpoint", "https://other.example:9000", "endpoint"),
    ("region", "eu-west-2", "region"),
    ("prefix", "", "prefix"),
    ("pathStyle", False, "path_style"),
    ("ca", "", "ca"),
]


def mounts(spec: Object) -> dict[str, tuple[str, str]]:
    """{path below the state folder: (volume, folder of it)}."""
    (container,) = spec["containers"]
    found = {each["mountPath"]: (each["name"], each.get("subPath", "")) for each in container.get("volumeMounts", ())}
    return {path.removeprefix("/var/lib/tre/state/"): each for path, each in found.items() if "/state/" in path}


@pytest.mark.parametrize(("key", "value", "ours"), KEYS, ids=[each[0] for each in KEYS])
def test_every_key_reaches_who_asks_it(helm_program: Path, tmp_path: Path, key: str, value: Any, ours: str) -> None:
    objects = render(helm_program, changed(BUCKET, f"content.bucket.{key}", value))
    for part in ("api", "worker"):
        assert settings_of(objects, part, tmp_path).bucket == replace(TOLD, **{ours: value})


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_what_lies_where(helm_program: Path, name: str) -> None:
    """The intake, next to workspaces, has no volume of anybody's; extracts and custodians' files stay on the volume."""
    found = {part: mounts(spec) for part, spec in pods(render(helm_program, *PROFILES[name])).items() if mounts(spec)}
    arriving = {"arriving": ("arriving", "arriving")}
    shared = {each: ("content", each) for each in ("incoming", "extracts")}
    place = arriving if name == "bucket" else {"content": ("content", "content")}
    assert found == {"tre-api": {**shared, **place}, "tre-worker": {**shared, **place}, "tre-intake": arriving}


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_what_arrives_lies_on_a_disk_that_is_bounded(helm_program: Path, name: str) -> None:
    for spec in pods(render(helm_program, *PROFILES[name])).values():
        for volume in spec.get("volumes", ()):
            if volume["name"] == "arriving":
                assert volume["emptyDir"] == {"sizeLimit": "5Gi"}


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_keys_and_authority_are_of_who_asks_it(helm_program: Path, name: str) -> None:
    holders: dict[str, set[str]] = {"keys": set(), "authority": set()}
    for part, spec in pods(render(helm_program, *PROFILES[name])).items():
        for volume in spec.get("volumes", ()):
            sources = volume.get("projected", {}).get("sources", ())
            if any(source.get("secret", {}).get("name") == "tre-bucket" for source in sources):
                holders["keys"].add(part)
            if volume.get("configMap", {}).get("name") == "s3-ca":
                holders["authority"].add(part)
    wanted = {"tre-api", "tre-worker"} if name == "bucket" else set()
    assert holders == {"keys": wanted, "authority": wanted}
