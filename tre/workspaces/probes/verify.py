"""Running the attempts from inside two workspaces, each with the other as its target, and judging them.

Decides the verdicts: refused, reached, could_not_run; only the first is good. An attempt without a target could not
run; where a workspace has no intake or database at all, the report says that this was left out. What uses up a limit
runs only in the workspace that was asked for: its neighbour is somebody else's. Leaves recording to whoever calls.
"""

from __future__ import annotations

import importlib
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tre.errors import TreError
from tre.workspaces.probes import targets
from tre.workspaces.probes.inside.attempt import ATTEMPTS, Attempt
from tre.workspaces.probes.pulse import Others, watching, workspace_answers
from tre.workspaces.probes.report import Report, Result, Subject, Surroundings, Verdict
from tre.workspaces.runtime import SandboxRuntime
from tre.workspaces.sandbox.host import ENVIRONMENT
from tre.workspaces.sandbox.seccomp import TABLES
from tre.workspaces.sandbox.secret_files import folder_of

INSIDE = "tre.workspaces.probes.inside"
MODULES = ("attempt", "network", "files", "kernel", "processes", "credentials")
for _name in MODULES:
    importlib.import_module(f"{INSIDE}.{_name}")

BOMBS = ("fork-bomb", "memory-bomb", "memory-file-bomb")
SECONDS = 180.0
# What an attempt aims at → what the workspace has to have for it.
OF_INTAKE = frozenset({"intake", "other_token", "expired_token", "public_key"})
OF_DATABASE = frozenset({"database"})

# What the researcher's own processes must not read out of an attempt's memory. Attempts that are told it hide, as
# process 1 does; the others must not, since a process that hides cannot use its own entries in /proc.
SENSITIVE = frozenset({"other_token", "expired_token"})

#: The rest of a program that was `sent` modules as text, which of them is `main`, and what it is `given`.
RUN_SENT = """
for name, text in sent["modules"].items():
    parts = name.split(".")
    for end in range(1, len(parts)):
        package = sys.modules.setdefault(".".join(parts[:end]), types.ModuleType(".".join(parts[:end])))
        package.__path__ = []
    sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name, "exec"), sys.modules[name].__dict__)
sys.modules[sent["main"]].main(sent["given"])
"""

# Makes modules of the text it is sent: nothing on any disk inside is trusted.
BOOTSTRAP = f"""
import ctypes, json, sys, types
if sys.argv[1] == "hidden" and ctypes.CDLL(None).prctl(4, 0, 0, 0, 0) != 0:
    sys.exit("cannot hide")
sent = json.load(sys.stdin)
{RUN_SENT}"""


def verify(
    runtime: SandboxRuntime,
    subject: Subject,
    other: Subject,
    surroundings: Surroundings,
    others: Others,
) -> Report:
    """Run every attempt inside `subject`, and what uses up no limit inside `other`; `others` must go on answering."""
    with targets.opened() as aimed:
        results = one_way(runtime, subject, other, surroundings, aimed, others=others)
        harmless = {one.name for one in of_sandboxes()} - set(BOMBS)
        results += one_way(runtime, other, subject, surroundings, aimed, names=harmless)
    return Report(tuple(results), tuple(words for one in (subject, other) for words in left_out(one)))


def of_sandboxes() -> list[Attempt]:
    """Those that only a pod can make are not among them, wherever they were loaded."""
    return [one for one in ATTEMPTS.values() if not one.name.startswith("pod-")]


def left_out(subject: Subject) -> list[str]:
    """What this workspace does not have."""
    has = {"intake": subject.intake, "database": subject.database}
    return [f"{what} of {subject.workspace_id}" for what, there in has.items() if not there]


def one_way(
    runtime: SandboxRuntime,
    inside: Subject,
    beside: Subject,
    surroundings: Surroundings,
    aimed: targets.Targets,
    *,
    names: Iterable[str] | None = None,
    others: Others | None = None,
) -> list[Result]:
    """Run the attempts inside one workspace, with the other and `aimed` as targets."""
    wanted = None if names is None else frozenset(names)
    gone = (frozenset() if inside.intake else OF_INTAKE) | (frozenset() if inside.database else OF_DATABASE)
    chosen = [one for one in of_sandboxes() if one.needs not in gone and (wanted is None or one.name in wanted)]
    aimed.contacts.clear()
    given = _given(runtime, inside, beside, surroundings, aimed)
    asked = {"neighbour": workspace_answers(runtime, beside)} if others is None else others
    return _run_all(runtime, inside, chosen, given, aimed, asked)


