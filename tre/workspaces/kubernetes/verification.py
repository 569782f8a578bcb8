"""The walls of a project on a cluster, tried from inside a pod that is as a workspace's.

Decides what is tried and what makes a verdict. The pod is of nobody: it has the image, the walls and the labels of a
workspace, an empty home, a login to the project's database of its own, and a token for the intake that names nobody.
What it saw is in its status: nobody needs a right to read logs. Leaves what is aimed at to `aims`, what is refused at
admission to `sieges`, the attempts to `probes.inside`.
"""

from __future__ import annotations

import base64
import importlib
import json
import platform as machine
import secrets
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tre.errors import Conflict, NotFound, TreError, Unavailable
from tre.workspaces.kubernetes import life
from tre.workspaces.kubernetes.aims import OPTIONAL, Aims, Surroundings, real_aims
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.cluster import Cluster
from tre.workspaces.kubernetes.content import POD, SECRET
from tre.workspaces.kubernetes.names import namespace_of, workspace_of
from tre.workspaces.kubernetes.namespace import Object
from tre.workspaces.kubernetes.pod import workspace_pod
from tre.workspaces.kubernetes.proving import over, ready_nodes, wait_for
from tre.workspaces.kubernetes.secret import workspace_secret
from tre.workspaces.kubernetes.sieges import admission
from tre.workspaces.plan import LaunchPlan, Limits
from tre.workspaces.probes import verify as embedded
from tre.workspaces.probes.inside.attempt import ATTEMPTS
from tre.workspaces.probes.report import Report, Result, Verdict
from tre.workspaces.sandbox.seccomp import TABLES

importlib.import_module(f"{embedded.INSIDE}.pod")
MODULES = ("attempt", "network", "kernel", "processes", "files", "credentials", "pod")
#: Of the sandbox's attempts those whose wall a pod has as well: one file system and its network apart, nearly all.
SHARED = (
    "system-sockets", "vsock", "packet-socket", "netlink", "kernel-crypto-socket", "raw-socket", "any-other-family",
    "family-in-upper-half", "dns-by-name", "host-homes", "host-root-home", "write-to-environment",
    "write-to-our-programs", "write-to-system", "make-device", "make-setuid", "mount", "new-mount-calls",
    "unshare-user", "clone-user", "clone3-user", "unshare-any", "setns", "ptrace", "other-process-memory",
    "key-rings", "bpf", "watch-shared-files", "lease-file", "io-uring", "perf", "userfaultfd", "kernel-modules",
    "file-handles", "machine-administration", "system-v-ipc", "terminal-injection", "personality", "x32-calls",
    "compatibility-calls", "capabilities", "filter-present", "secrets-in-sight", "inherited-descriptors",
    "raise-limits", "file-too-large", "fork-bomb",
)  # fmt: skip
#: And those at the project's database.
AT_THE_DATABASE = (
    "other-databases", "database-superuser", "database-rights", "database-files", "database-programs",
    "database-locks", "database-disk", "database-network",
)  # fmt: skip
#: And those at the intake. That a token is another workspace's is no attempt here: it alone says whose it is.
AT_THE_INTAKE = ("no-token", "expired-token", "unsigned-token", "public-key-as-secret", "changed-claims")
LIMITS = Limits(
    memory_bytes=256 << 20, cpus=0.1, processes=64, file_bytes=1 << 20, home_bytes=1 << 30, max_age_seconds=300
)
SECONDS = 240.0
#: What a pod's status keeps of its last words.
WORDS = 4096
#: As the image's own start program does, with what the image has for it.
CONFINE = """
sys.path.insert(0, "/opt/tre/start")
import confine
with open("/run/server/settings.json") as stream:
    confine.confine(json.load(stream))
"""
BOOTSTRAP = f"""
import base64, io, json, os, sys, types, zlib
{CONFINE}
sent = json.loads(zlib.decompress(base64.b64decode(sys.argv[1])))
for name in sent["files"]:
    with open("/run/tre/" + name) as stream:
        sent["given"][name.replace(".", "_")] = stream.read()
if "database" in sent["given"]:
    import psycopg  # once, and not in each attempt's own process
sys.stdout = io.StringIO()
{embedded.RUN_SENT}
answers = [json.loads(line) for line in sys.stdout.getvalue().splitlines()]
for longest in (500, 200, 80, 30, 10, 0):
    short = [[one["name"], one["verdict"], one["detail"][:longest]] for one in answers]
    words = base64.b64encode(zlib.compress(json.dumps(short).encode(), 9))
    if len(words) <= {WORDS}:
        break
with open("/dev/termination-log", "wb") as stream:
    stream.write(words)
"""


