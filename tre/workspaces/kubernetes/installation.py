"""The installation's values for projects, from `[projects]` of the cluster's file.

Decides how a table of TOML becomes the `Cluster` that every builder takes: unknown keys and wrong kinds are named.
Leaves what makes values acceptable to `cluster`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from tre.errors import InvalidInput
from tre.settings import Settings
from tre.workspaces.kubernetes.cluster import Addresses, Cluster, Gpu, Mirror, Pods, Storage

Part = TypeVar("Part")


def cluster_of(settings: Settings) -> Cluster:
    """Raises `InvalidInput` that names the key."""
    if settings.cluster is None:
        raise InvalidInput("This is no cluster.", field="TRE_CLUSTER", hint="TRE_CLUSTER names the cluster's file.")
    return replace(read(settings.cluster.projects), intake_url=settings.intake_url)


def read(values: Mapping[str, Any]) -> Cluster:
    given = dict(values)
    for name in ("guard", "intake", "dns"):
        if name in given:
            given[name] = _made(Pods, given[name], name)
    if "database" in given:
        pods = isinstance(given["database"], dict) and "labels" in given["database"]
        given["database"] = _made(Pods if pods else Addresses, given["database"], "database")
    if "mirror" in given:
        given["mirror"] = _made(Mirror, given["mirror"], "mirror")
    if "storage" in given:
        given["storage"] = _made(Storage, given["storage"], "storage")
    if "gpu" in given:
        given["gpu"] = _made(Gpu, given["gpu"], "gpu")
    return _made(Cluster, {"database": None, "mirror": None, **given}, "projects")


def _made(kind: type[Part], values: object, name: str) -> Part:
    if not isinstance(values, dict):
        raise InvalidInput("This is to be a table.", field=name)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(values.keys() - fields.keys()):
        raise InvalidInput(f"There is no key {unknown[0]!r} here.", field=f"{name}.{unknown[0]}")
    needed = (one for one in fields.values() if one.default is one.default_factory is dataclasses.MISSING)
    if missing := [one.name for one in needed if one.name not in values]:
        raise InvalidInput("This is missing.", field=f"{name}.{missing[0]}")
    return kind(**{key: _value(str(fields[key].type), value, f"{name}.{key}") for key, value in values.items()})


def _value(wanted: str, value: object, name: str) -> object:
    """The dataclasses spell their types as text (`from __future__ import annotations`)."""
    if wanted == "Labels":
        return tuple(sorted(_texts(value, name).items()))
    if wanted == "frozenset[str]":
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise InvalidInput("This is to be a list of texts.", field=name)
        return frozenset(value)
    kinds: dict[str, type] = {"str": str, "PullPolicy": str, "AccessMode": str, "int": int, "bool": bool}
    kind = kinds.get(wanted)
    if kind is not None and type(value) is not kind:
        raise InvalidInput(f"This is to be {'a text' if kind is str else kind.__name__}.", field=name)
    return value


def _texts(value: object, name: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise InvalidInput("This is to be a table of texts.", field=name)
    return value
