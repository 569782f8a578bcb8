"""Images of containers, built without a registry or an engine. Decides their bytes: same files, same digest.

An image is one layer in an OCI image layout, kept as one tar archive, which is what `ctr images import` reads
(https://github.com/opencontainers/image-spec, image-layout.md, manifest.md, config.md).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tre.errors import Unavailable

from .place import Place

MEDIA = "application/vnd.oci.image"


@dataclass(frozen=True)
class Image:
    """`files` is {path in the image: content}; all of them belong to root and may be read and run by everyone."""

    name: str
    files: Mapping[str, bytes]
    entrypoint: tuple[str, ...]
    user: str = "65534:65534"
    blobs: dict[str, bytes] = field(default_factory=dict, compare=False, repr=False)

    def _blob(self, content: bytes, media: str) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        self.blobs[digest] = content
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(content)}

    def index(self) -> dict[str, Any]:
        """The image layout's index.json; fills `blobs` with everything that it leads to."""
        layer = archive(self.files)
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": list(self.entrypoint), "User": self.user},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{MEDIA}.manifest.v1+json",
            "config": self._blob(encode(config), f"{MEDIA}.config.v1+json"),
            "layers": [self._blob(gzip.compress(layer, 1, mtime=0), f"{MEDIA}.layer.v1.tar+gzip")],
        }
        described = self._blob(encode(manifest), f"{MEDIA}.manifest.v1+json")
        return {"schemaVersion": 2, "manifests": [{**described, "annotations": titles(self.name)}]}

    def write(self, file: Path) -> str:
        """Write the archive and return the image's digest."""
        index = self.index()
        layout = {"oci-layout": encode({"imageLayoutVersion": "1.0.0"}), "index.json": encode(index)}
        blobs = {f"blobs/sha256/{digest}": content for digest, content in self.blobs.items()}
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_suffix(".half")
        half.write_bytes(archive({**layout, **blobs}))
        half.rename(file)
        return str(index["manifests"][0]["digest"])


def titles(name: str) -> dict[str, str]:
    """What names the image: for containerd the whole, by the specification the tag."""
    return {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1]}


def encode(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def archive(files: Mapping[str, bytes]) -> bytes:
    """A tar archive of plain files and the folders that they need, without times or owners of this machine."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        folders = {str(parent) for path in files for parent in Path(path).parents if str(parent) != "."}
        for folder in sorted(folders):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def load(place: Place, file: Path) -> None:
    """Give an archive to the running cluster's containerd. Raises Unavailable with what `ctr` said."""
    command = ["ctr", "--address", str(place.containerd), "--namespace", "k8s.io", "images", "import", str(file)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Unavailable(f"{file.name} was not imported: {done.stderr.strip()[-500:]}")
