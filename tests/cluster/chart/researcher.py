"""A researcher with a running workspace on a release: people, a dataset in the data server, a project, and Lab open.

All of it as people do it, by commands and through the proxy; the table alone is made inside, as its custodian would.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from tre.demo.browser import Browser
from tre.demo.governance import Governance
from tre.demo.kernel import Kernel
from tre.demo.release_stage import ReleaseStage
from tre.settings import Settings
from tre.stack.ports import free_ports
from tre.workspaces.kubernetes.names import namespace_of

from .release import Release

NAME = "rhea"
#: Some of them fit on a node of two processors.
SMALL = ("cpus=0.2", "memory_bytes=512MiB", "home_bytes=1GiB")
MAKE_TABLE = """
import psycopg
from tre.data.table import schema_of
from tre.settings import Settings
with psycopg.connect(Settings.load().data_conninfo("tre_admin")) as connection:
    connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema_of("rand")}"')
    connection.execute(f'CREATE TABLE "{schema_of("rand")}".visits (record integer, visits integer)')
    connection.execute(f'INSERT INTO "{schema_of("rand")}".visits SELECT n, n % 3 FROM generate_series(1, 60) n')
"""
COUNT = """
import pandas, psycopg
with psycopg.connect("service=project") as connection:
    print(len(pandas.read_parquet("/data/visits")), connection.execute("select count(*) from visits").fetchone()[0])
"""
ASK_STATE = """
import sys, psycopg
from tre.settings import Settings
with psycopg.connect(Settings.load().state_conninfo("tre_app")) as connection:
    print(*(connection.execute(sys.argv[1]).fetchone() or ["none"]))
"""
SUBMIT = """
import matplotlib, pandas, psycopg, output_checks as oc, release
matplotlib.use("Agg"); import matplotlib.pyplot as plt
with psycopg.connect("service=project") as connection:
    found = connection.execute("select * from visits")
    frame = pandas.DataFrame(found.fetchall(), columns=[column.name for column in found.description])
