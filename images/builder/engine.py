"""buildah, as commands: pure functions of what is to be built. Decides how, and that nothing of this machine gets in.

Every entry of every layer carries the same time, nothing is taken from a registry, a step runs without namespaces of
its own (they may not exist here). What pip needs to reach its registry from here is shown to steps, never kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

EPOCH = 0


def buildah(store: Path, *arguments: str) -> list[str]:
    return ["buildah", "--root", str(store / "root"), "--runroot", str(store / "run"), *arguments]


def build(
    store: Path, *, tag: str, base: str, file: Path, context: Path, shown: Mapping[Path, Path], anew: bool
) -> list[str]:
    """`shown` is {path in steps: path here}, read-only. Each step is a layer, so images share their base; `tidy` ends
    them. `anew` takes none that is there.
    """
    volumes = [f"--volume={here}:{inside}:ro" for inside, here in sorted(shown.items())]
    options = (
        "--isolation=chroot",
        f"--timestamp={EPOCH}",
        "--pull-never",
        "--force-rm",
        "--network=host",
        "--layers",
        *(("--no-cache",) if anew else ()),
    )
    return buildah(
        store,
        "build",
        *options,
        *volumes,
        f"--build-arg=BASE={base}",
        f"--tag={tag}",
        f"--file={file}",
        str(context),
    )


def export(store: Path, tag: str, folder: Path) -> list[str]:
    """As an OCI image layout in a folder."""
    return buildah(store, "push", "--quiet", tag, f"oci:{folder}:image")


def wrap(store: Path, folder: Path, tag: str) -> list[list[str]]:
    """A folder as an image of its own, after what a broken-off run left is gone."""
    return [
        buildah(store, "rm", "--all"),
        buildah(store, "from", "--name", "tre-base", "scratch"),
        buildah(store, "add", "--quiet", "tre-base", str(folder), "/"),
        buildah(store, "commit", "--quiet", "--rm", f"--timestamp={EPOCH}", "tre-base", tag),
    ]


def found(store: Path, tag: str) -> list[str]:
    """Prints the image's number where it is there, in one line."""
    return buildah(store, "images", "--quiet", "--no-trunc", "--filter", f"reference={tag}")


def forget(store: Path, tag: str) -> list[str]:
    """An image that was exported, and of its steps those that no other image has: no build may be under way, which
    might stand on one of them.
    """
    return buildah(store, "rmi", tag)


def tidy(store: Path) -> list[list[str]]:
    """Steps on the way to images, each as large as what it wrote, also those of a build that broke off."""
    return [buildah(store, "rm", "--all"), buildah(store, "rmi", "--prune")]
