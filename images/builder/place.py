"""Where the builder keeps things. Decides folders and names; all but `out` outlives a build, and can be deleted."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tre.errors import NotFound

CHECKOUT = Path(__file__).resolve().parents[2]
VARIABLE = "TRE_IMAGES_CACHE"
VERSION = "0.1.0"
#: In the order of their sizes: the first to fail fails early.
NAMES = ("proxy", "hub", "guard", "servers", "control", "workspace-r", "workspace")


@dataclass(frozen=True)
class Place:
    """`cache` holds the base and buildah's own store, `out` the archives."""

    cache: Path
    out: Path = CHECKOUT / "build" / "images"

    @property
    def store(self) -> Path:
        return self.cache / "store"

    def archive(self, name: str) -> Path:
        return self.out / f"{name}.tar"

    @property
    def report(self) -> Path:
        """{name: {image, digest, archive_bytes, unpacked_bytes}} of what was built."""
        return self.out / "images.json"


def place() -> Place:
    return Place(Path(os.environ.get(VARIABLE) or Path.home() / ".cache" / "tre-images").resolve())


def reference(name: str) -> str:
    """What the image is called on a node. Raises NotFound for a name that is none of ours."""
    if name not in NAMES:
        raise NotFound(f"there is no image {name}", hint=f"Known: {', '.join(NAMES)}.")
    return f"localhost/tre-{name}:{VERSION}"