spec = {"rows": ["visits"], "unit": "record"}
oc.check(oc.TableSpec.from_dict(spec), frame).suppress().write_csv("visits.csv")
figure, axis = plt.subplots(figsize=(4, 3)); axis.bar(["a", "b"], [20, 40]); figure.savefig("visits.png", dpi=80)
tables = {"visits.csv": release.Table("visits", spec, frame)}
about = dict(title="Visits", context="Table 1 and figure 1 of the report.", controls="Threshold 10.")
print(release.submit(["visits.csv", "visits.png"], tables=tables, despite_findings=True, **about).request)
"""
DATASET: dict[str, Any] = {
    "slug": "visits",
    "title": "Visits",
    "description": "Visits to doctors.",
    "organisation": "rand",
    "legal_basis": "Public.",
    "terms": "Research.",
    "sensitivity": "de-personalised",
    "source_kind": "postgres",
    "source": {"table": "visits"},
    "units": ["record"],
    "variables": {"record": {"description": "Person"}, "visits": {"description": "Visits in the year"}},
}


def proposal(slug: str) -> dict[str, Any]:
    reasons = ("purpose", "public_benefit", "legal_basis", "risk_of_sharing", "cost_of_withholding")
    return {
        "slug": slug,
        "title": "Visits to doctors",
        **dict.fromkeys(reasons, "As in the protocol."),
        "end_date": str(date.today() + timedelta(days=300)),
        "datasets": [{"dataset": "visits", "columns": ["record", "visits"]}],
    }


@dataclass
class Researcher:
    """`project` has a name that no other test has."""

    stage: ReleaseStage
    project: str
    browser: Browser = field(init=False)
    kernel: Kernel = field(init=False)

    def settle_in(self) -> None:
        """Everything up to the gate, on a new release: it is open for the researcher."""
        self.people()
        self.join()

    def people(self) -> None:
        """Who is there, and the data that they bring."""
        governance = Governance(self.stage, {})
        governance.bootstrap()
        governance.standings()
        self.stage.inside(MAKE_TABLE)
        for username in ("cora", NAME):
            self.stage.login(username)
        self.stage.tre("cora", "dataset", "register", self._file("visits", DATASET))
        self.stage.tre("ada", "workspace", "policy", "set", *SMALL, "--reason", "A small node.")

    def join(self) -> None:
        """The project, with its data."""
        self.stage.tre(NAME, "project", "propose", self._file("proposal", proposal(self.project)))
        self.stage.tre("ada", "project", "approve", self.project, "--reason", "Worth it.")
        until = ("--until", str(date.today() + timedelta(days=200)))
        given = ("--delivery", "both", *until, "--reason", "It fits.")
        self.stage.tre("cora", "grant", "give", self.project, "visits", *given)
        self.stage.tre(NAME, "project", "agree", self.project, "--yes")
        self.wait_for_the_extract()

    def wait_for_the_extract(self, seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while {each["state"] for each in self.stage.tre("cora", "extract", "list")} != {"ready"}:
            assert time.monotonic() < until, self.stage.tre("cora", "extract", "list")
            time.sleep(0.5)

    def open(self) -> None:
        """Lab, through proxy and guard, and a kernel in the workspace."""
        self.sign_in()
        self.wait_for_the_volume()
        self.start()

    def sign_in(self) -> None:
        self.browser = Browser(self.stage.url, self.stage.accounts[NAME])
        self.browser.sign_in()

    def start(self) -> None:
        base = self.browser.open_workspace(self.project, seconds=120)
        self.kernel = Kernel(self.browser, base)

    def wait_for_the_volume(self, seconds: float = 120) -> None:
        """Until the extract is in it, no workspace starts, and the page says why."""
        if not self.stage.machine.wait_for_data(seconds):
            state = self.stage.inside(ASK_STATE, "SELECT state, attempts, reason FROM carriage WHERE state <> 'placed'")
            raise AssertionError((state, self.stage.kube("logs", "deployment/tre-controller", "--tail=30")))

    def leave(self) -> None:
        """The workspace of this project ends, and everybody has heard of it."""
        live = self.stage.tre("ada", "workspace", "list", "--live")
        (mine,) = [each["id"] for each in live if each["project"] == self.project]
        self.stage.tre(NAME, "workspace", "stop", mine)
        self.stage.machine.hold(mine)
        assert self.stage.machine.left(seconds=60) == []
        until = time.monotonic() + 30
        while mine in self.live():
            assert time.monotonic() < until
            time.sleep(0.5)

    def says(self, code: str) -> str:
        return self.kernel.must(code).text.strip()

    def says_again(self, code: str, seconds: float = 90) -> str:
        """The same after the parts between were replaced: the page connects again until it is let in."""
        until = time.monotonic() + seconds
        while True:
            try:
                self.kernel.connect()
                return self.says(code)
            except Exception:
                if time.monotonic() > until:
                    raise
                time.sleep(1)

    def rows(self) -> str:
        """Of the project's volume, and of its database by the login that lives as long as the workspace."""
        return self.says(COUNT)

    def submits(self) -> dict[str, Any]:
        """A table and a picture; the request when it has been checked."""
        return self.checked(self.submit())

    def submit(self) -> str:
        return self.says(SUBMIT).split()[-1]

    def checked(self, request: str, seconds: float = 90) -> dict[str, Any]:
        until = time.monotonic() + seconds
        while True:
            found: dict[str, Any] = self.stage.tre(NAME, "request", "show", request)
            if found["state"] not in ("submitted", "checking"):
                return found
            assert time.monotonic() < until, found
            time.sleep(0.5)

    def live(self) -> list[str]:
        return [each["id"] for each in self.stage.tre("ada", "workspace", "list", "--live")]

    def _file(self, name: str, body: Any) -> str:
        path = Path(self.stage.desk) / f"{name}.json"
        path.write_text(json.dumps(body))
        return str(path)


#: Makes the release's port for people be at the stage's.
Way = Callable[[ReleaseStage], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def researcher_on(release: Release, folder: Path, way: Way = ReleaseStage.forwarded) -> Iterator[Researcher]:
    """In a project of a new name, with volumes for it; the release is reached until the end."""
    kubeconfig = Path(release.kubectl.environment["KUBECONFIG"])
    kubectl = (*release.kubectl.command, f"--kubeconfig={kubeconfig}")
    settings = Settings(state=folder / "state", run=Path(f"/tmp/tre-{release.space.name}"), port=free_ports(1))
    stage = ReleaseStage(settings, folder=folder, namespace=release.space.name, kubectl=kubectl, kubeconfig=kubeconfig)
    with way(stage):
        stage.wait_until_people_can_come()
        yield another(release, stage)


HOME = f"home-{NAME}"


def another(release: Release, stage: ReleaseStage, claims: Sequence[str] = (HOME, "data")) -> Researcher:
    """The same person in one more project, for which there are these volumes."""
    found = Researcher(stage, f"w{secrets.token_hex(4)}")
    release.provide(namespace_of(release.space.name, found.project), *claims)
    return found