def _given(
    runtime: SandboxRuntime, inside: Subject, beside: Subject, around: Surroundings, aimed: targets.Targets
) -> dict[str, Any]:
    """What the attempts inside are told. No secret of the platform is among it but what they must fail with."""
    own = aimed.given
    secrets = str(folder_of(runtime.run_dir, beside.workspace_id))
    sockets = {**own["sockets"], **around.sockets}
    services = {"canary": own["tcp_loopback"][0], **{name: list(place) for name, place in around.services.items()}}
    optional = {
        "public_key": around.public_key,
        "expired_token": inside.expired_token,
        "intake": inside.intake,
        "database": inside.database,
        "other_token": _token(runtime, beside) if inside.intake else "",
    }
    return {
        **own,
        **{name: value for name, value in optional.items() if value},
        **{name: [list(place) for place in getattr(around, name)] for name in ("outside", "outside_udp", "resolver")},
        "metadata": [list(place) for place in around.metadata],
        "sockets": sockets,
        "services": services,
        "platform_folders": [*own["platform_folders"], *around.platform_folders, str(runtime.run_dir), secrets],
        "own_roles": list(inside.own_roles),
        "own_data_names": sorted(inside.data),
        "own_sockets": _sockets(runtime, inside),
        "other_sockets": [*_sockets(runtime, beside), beside.intake_socket],
        "other_home": beside.home,
        "other_data": sorted(beside.data.values()),
        **{name: getattr(inside.limits, name) for name in ("memory_bytes", "processes", "file_bytes")},
        "calls": dict(TABLES[platform.machine()]),
    }


def _sockets(runtime: SandboxRuntime, subject: Subject) -> list[str]:
    path = runtime.jupyter_socket(subject.state)
    return [str(path), str(path.with_name("probe.sock"))]


def _token(runtime: SandboxRuntime, subject: Subject) -> str:
    return runtime.exec_in(subject.state, ["/bin/cat", "/run/tre/intake.token"]).stdout.decode().strip()


def _run_all(
    runtime: SandboxRuntime,
    inside: Subject,
    chosen: list[Attempt],
    given: dict[str, Any],
    aimed: targets.Targets,
    others: Others,
) -> list[Result]:
    told = [one for one in chosen if one.needs in SENSITIVE]
    quiet = [one for one in chosen if one.name not in BOMBS and one not in told]
    answers = [*run(runtime, inside, quiet, given), *run(runtime, inside, told, given)]
    results = [_seen(result, aimed) for result in answers]
    for bomb in (one for one in chosen if one.name in BOMBS):
        with watching(others, bomb.name, inside.workspace_id) as watched:
            results += run(runtime, inside, [bomb], given)
        results += watched
    return results


def _seen(result: Result, aimed: targets.Targets) -> Result:
    """A target that was contacted was reached, whatever the inside says."""
    needs = ATTEMPTS[result.name].needs
    if result.verdict != "reached" and needs in aimed.contacts:
        return replace(result, verdict="reached", detail="the target was contacted")
    return result


def run(runtime: SandboxRuntime, inside: Subject, chosen: Sequence[Attempt], given: Mapping[str, Any]) -> list[Result]:
    """Run these attempts inside one workspace. Silence, for whatever reason, is `could_not_run`."""
    if not chosen:
        return []
    ready = [one.name for one in chosen if not one.needs or given.get(one.needs) not in (None, "", [], {})]
    hidden = any(one.needs in SENSITIVE for one in chosen)
    told = {key: value for key, value in given.items() if hidden or key not in SENSITIVE}
    folder = Path(__file__).parent / "inside"
    modules = {f"{INSIDE}.{name}": (folder / f"{name}.py").read_text() for name in MODULES}
    sent = {"modules": modules, "main": f"{INSIDE}.attempt", "given": {**told, "names": ready}}
    answers: dict[str, tuple[Verdict, str]] = {}
    problem = "no answer"
    try:
        done = runtime.exec_in(
            inside.state,
            [f"{ENVIRONMENT}/bin/python", "-I", "-c", BOOTSTRAP, "hidden" if hidden else "seen"],
            json.dumps(sent).encode(),
            seconds=SECONDS,
        )
        answers = answers_of(done.stdout)
        problem = done.stderr.decode(errors="replace").strip()[-300:] or problem
    except TreError as error:
        problem = error.message
    missing = {one.name: "no target was given" for one in chosen if one.name not in ready}
    silent: Verdict = "could_not_run"
    return [
        Result(
            one.name, inside.workspace_id, one.wall, one.tries,
            *answers.get(one.name, (silent, missing.get(one.name, problem))),
        )
        for one in chosen
    ]  # fmt: skip


def answers_of(text: bytes) -> dict[str, tuple[Verdict, str]]:
    """Verdicts by name; a line of another shape counts as none."""
    found: dict[str, tuple[Verdict, str]] = {}
    for line in text.splitlines():
        try:
            answer = json.loads(line)
            if answer["verdict"] in ("refused", "reached", "could_not_run"):
                found[answer["name"]] = (answer["verdict"], str(answer["detail"]))
        except (ValueError, KeyError, TypeError):
            continue
    return found
