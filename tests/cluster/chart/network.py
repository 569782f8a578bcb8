"""NetworkPolicies as a table: which part may open which port of which other, where both ends say so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .rendering import Object

PART = "app.kubernetes.io/component"
Line = tuple[str, str, int]


def peer_of(peer: Object) -> str:
    """A part of ours by its name; `projects` for workspaces; a block of addresses as it is."""
    if "ipBlock" in peer:
        return str(peer["ipBlock"]["cidr"])
    labels = peer["podSelector"]["matchLabels"]
    space = peer.get("namespaceSelector", {}).get("matchLabels", {})
    if "kubernetes.io/metadata.name" in space:
        return f"{space['kubernetes.io/metadata.name']}/{labels['k8s-app']}"
    if space:
        assert space == {"tre.example/installation": "tre-system"}
        assert labels == {PART: "workspace"}
        return "projects"
    assert labels.keys() >= {PART, "app.kubernetes.io/name", "app.kubernetes.io/instance"}
    return str(labels[PART])


def lines(policies: list[Object], direction: str, side: str) -> Iterator[Line]:
    for policy in policies:
        selector = policy["spec"]["podSelector"]
        for rule in policy["spec"].get(direction) or []:
            own = selector["matchLabels"][PART]
            for other in [peer_of(peer) for peer in rule[side]] if side in rule else ["everybody"]:
                for port in rule["ports"]:
                    yield (other, own, port["port"]) if direction == "ingress" else (own, other, port["port"])


def table(policies: list[Object]) -> tuple[set[Line], set[Line]]:
    """(what comes in, what goes out), as (from, to, port)."""
    return set(lines(policies, "ingress", "from")), set(lines(policies, "egress", "to"))


def parts_of(objects: list[Object]) -> set[str]:
    """Every part that has pods."""
    found: set[Any] = set()
    for each in objects:
        if each["kind"] in ("Deployment", "StatefulSet", "Job"):
            found.add(each["spec"]["template"]["metadata"]["labels"][PART])
        elif each["kind"] == "Pod":
            found.add(each["metadata"]["labels"][PART])
    return found
