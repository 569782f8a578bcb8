"""The parts that need no cluster: groups as the kernel tells them, the journal, images, keys of builds, refusals."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest
from cryptography import x509

from tre.errors import InvalidInput, Unavailable

from .__main__ import main
from .machine import build, groups, needs, network, pki
from .machine.groups import Hierarchy
from .machine.images import Image
from .machine.journal import Entry, Journal
from .machine.place import RUN, SOURCES, VARIABLE, place

HYBRID = """\
tmpfs /sys/fs/cgroup tmpfs rw,relatime,mode=755 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,nodev,noexec,relatime,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,relatime,name=systemd 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime,nsdelegate 0 0
cgroup2 /somewhere/else cgroup2 rw,relatime 0 0
/dev/vda / ext4 rw,relatime 0 0
"""


def test_hierarchies_are_read_from_mounts_each_once() -> None:
    assert groups.hierarchies(HYBRID) == [
        Hierarchy(Path("/sys/fs/cgroup/cpu,cpuacct"), 1, "cpu,cpuacct"),
        Hierarchy(Path("/sys/fs/cgroup/systemd"), 1, "name=systemd"),
        Hierarchy(Path("/sys/fs/cgroup/unified"), 2, ""),
    ]


def test_a_group_lies_below_the_group_of_who_makes_it(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    hierarchy = Hierarchy(tmp_path, 1, "memory")
    assert hierarchy.group("tre", {"memory": "mine"}) == tmp_path / "mine" / "tre"
    assert hierarchy.group("tre", {"memory": "not/to/be/seen"}) == tmp_path / "tre"


def test_a_journal_forgets_a_line_that_was_cut(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    assert journal.read() == []
    journal.write(Entry("folder", "/a"))
    journal.write(Entry("group", "/b"))
    with journal.file.open("a") as file:
        file.write('{"kind": "gro')
    assert journal.read() == [Entry("folder", "/a"), Entry("group", "/b")]


def test_an_image_has_the_same_digest_each_time_and_says_what_it_is(tmp_path: Path) -> None:
    files = {"probe": b"\x7fELF", "etc/passwd": b"root"}
    first = Image("localhost/one:1", files, entrypoint=("/probe",)).write(tmp_path / "a.tar")
    second = Image("localhost/one:1", dict(reversed(files.items())), entrypoint=("/probe",)).write(tmp_path / "b.tar")
    assert first == second
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as tar:
        names = tar.getnames()

        def blob(digest: str) -> bytes:
            file = tar.extractfile("blobs/sha256/" + digest.removeprefix("sha256:"))
            assert file
            return file.read()

        index = tar.extractfile("index.json")
        assert index
        (described,) = json.load(index)["manifests"]
        assert described["annotations"]["io.containerd.image.name"] == "localhost/one:1"
        manifest = json.loads(blob(described["digest"]))
        config = json.loads(blob(manifest["config"]["digest"]))
        layer = blob(manifest["layers"][0]["digest"])
    assert "oci-layout" in names
    assert config["config"] == {"Entrypoint": ["/probe"], "User": "65534:65534"}
    with tarfile.open(fileobj=io.BytesIO(layer), mode="r:gz") as inner:
        assert inner.getnames() == ["etc", "etc/passwd", "probe"]


def test_a_build_holds_until_a_source_a_pin_or_go_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(SOURCES / "go" / "probe", tmp_path / "go" / "probe")
    monkeypatch.setattr("tests.cluster.machine.build.SOURCES", tmp_path)
    (module,) = (module for module in build.MODULES if module.name == "probe")
    keys = [build.key(module, "go1"), build.key(module, "go2")]
    assert build.key(module, "go1") == keys[0]
    for file in ("main.go", "go.mod", "new.go"):
        with (module.home / file).open("a") as out:
            out.write("\n")
        keys.append(build.key(module, "go1"))
    assert len(set(keys)) == len(keys)


def test_the_certificates_name_their_users_and_places(tmp_path: Path) -> None:
    people = pki.make(
        tmp_path / "keys",
        node="node1",
        node_address="10.0.0.1",
        api="https://10.0.0.1:6443",
        api_names=["kubernetes", "127.0.0.1"],
        door="https://127.0.0.1:1",
    )
    assert json.loads(people)["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:1"
    kubelet = x509.load_pem_x509_certificate((tmp_path / "keys" / "kubelet.crt").read_bytes())
    assert kubelet.subject.rfc4514_string() == "CN=system:node:node1,O=system:nodes"
    server = x509.load_pem_x509_certificate((tmp_path / "keys" / "apiserver.crt").read_bytes())
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["kubernetes"]
    assert all(file.stat().st_mode & 0o077 == 0 for file in (tmp_path / "keys").iterdir())


def test_the_node_has_one_card_and_all_else_is_outside() -> None:
    ends = [command for command in network.node_links(42) if "veth" in command]
    assert ends == [["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", "42"]]
    assert {command[0] for command in network.node_links(42)} == {"ip", "sysctl"}
    assert ["ip", "address", "add", "169.254.169.254/32", "dev", "eth0"] in network.outside_links()


@pytest.mark.parametrize("variable", [VARIABLE, RUN])
@pytest.mark.parametrize("folder", ["/run/cluster", "/proc/cluster", "/sys/cluster", "/dev/shm/cluster"])
def test_a_folder_that_the_cluster_could_not_see_is_refused(
    folder: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, folder)
    with pytest.raises(InvalidInput) as refusal:
        place()
    assert refusal.value.field == variable


def test_what_is_missing_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Unavailable) as refusal:
        needs.ensure()
    for word in ("not root", "no apt-get", "containerd", "no `go` in PATH"):
        assert word in refusal.value.message
    assert "KUBECONFIG" in refusal.value.hint


def test_an_older_go_than_the_modules_ask_for_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In words, and without an attempt to build."""
    old = tmp_path / "go"
    old.write_text("#!/bin/sh\necho go version go1.19.8 linux/amd64\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert needs.go_version() == (1, 19, 8)
    assert any("`go` is 1.19.8: what is built needs 1.2" in problem for problem in needs.lacking())


def test_where_no_cluster_can_be_made_it_is_said_and_told_by_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert main(["possible"]) == 1
    assert "the tests of the cluster do not run here: not root" in capsys.readouterr().out
