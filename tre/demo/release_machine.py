"""The machine's part of the journey where the platform is a release on a cluster: by kubectl, as its administrator.

Decides how each is done in the pods: programs of Python run in those that have one, everything else is asked of the API
server. What no pod may show is looked for in all of them, in their logs, and in what the API server tells of them.
"""

from __future__ import annotations

import base64
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tre.demo import datasets
from tre.demo.machine import SESSIONS
from tre.demo.secrecy import DOOR_TOKENS, named, platform_secrets
from tre.errors import TreError
from tre.workspaces.kubernetes.names import INSTALLATION, WORKSPACE

if TYPE_CHECKING:
    from tre.demo.release_stage import ReleaseStage

#: Two of them, with everything else, on a node of two processors.
SMALL = ("cpus=0.4", "memory_bytes=2GiB", "home_bytes=1GiB")
#: Parts whose pods have a Python: those of the small profile are among them where they are there.
PARTS = ("deployment/tre-api", "deployment/tre-worker", "deployment/tre-controller", "deployment/tre-hub")
MORE_PARTS = ("deployment/tre-guard", "deployment/tre-intake", "deployment/tre-checker")
SERVERS = ("statefulset/tre-postgres-state", "statefulset/tre-postgres-data", "statefulset/tre-openbao")
#: A pod of the project differs from a sandbox in what can be tried from inside; nine are through the guard.
FEWEST_PROBES = 44

LOAD = """
import csv, io, sys, psycopg
from tre.demo import datasets
from tre.settings import Settings
rows = list(csv.reader(io.StringIO(sys.stdin.read())))
print(datasets.load_rows(Settings.load().data_conninfo("tre_admin"), "rand", rows[0], rows[1:]))
"""
PLACE = """
import base64, sys
from tre.settings import Settings
folder = Settings.load().state / "incoming" / sys.argv[1] / sys.argv[2]
folder.mkdir(parents=True, exist_ok=True)
(folder / sys.argv[3]).write_bytes(base64.b64decode(sys.stdin.read()))
"""
#: What no part does: bytes are put where others lie, past the store, in its folder or its bucket.
STORED = """
import base64, sys
from tre.api.platform import content_store
from tre.settings import Settings
shelf, digest = content_store(Settings.load()).shelf, sys.argv[1]
"""
READ = (
    STORED
    + """
with shelf.open(digest) as pieces:
    print(base64.b64encode(b"".join(pieces)).decode())
"""
)
WRITE = (
    STORED
    + """
content = base64.b64decode(sys.stdin.read())
if hasattr(shelf, "server"):
    import obstore
    from tre.outputs.content.bucket import key_of
    obstore.put(shelf.server, key_of(digest), content, mode="overwrite")
else:
    shelf.path(digest).chmod(0o600)
    shelf.path(digest).write_bytes(content)
"""
)
ROUTES = """
from tre.door.places import Places
from tre.settings import Settings
print(Places(Settings.load()).routes_file.read_text())
"""
PROCESSES = """
import base64, json, pathlib
found = {}
for path in pathlib.Path("/proc").glob("[0-9]*/[ce][mn][dv]*"):
    if path.name in ("cmdline", "environ"):
        try:
            found[str(path)] = base64.b64encode(path.read_bytes()).decode()
        except OSError:
            pass
print(json.dumps(found))
"""
COUNT = f"""
import psycopg
from tre.settings import Settings
with psycopg.connect(Settings.load().data_conninfo("tre_admin"), autocommit=True) as connection:
    print(connection.execute({SESSIONS!r}).fetchone()[0])
"""
ON_THE_WAY = """
import psycopg
from tre.settings import Settings
question = "select count(*) from extract e left join carriage c on c.extract_id = e.id"
question += " join data_grant g on g.id = e.grant_id where e.state = 'ready'"
question += " and g.delivery <> 'database' and c.state is distinct from 'placed'"
with psycopg.connect(Settings.load().state_conninfo("tre_app")) as connection:
    print(connection.execute(question).fetchone()[0])
"""
LOGIN = """
import json, sys, psycopg
from psycopg.conninfo import make_conninfo
try:
    psycopg.connect(make_conninfo(**json.loads(sys.stdin.read()))).close()
    print("works")
except psycopg.OperationalError as error:
    print("refused" if "authentication failed" in str(error) else error)
"""


