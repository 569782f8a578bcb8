"""An image as one file that `ctr images import`, `docker load` and `skopeo` read: an OCI layout in a tar archive.

Decides its bytes: entries in order, without times and owners of this machine. The digest is that of the manifest.
"""

from __future__ import annotations

import gzip
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHUNK = 1 << 20


@dataclass(frozen=True)
class Built:
    """`archive_bytes` is what is moved, `unpacked_bytes` what lies on a node, `sources` the hash of what made it."""

    image: str
    digest: str
    archive_bytes: int
    unpacked_bytes: int
    sources: str = ""


def named(index: dict[str, Any], name: str) -> dict[str, Any]:
    """The layout's index with its one image named: for containerd the whole, by the specification the tag."""
    (only,) = index["manifests"]
    titles = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1]}
    return {"schemaVersion": 2, "manifests": [{**only, "annotations": titles}]}


def write(layout: Path, name: str, file: Path, sources: str = "") -> Built:
    """Pack the layout into `file` under `name`; whole or not at all."""
    index = named(json.loads((layout / "index.json").read_text()), name)
    (layout / "index.json").write_text(json.dumps(index, sort_keys=True))
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_suffix(".half")
    with tarfile.open(half, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(layout.rglob("*")):
            tar.add(path, str(path.relative_to(layout)), recursive=False, filter=plain)
    half.rename(file)
    digest = index["manifests"][0]["digest"]
    return Built(name, digest, file.stat().st_size, unpacked(layout, digest), sources)


def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.mtime = entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.isdir() else 0o644
    return entry


def unpacked(layout: Path, digest: str) -> int:
    manifest = json.loads(blob(layout, digest).read_text())
    return sum(length(blob(layout, layer["digest"])) for layer in manifest["layers"])


def blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / Path(*digest.split(":"))


def length(layer: Path) -> int:
    with gzip.open(layer) as stream:
        return sum(len(part) for part in iter(lambda: stream.read(CHUNK), b""))
