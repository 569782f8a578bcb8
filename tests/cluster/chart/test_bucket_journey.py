"""The journey on a release whose submitted and released bytes lie in an object storage outside of the cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.house import Facts
from tests.cluster.machine import network
from tests.cluster.machine.contents import Kubectl
from tests.cluster.machine.place import Place
from tests.fixtures.object_storage import NAME, ObjectStorage, needs_storage
from tests.stack.examination.house import Authority
from tre.outputs.content.model import DIGEST
from tre.settings.bucket import KEY_FILE, KEY_ID_FILE

from .release import VALUES, Release, installed
from .rendering import Object
from .test_journey import play

PORT = 9443


def outside(place: Place) -> int:
    """The process that holds the outside's network: the probe that was told nothing."""
    wanted = f"{place.programs / 'probe'}\0".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (entry / "cmdline").exists() and (entry / "cmdline").read_bytes() == wanted:
            return int(entry.name)
    pytest.fail("the cluster has no outside")


@pytest.fixture(scope="module")
def storage(our_place: Place, facts: Facts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStorage]:
    folder = tmp_path_factory.mktemp("storage")
    authority = Authority(folder)
    pair = authority.pair(network.OUTSIDE)
    found = ObjectStorage(
        folder / "s",
        port=PORT,
        scheme="https",
        address=network.OUTSIDE,
        before=tuple(network.within(outside(our_place))),
        more=("--cert", str(pair.chain), "--key", str(pair.key)),
    )
    found.folder.mkdir()
    found.start()
    yield found
    found.kill()


@pytest.fixture(scope="module")
def release(kubectl: Kubectl, our_place: Place, helm_program: Path, storage: ObjectStorage) -> Iterator[Release]:
    authority = (storage.folder.parent / "ca.pem").read_text()
    keys = {KEY_ID_FILE: storage.key_id, KEY_FILE: storage.key}
    held: tuple[Object, ...] = (
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tre-bucket"}, "stringData": keys},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s3-ca"}, "data": {"ca.pem": authority}},
    )
    bucket = {
        "name": NAME,
        "endpoint": f"https://{network.OUTSIDE}:{PORT}",
        "prefix": "content/",
        "credentials": "tre-bucket",
        "cidr": f"{network.OUTSIDE}/32",
        "port": PORT,
        "ca": "s3-ca",
    }
    with installed(kubectl, our_place, helm_program, {**VALUES, "content": {"bucket": bucket}}, held) as found:
        yield found


@needs_storage
@pytest.mark.timeout(900)
def test_the_whole_journey_through_a_bucket(release: Release, storage: ObjectStorage, tmp_path: Path) -> None:
    play(release, tmp_path)
    lying = {path.name for path in (storage.folder / "data" / NAME / "content").rglob("*") if path.is_file()}
    assert len([name for name in lying if DIGEST.fullmatch(name)]) > 3
    (volume,) = (folder / "tre-content" for folder in release.folders if (folder / "tre-content").exists())
    assert sorted(path.name for path in volume.iterdir()) == ["extracts", "incoming"]


@needs_storage
def test_tre_doctor_looks_at_it_from_the_api(release: Release) -> None:
    said = release.space("exec", "deploy/tre-api", "--", "sh", "-c", "tre doctor --cluster --json || true")
    about = [one for one in json.loads(said) if one["value"].startswith("content.bucket")]
    assert {one["level"] for one in about} == {"ok", "warning"}, about
    assert [one["found"] for one in about if one["level"] == "warning"] == [
        "It keeps no versions: what is overwritten or deleted there is gone."
    ]


@needs_storage
def test_only_who_needs_it_reaches_it(release: Release) -> None:
    """By the policies as the network enforces them."""
    knock = (
        "import socket, sys\ntry:\n socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close(); print('open')"
        "\nexcept OSError:\n print('closed')"
    )
    found = {
        part: release.space("exec", f"deploy/tre-{part}", "--", "python", "-c", knock, network.OUTSIDE, str(PORT))
        for part in ("api", "worker", "intake", "guard", "hub", "controller")
    }
    assert {part for part, said in found.items() if said.strip() == "open"} == {"api", "worker"}
