"""How images are built, as commands and bytes: the same each time, and nothing of this machine in them."""

import gzip
import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from images.builder import __main__ as builder
from images.builder import archive, base, engine, pip, sources
from images.builder.place import NAMES, Place, reference
from tre.errors import NotFound, Unavailable

STORE = Path("/cache/store")


def test_a_build_takes_nothing_from_a_registry_and_gives_every_file_one_time():
    shown = {Path("/etc/pip.conf"): Path("/cache/pip/pip.conf")}
    found = engine.build(
        STORE,
        tag="localhost/tre-hub:1",
        base="localhost/base:1",
        file=Path("/c/f"),
        context=Path("/c"),
        shown=shown,
        anew=True,
    )
    assert found == [
        "buildah",
        "--root",
        "/cache/store/root",
        "--runroot",
        "/cache/store/run",
        "build",
        "--isolation=chroot",
        "--timestamp=0",
        "--pull-never",
        "--force-rm",
        "--network=host",
        "--layers",
        "--no-cache",
        "--volume=/cache/pip/pip.conf:/etc/pip.conf:ro",
        "--build-arg=BASE=localhost/base:1",
        "--tag=localhost/tre-hub:1",
        "--file=/c/f",
        "/c",
    ]


def test_of_a_build_nothing_stays_but_the_base():
    own = ["buildah", "--root", "/cache/store/root", "--runroot", "/cache/store/run"]
    shown = ("--quiet", "--no-trunc", "--filter", "reference=localhost/tre-hub:1")
    assert engine.found(STORE, "localhost/tre-hub:1") == [*own, "images", *shown]
    assert engine.forget(STORE, "localhost/tre-hub:1") == [*own, "rmi", "localhost/tre-hub:1"]
    assert engine.tidy(STORE) == [[*own, "rm", "--all"], [*own, "rmi", "--prune"]]


def test_an_image_is_built_again_where_anything_that_it_copies_changed(tmp_path: Path):
    file = tmp_path / "images" / "hub" / "Containerfile"
    text = "FROM base\nCOPY a.lock tre ./\nCOPY --from=build /opt /opt\n"
    for name, content in {"images/hub/Containerfile": text, "a.lock": "1", "tre/x.py": "1", "docs/y.md": "1"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert sources.copied(text) == ["a.lock", "tre"]
    keys = [sources.key(tmp_path, file, "base-1"), sources.key(tmp_path, file, "base-2")]
    for name in ("a.lock", "tre/x.py", "tre/new.py", "images/hub/Containerfile"):
        with (tmp_path / name).open("a") as out:
            out.write("\n")
        keys.append(sources.key(tmp_path, file, "base-1"))
    assert len(set(keys)) == len(keys)
    for name in ("docs/y.md", "tre/__pycache__/x.pyc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("2")
    assert sources.key(tmp_path, file, "base-1") == keys[-1]


def test_what_changed_under_a_build_is_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Half of it would be of before: under either hash it would be kept as what it is not."""
    file = tmp_path / "images" / "hub" / "Containerfile"
    file.parent.mkdir(parents=True)
    file.write_text("FROM base\nCOPY tre ./\n")
    (tmp_path / "tre").write_text("1")

    def engine_runs(command: list[str]) -> str:
        if "build" in command:
            (tmp_path / "tre").write_text("2")
        return "base-1"

    monkeypatch.setattr(builder, "CHECKOUT", tmp_path)
    monkeypatch.setattr(builder, "run", engine_runs)
    with pytest.raises(Unavailable, match="changed meanwhile"):
        builder.build(Place(tmp_path / "cache", tmp_path / "images"), "hub", "base:1", {}, anew=False)


def test_what_was_built_from_the_same_is_known_as_long_as_it_is_there(tmp_path: Path):
    report, tar = tmp_path / "images.json", tmp_path / "hub.tar"
    assert not sources.unchanged(report, tar, "hub", "k")
    report.write_text(json.dumps({"hub": {"sources": "k"}}))
    assert not sources.unchanged(report, tar, "hub", "k")
    tar.touch()
    assert sources.unchanged(report, tar, "hub", "k")
    assert not sources.unchanged(report, tar, "hub", "other")
    assert not sources.unchanged(report, tar, "guard", "k")


def test_only_ours_have_a_name():
    assert reference("hub") == "localhost/tre-hub:0.1.0"
    with pytest.raises(NotFound):
        reference("../hub")


def test_a_step_learns_the_way_to_the_registry_and_nothing_else():
    listed = (
        "global.cert='/etc/ca.pem'\n:env:.find-links='/opt/wheels'\n:env:.default-timeout='180'\ninstall.user='yes'\n"
    )
    found = pip.settings(listed)
    assert found == {"cert": "/etc/ca.pem", "timeout": "180"}
    assert pip.text(found) == "[global]\ncert = /etc/ca.pem\ntimeout = 180\n"


def test_the_base_keeps_nothing_of_the_machine_and_the_moment(tmp_path: Path):
    kept = ("usr/bin/python3", "etc/passwd", "var/lib/dpkg/status", "dev", "run")
    gone = (
        "etc/resolv.conf",
        "etc/passwd-",
        "var/log/apt/history.log",
        "var/cache/apt/archives/a.deb",
        "etc/machine-id",
    )
    pyc = "usr/lib/python3/__pycache__/x.cpython-311.pyc"
    for name in (*kept[:3], *gone, pyc, "dev/null", "run/lock/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    base.tidy(tmp_path)
    assert [name for name in kept if not (tmp_path / name).exists()] == []
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert left == sorted(kept[:3])


def layout(folder: Path) -> Path:
    """An OCI image layout with one layer, as buildah writes it."""

    def blob(content: bytes) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        path = folder / "blobs" / "sha256" / digest
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return {"digest": f"sha256:{digest}", "size": len(content)}

    manifest = blob(json.dumps({"layers": [blob(gzip.compress(b"x" * 5000, mtime=0))]}).encode())
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    return folder


def test_an_archive_names_its_image_and_is_the_same_each_time(tmp_path: Path):
    first, second = (
        archive.write(layout(tmp_path / name), "localhost/tre-hub:1", tmp_path / f"{name}.tar") for name in ("a", "b")
    )
    assert first == second
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    assert first.unpacked_bytes == 5000
    with tarfile.open(tmp_path / "a.tar") as tar:
        entries = tar.getmembers()
        index = json.load(tar.extractfile("index.json"))  # type: ignore[arg-type]
    assert {(entry.mtime, entry.uid, entry.uname) for entry in entries} == {(0, 0, "")}
    (only,) = index["manifests"]
    assert only["annotations"] == {
        "io.containerd.image.name": "localhost/tre-hub:1",
        "org.opencontainers.image.ref.name": "1",
    }
    assert only["digest"] == first.digest


def test_every_name_has_its_files():
    folder = Path(__file__).resolve().parents[2] / "images"
    for name in NAMES:
        assert (folder / name / "Containerfile").is_file()
        assert (folder / name / "requirements.lock").is_file()