class BrokenOff(TreError):
    """Whoever tried may not go on; the next one begins anew."""


@dataclass(frozen=True)
class Intake:
    """What is tried at the intake: a token that names nobody and must be taken for sound, an expired one of the
    workspace, the public key.
    """

    nobodys_token: str = field(repr=False)
    expired_token: str = field(repr=False)
    public_key: str

    @property
    def files(self) -> dict[str, str]:
        """What the attempts are told beside the pod's arguments, which everybody may read."""
        return {"expired.token": self.expired_token, "public.key": self.public_key}


@dataclass(frozen=True)
class Login:
    """A login of nobody's to the project's own database, as files, and the roles that it may take."""

    files: Mapping[str, str] = field(repr=False)
    own_roles: tuple[str, ...]


@dataclass(frozen=True)
class Trial:
    """One verification: the name of its pod among the project's workspaces, what surrounds it, who hears how it goes.
    `shown` hears the pod's uid as soon as there is one, `goes_on` says whether to go on.
    """

    project: str
    probe: str = field(default_factory=lambda: f"probe-{secrets.token_hex(6)}")
    around: Surroundings = field(default_factory=Surroundings)
    intake: Intake | None = None
    login: Login | None = None
    said: Callable[[str], object] = lambda how: None
    shown: Callable[[str], object] = lambda uid: None
    goes_on: Callable[[], bool] = lambda: True

    def check(self) -> None:
        """Raises `BrokenOff`."""
        if not self.goes_on():
            raise BrokenOff("Whoever tried the walls may not go on.")

    def step(self, how: str) -> None:
        self.check()
        self.said(how)


def verify(cluster: Cluster, api: Api, trial: Trial) -> Report:
    """Raises `BrokenOff`, and `Unavailable` where no pod can be had in the project's namespace or somebody ended it."""
    # It computes nothing.
    cluster = replace(cluster, gpu=None)
    trial.step("by asking what answers at all")
    aims = real_aims(cluster, api, trial.project, trial.around)
    absent = sorted(OPTIONAL - aims.keys())
    own = [name for name, one in ATTEMPTS.items() if name.startswith("pod-") and one.needs[4:] not in absent]
    names = [*own, *SHARED, *(AT_THE_INTAKE if trial.intake else ()), *(AT_THE_DATABASE if trial.login else ())]
    plan = nobody(trial, tuple(node.name for node in ready_nodes(api)))
    trial.step("from inside a pod as a workspace's")
    with running(cluster, api, plan, payload(names, aims, trial.intake, trial.login), trial) as pod:
        answers = answers_of(pod)
    results = [judged(name, plan, aims, answers) for name in names]
    trial.step("at admission")
    left_out = [f"{name} (nobody gets an answer)" for name in absent]
    if trial.intake is None:
        left_out.append("intake tokens (no intake was named)")
    if trial.login is None:
        left_out.append("database roles (the project has no database)")
    return Report((*results, *admission(cluster, api, plan)), tuple(left_out))


def nobody(trial: Trial, nodes: tuple[str, ...]) -> LaunchPlan:
    """A plan as a workspace's, for a pod that holds nothing of anybody."""
    files = {**(trial.intake.files if trial.intake else {}), **(trial.login.files if trial.login else {})}
    return LaunchPlan(
        workspace_id=trial.probe,
        person="nobody",
        project=trial.project,
        home="/nowhere",
        base_url=f"/user/nobody/{trial.project}/",
        intake_socket="/nowhere/intake.sock",
        jupyter_token=secrets.token_hex(32),
        secrets={"intake.token": trial.intake.nobodys_token if trial.intake else "none", **files},
        limits=LIMITS,
        nodes=nodes,
    )