@dataclass
class ReleaseMachine:
    """Everything runs in pods."""

    stage: ReleaseStage
    _held: str = ""

    def bring_data(self) -> int:
        """A controller's table into the data server, another's files into the incoming folder."""
        rows = self.stage.inside(LOAD, stdin=datasets.rand_csv())
        with tempfile.TemporaryDirectory() as folder:
            made = datasets.write_rossi(Path(folder), "justice-lab")
            for file in sorted(made.iterdir()):
                content = base64.b64encode(file.read_bytes()).decode()
                self.stage.inside(PLACE, "justice-lab", made.name, file.name, stdin=content)
        return int(rows)

    def allow_small_workspaces(self) -> None:
        """A pod's memory and processors are set aside before it starts."""
        self.stage.tre("ada", "workspace", "policy", "set", *SMALL, "--reason", "A small node.")

    def wait_for_data(self, seconds: float) -> bool:
        """In the projects' volumes."""
        until = time.monotonic() + seconds
        while self.stage.inside(ON_THE_WAY).strip() != "0":
            if time.monotonic() > until:
                return False
            time.sleep(0.5)
        return True

    def inside(self) -> tuple[str, int, str]:
        service = self.stage.asked("get", "service", "tre-proxy")
        return str(service["spec"]["clusterIP"]), 8000, "/var/lib/tre/state"

    def change_stored(self, digest: str, old: bytes, new: bytes) -> bytes:
        kept = base64.b64decode(self.stage.inside(READ, digest))
        self.put_stored(digest, kept.replace(old, new, 1))
        return kept

    def put_stored(self, digest: str, content: bytes) -> None:
        self.stage.inside(WRITE, digest, stdin=base64.b64encode(content).decode())

    def secrets(self) -> dict[bytes, str]:
        found: dict[bytes, str] = {}
        with tempfile.TemporaryDirectory() as folder:
            for name in ("tre-door", "tre-logins"):
                for key, value in self.stage.asked("get", "secret", name)["data"].items():
                    (Path(folder) / key).write_bytes(base64.b64decode(value))
            found |= platform_secrets(Path(folder))
        routes = json.loads(self.stage.inside(ROUTES, part="deployment/tre-guard"))
        return found | {route[name].encode(): f"{name} of {route['user']}" for route in routes for name in DOOR_TOKENS}

    def shown(self, known: Mapping[bytes, str]) -> Iterator[str]:
        """In every process of our pods, every log, and everything that the API server tells but Secrets."""
        for part in (*PARTS, *MORE_PARTS, *self._servers()):
            for path, content in json.loads(self.stage.inside(PROCESSES, part=part)).items():
                for name in named(known, base64.b64decode(content)):
                    yield f"{name} in {path} of {part}"
        for space in (self.stage.namespace, *self._spaces()):
            for pod in self.stage.asked("get", "pods", namespace=space)["items"]:
                own = pod["metadata"]["name"]
                log = self.stage.kube("logs", own, "--all-containers", "--ignore-errors", namespace=space)
                for name in named(known, log.encode()):
                    yield f"{name} in the log of {own}"
            told = self.stage.kube("get", "all,configmaps,events,networkpolicies", "--output=json", namespace=space)
            for name in named(known, told.encode()):
                yield f"{name} in what the API server tells of {space}"

    def _servers(self) -> tuple[str, ...]:
        there = self.stage.kube("get", "statefulsets", "--output=name").replace(".apps", "").split()
        return tuple(server for server in SERVERS if server in there)

    def _spaces(self) -> list[str]:
        """The projects' namespaces."""
        label = f"--selector={INSTALLATION}={self.stage.namespace}"
        listed = self.stage.asked("get", "namespaces", label)["items"]
        return [each["metadata"]["name"] for each in listed]

    def hold(self, workspace: str) -> int:
        self._held = workspace
        return len(self._pods())

    def left(self, seconds: float) -> list[str]:
        until = time.monotonic() + seconds
        while (left := self._pods()) and time.monotonic() < until:
            time.sleep(0.2)
        return left

    def _pods(self) -> list[str]:
        """The workspace's pod, and its Secret."""
        label = f"--selector={WORKSPACE}={self._held}"
        return self.stage.kube("get", "pods,secrets", "--all-namespaces", label, "--output=name").split()

    def sessions(self) -> int:
        return int(self.stage.inside(COUNT))

    def login_works(self, login: Mapping[str, str]) -> bool:
        """Tried from the control plane, which reaches the server."""
        said = self.stage.inside(LOGIN, stdin=json.dumps(dict(login))).strip()
        if said not in ("works", "refused"):
            raise TreError(f"The data server: {said}")
        return said == "works"

    def verify(self, workspace: str) -> tuple[int, Mapping[str, Any]]:
        """Every way out of the project of a workspace, from a pod of nobody beside it, and through the guard, asked in
        its own pod; by the commands, as people do.
        """
        found = self.stage.asked_at_the_guard(workspace)
        report = self.stage.tre("machine", "verify", workspace, "--door", "-", stdin=found)
        return FEWEST_PROBES, {**report, "left_out": [], "absent": report["left_out"]}
