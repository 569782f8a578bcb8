"""Where things lie. Decides folders and names; leaves what is in them to others.

The cache outlives clusters: built programs and images. What Go downloads is elsewhere (`go env GOMODCACHE`). The run
folder is one running cluster; nothing of it outlives `down`.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from tre.errors import InvalidInput

CHECKOUT = Path(__file__).resolve().parents[3]
SOURCES = CHECKOUT / "tests" / "cluster"
VARIABLE = "TRE_CLUSTER_CACHE"
#: Names another run folder, for a cluster beside the first one.
RUN = "TRE_CLUSTER_RUN"
#: Names Vault's program, where tests are to have it instead of OpenBao.
VAULT = "TRE_TEST_VAULT"
#: The cluster sees its own file systems there.
HIDDEN = (Path("/proc"), Path("/sys"), Path("/run"), Path("/dev"))


@dataclass(frozen=True)
class Place:
    """The two folders of a cluster, absolute and without links."""

    cache: Path
    run: Path

    @property
    def programs(self) -> Path:
        """One name per built program."""
        return self.cache / "bin"

    @property
    def lock(self) -> Path:
        """Held by whoever changes anything in these folders."""
        return self.cache / "lock"

    @property
    def kubeconfig(self) -> Path:
        return self.run / "kubeconfig"

    @property
    def journal(self) -> Path:
        return self.run / "journal"

    @property
    def keys(self) -> Path:
        return self.run / "keys"

    @property
    def logs(self) -> Path:
        return self.run / "log"

    @property
    def containerd(self) -> Path:
        """The socket of containerd. Reachable from outside the cluster's network, because it is a file."""
        return self.run / "containerd.sock"

    @property
    def name(self) -> str:
        """The name of this cluster's control groups: one per run folder."""
        return "tre-cluster-" + hashlib.sha256(str(self.run).encode()).hexdigest()[:8]


def place() -> Place:
    """The place that the environment names. Raises InvalidInput where the cluster could not see its own folder."""
    cache = Path(os.environ.get(VARIABLE) or Path.home() / ".cache" / "tre-cluster").resolve()
    found = Place(cache, Path(os.environ.get(RUN) or cache / "run").resolve())
    for mine, field in ((found.cache, VARIABLE), (found.run, RUN), (CHECKOUT, "")):
        for folder in HIDDEN:
            if mine.is_relative_to(folder):
                raise InvalidInput(
                    f"{mine} lies below {folder}, where the cluster has file systems of its own",
                    field=field,
                    hint="Choose a folder on a disk.",
                )
    return found