def probe_pod(cluster: Cluster, plan: LaunchPlan, argument: str) -> Object:
    """The workspace's pod, with the attempts as its program and an empty home."""
    made = workspace_pod(cluster, plan)
    container = made["spec"]["containers"][0]
    container |= {"command": [cluster.python, "-I", "-c", BOOTSTRAP], "args": [argument]}
    del container["readinessProbe"]
    for volume in made["spec"]["volumes"]:
        if volume["name"] == "home":
            volume.pop("persistentVolumeClaim")
            volume["emptyDir"] = {"medium": "Memory", "sizeLimit": "16Mi"}
    return made


@contextmanager
def running(cluster: Cluster, api: Api, plan: LaunchPlan, argument: str, trial: Trial) -> Iterator[Object]:
    """The pod when it has ended. Nothing of it stays. Raises `Unavailable` where another came into its place."""
    pod = api.create(POD, probe_pod(cluster, plan, argument))
    uid = pod["metadata"]["uid"]
    try:
        trial.shown(uid)
        api.create(SECRET, workspace_secret(cluster, plan, pod_uid=uid))
        yield _ended(cluster, api, plan, uid, trial)
    finally:
        space, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        # Refused where another has its name: then ours is gone.
        with suppress(Conflict):
            api.delete(POD, space, name, uid=uid)


def _ended(cluster: Cluster, api: Api, plan: LaunchPlan, uid: str, trial: Trial) -> Object:
    space, name = namespace_of(cluster.control_namespace, plan.project), workspace_of(plan.workspace_id)
    last: list[Object] = []

    def has_ended(pod: Object) -> bool:
        trial.check()
        last[:] = [pod]
        if pod["metadata"]["uid"] != uid:
            raise Unavailable("The pod that tried was replaced by another of its name.", hint="Look who may make pods.")
        return over(pod) is not None

    try:
        return wait_for(api, space, name, has_ended, SECONDS)
    except NotFound:
        raise Unavailable("The pod that tried was ended by somebody.", hint="Look who may end pods there.") from None
    except Unavailable as late:
        if last and last[0]["metadata"]["uid"] == uid and last[0]["status"].get("phase") == "Pending":
            raise Unavailable(f"The pod that tries did not start. {life.waits(last[0])}") from late
        raise


def answers_of(pod: Object) -> dict[str, tuple[Verdict, str]]:
    """Verdicts by name, from the pod's last words; what is of another shape counts as none."""
    try:
        found = json.loads(zlib.decompress(base64.b64decode((over(pod) or {}).get("message", ""))))
        lines = [json.dumps(dict(zip(("name", "verdict", "detail"), one, strict=True))) for one in found]
    except (ValueError, TypeError, zlib.error):
        return {}
    return embedded.answers_of("\n".join(lines).encode())


def payload(names: Sequence[str], aims: Aims, intake: Intake | None = None, login: Login | None = None) -> str:
    folder = Path(embedded.__file__).parent / "inside"
    modules = {f"{embedded.INSIDE}.{name}": (folder / f"{name}.py").read_text() for name in MODULES}
    ready = [name for name in names if not _aim(name) or _aim(name) in aims]
    given: dict[str, Any] = {"names": ready, "aims": aims, "calls": dict(TABLES[machine.machine()])}
    given |= {name: getattr(LIMITS, name) for name in ("processes", "file_bytes")}
    given |= {"database": "project", "own_roles": login.own_roles} if login else {}
    sent = {
        "modules": modules,
        "main": f"{embedded.INSIDE}.attempt",
        "given": given,
        "files": sorted(intake.files) if intake else [],
    }
    return base64.b64encode(zlib.compress(json.dumps(sent).encode(), 9)).decode()


def judged(name: str, plan: LaunchPlan, aims: Aims, answers: Mapping[str, tuple[Verdict, str]]) -> Result:
    one = ATTEMPTS[name]
    missing = "nothing of this kind answers anybody" if (aim := _aim(name)) and aim not in aims else "no answer"
    verdict, detail = answers.get(name, ("could_not_run", missing))
    return Result(name, plan.workspace_id, one.wall, one.tries, verdict, detail)


def _aim(name: str) -> str:
    needs = ATTEMPTS[name].needs
    return needs.removeprefix("aim-") if needs.startswith("aim-") else ""
