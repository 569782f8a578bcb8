"""Traps laid from inside a sandbox of this machine, also where only a broken guard looks, and asked for.

Decides where they lie: wherever a Jupyter server gives out files, so that their content tells whether it came out.
Leaves asking to `guard`, running things inside to the runtime.
"""

from __future__ import annotations

from tre.door.places import Places
from tre.door.probes.guard import COUNT, Door, Trap, attempts, could_not_run
from tre.door.probes.owner import through_the_proxy
from tre.errors import TreError
from tre.workspaces.probes.report import Result
from tre.workspaces.runtime import SandboxRuntime
from tre.workspaces.sandbox.host import ENVIRONMENT

# Lays the marker wherever a Jupyter server would look for files, or takes it away again.
TRAPS = """
import json, os, shutil, sys
verb, trap, marker = sys.argv[1:]
share = "/home/researcher/.local/share/jupyter"
folders = [f"{share}/kernels/{trap}", f"{share}/labextensions/{trap}"]
files = {f"/home/researcher/{trap}.txt": marker, **{f"{folder}/{trap}.txt": marker for folder in folders}}
cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": marker}
notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
files[f"/home/researcher/{trap}.ipynb"] = json.dumps(notebook)
files[f"{folders[0]}/kernel.json"] = json.dumps({"argv": ["x"], "display_name": "x", "language": "x"})
if verb == "lay":
    for folder in folders:
        os.makedirs(folder)
    for path, text in files.items():
        with open(path, "x") as stream:
            stream.write(text)
else:
    for path in files:
        if os.path.exists(path):
            os.unlink(path)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
"""


def as_the_owner(runtime: SandboxRuntime, places: Places, workspace_id: str, other_id: str) -> list[Result]:
    """Every family of addresses of a running workspace; what cannot be asked could not run."""
    try:
        return through_the_door(runtime, through_the_proxy(places, workspace_id, other_id))
    except TreError as error:
        return could_not_run(workspace_id, error.message)


def through_the_door(runtime: SandboxRuntime, door: Door, *, count: int = COUNT) -> list[Result]:
    """Lay the traps inside, ask for them in every way, take them away."""
    trap, state = Trap(), {"workspace_id": door.workspace_id}
    program = [f"{ENVIRONMENT}/bin/python", "-I", "-c", TRAPS]
    try:
        laid = runtime.exec_in(state, [*program, "lay", trap.name, trap.marker])
        problem = laid.stderr.decode(errors="replace")[-300:] if laid.returncode else ""
    except TreError as error:
        problem = error.message
    try:
        return attempts(door, trap, count=count, problem=problem)
    finally:
        runtime.exec_in(state, [*program, "remove", trap.name, trap.marker])
