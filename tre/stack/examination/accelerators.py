"""Judges whether nodes have the accelerators that projects were given. Pure.

Decides by what nodes say of themselves: their labels, and what their device plugin told their kubelet.
"""

from __future__ import annotations

from collections.abc import Iterator

from tre.stack.examination.finding import Finding, right, unseen, wrong
from tre.stack.examination.installation import Installation
from tre.stack.examination.seen import Cluster
from tre.stack.examination.storage import quantity


def judge(wanted: Installation, seen: Cluster) -> Iterator[Finding]:
    """Nothing where no project has any."""
    gpu = wanted.at("projects.gpu")
    if not gpu:
        return
    name, resource, count = "accelerators", gpu["resource"], gpu["count"]
    if seen.nodes is None:
        yield unseen(name, "projects.gpu", seen.unseen, "nodes")
        return
    labelled = [node for node in seen.nodes if gpu["nodeLabels"].items() <= node.labels.items()]
    if not labelled:
        told = f"No node that is ready has the labels {_spelled(gpu['nodeLabels'])}."
        yield wrong(name, "projects.gpu.nodeLabels", told, "kubectl label node NODE LABEL=VALUE where they are.")
    elif enough := [node.name for node in labelled if (quantity(node.offers.get(resource, "0")) or 0) >= count]:
        yield right(name, "projects.gpu", f"{count} {resource} each, on {', '.join(sorted(enough))}.")
    else:
        told = f"Of {', '.join(sorted(node.name for node in labelled))} none offers {count} {resource}."
        yield wrong(name, "projects.gpu.resource", told, "Look at the vendor's device plugin on these nodes.")


def _spelled(labels: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))
