"""Pins what is built: `python -m tests.cluster.machine.pin` writes every go.mod and go.sum below tests/cluster/go anew.

Run it after a change of a version, below or in build, with a connection to Go's module proxy. Go takes `replace` lines
from the main module only, and both Kubernetes and Cilium have some: they are repeated here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .build import CILIUM, CILIUM_VERSION, KUBERNETES_VERSION, KWOK, MODULES, VAULT, VERSITYGW, Module, go
from .progress import say

COREDNS = "v1.15.0"
HELM = "v3.21.4"
CYCLONUS = "v0.5.6"
KWOK_VERSION = "v0.8.0"
VERSITYGW_VERSION = "v1.8.0"
#: The newest whose requirements, without its `replace` lines, are what it is written for.
VAULT_VERSION = "v1.21.1"
#: Their development tools, which are not to be had as modules and are in no program.
NOT_NEEDED = ("controller-tools", "cilium/linters", "deepequal-gen", "mcs-api/conformance")
#: They require a commit of it that the module proxy does not have; its release does.
GOBGP = ("github.com/osrg/gobgp/v4", "v4.8.0")


def theirs(path: str, version: str, folder: Path) -> Mapping[str, Any]:
    """Their go.mod, as `go mod edit -json` tells it."""
    module = json.loads(go("mod", "download", "-json", f"{path}@{version}", folder=folder))
    found: Mapping[str, Any] = json.loads(go("mod", "edit", "-json", module["GoMod"], folder=folder))
    return found


def begin(module: Module, language: str = "") -> None:
    """A go.mod of ours with nothing in it."""
    for name in ("go.mod", "go.sum"):
        (module.home / name).unlink(missing_ok=True)
    (module.home / "go.mod").write_text(f"module testcluster/{module.name}\n" + (f"\ngo {language}\n" * bool(language)))


def edit(module: Module, *changes: str) -> None:
    go("mod", "edit", *changes, folder=module.home)


def kubernetes(module: Module) -> None:
    """The parts that lie in their repository (v0.0.0 there) are released on their own, as v0 of the same number."""
    path = "k8s.io/kubernetes"
    staged = "v0" + KUBERNETES_VERSION.removeprefix("1")
    found = theirs(path, f"v{KUBERNETES_VERSION}", module.home.parent)
    begin(module, found["Go"])
    parts = [part["Path"] for part in found["Require"] if part["Version"] == "v0.0.0"]
    edit(module, f"-require={path}@v{KUBERNETES_VERSION}", *(f"-replace={part}={part}@{staged}" for part in parts))
    go("mod", "tidy", folder=module.home)


def cilium(module: Module) -> None:
    found = theirs(CILIUM, f"v{CILIUM_VERSION}", module.home.parent)
    begin(module, found["Go"])
    changes = [f"-require={CILIUM}@v{CILIUM_VERSION}", f"-replace={GOBGP[0]}={GOBGP[0]}@{GOBGP[1]}"]
    for part in found["Require"]:
        if not any(name in part["Path"] for name in NOT_NEEDED):
            version = GOBGP[1] if part["Path"] == GOBGP[0] else part["Version"]
            changes.append(f"-require={part['Path']}@{version}")
    for rule in found.get("Replace") or ():
        if rule["Old"]["Path"] != GOBGP[0] and not any(name in rule["Old"]["Path"] for name in NOT_NEEDED):
            changes.append(f"-replace={rule['Old']['Path']}={rule['New']['Path']}@{rule['New']['Version']}")
    edit(module, *changes, *(f"-tool={package}" for package in module.programs.values()))
    # Not `tidy`: it wants the tests of everything, and those are not all to be had.
    go("list", "-mod=mod", "-deps", *module.programs.values(), folder=module.home)


def coredns(module: Module) -> None:
    begin(module)
    edit(module, f"-require=github.com/coredns/coredns@{COREDNS}")
    go("mod", "tidy", folder=module.home)


def helm(module: Module) -> None:
    tool(module, HELM)


def cyclonus(module: Module) -> None:
    tool(module, CYCLONUS)


def kwok(module: Module) -> None:
    tool(module, KWOK_VERSION)


def versitygw(module: Module) -> None:
    tool(module, VERSITYGW_VERSION)


def vault(module: Module) -> None:
    """Not `tidy`: as for Cilium."""
    begin(module)
    get(module, VAULT_VERSION)


def tool(module: Module, version: str) -> None:
    begin(module)
    get(module, version)
    go("mod", "tidy", folder=module.home)


def get(module: Module, version: str) -> None:
    (package,) = module.programs.values()
    go("get", "-tool", f"{package}@{version}", folder=module.home)


WAYS: Mapping[str, Callable[[Module], None]] = {
    "kubernetes": kubernetes,
    "cilium": cilium,
    "coredns": coredns,
    "helm": helm,
    "cyclonus": cyclonus,
    "kwok": kwok,
    "versitygw": versitygw,
    "vault": vault,
}


def main() -> None:
    for module in (*MODULES, KWOK, VERSITYGW, VAULT):
        if module.name in WAYS:
            WAYS[module.name](module)
            say(f"{module.name} is pinned")


if __name__ == "__main__":
    main()
