"""Judges the cluster's storage and quotas against an installation's values. Pure.

Decides which drivers are known to mount one volume on several nodes, and which are known not to; of the others nobody
can know before it is tried, and that is said. Decides, too, which are known to let a volume grow past its size.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

from tre.stack.examination.finding import Finding, doubtful, right, unseen, wrong
from tre.stack.examination.installation import Installation
from tre.stack.examination.seen import Cluster

MANY = "ReadWriteMany"
#: Ends of the names of drivers.
SHARES = (
    "nfs.csi.k8s.io",
    "cephfs.csi.ceph.com",
    "efs.csi.aws.com",
    "fsx.csi.aws.com",
    "file.csi.azure.com",
    "filestore.csi.storage.gke.io",
    "driver.longhorn.io",
    "smb.csi.k8s.io",
    "weka.io",
    "nfs-subdir-external-provisioner",
)
SINGLE = (
    "ebs.csi.aws.com",
    "disk.csi.azure.com",
    "pd.csi.storage.gke.io",
    "rancher.io/local-path",
    "docker.io/hostpath",
    "k8s.io/minikube-hostpath",
    "rbd.csi.ceph.com",
    "topolvm.io",
    "openebs.io/local",
)
#: What is asked of them is a folder, and its size a wish.
BOUNDLESS = (
    "nfs.csi.k8s.io",
    "nfs-subdir-external-provisioner",
    "smb.csi.k8s.io",
    "efs.csi.aws.com",
    "rancher.io/local-path",
    "docker.io/hostpath",
    "k8s.io/minikube-hostpath",
)
UNITS = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    "k": Decimal(1000),
    **{name: Decimal(1000) ** (power + 2) for power, name in enumerate("MGTPE")},
    **{f"{name}i": Decimal(1024) ** (power + 1) for power, name in enumerate("KMGTPE")},
}
PARTS = ("proxy", "hub", "guard", "api", "worker", "checker", "controller", "intake", "dns")


def judge(wanted: Installation, seen: Cluster) -> list[Finding]:
    return [*_content(wanted, seen), *_projects(wanted, seen), *_quotas(wanted, seen)]


def _content(wanted: Installation, seen: Cluster) -> Iterator[Finding]:
    """The volume that api and worker share."""
    mode, named = wanted.at("content.accessMode"), wanted.at("content.claim")
    claim = (seen.claims or {}).get(named or "tre-content")
    name = "volume of contents"
    if named and seen.claims is None:
        yield unseen(name, "content.claim", seen.unseen, "claims")
    elif named and claim is None:
        yield wrong(name, "content.claim", f"There is no claim {named} in {wanted.namespace}.", "Make it first.")
    elif claim and claim.phase == "Lost":
        yield wrong(name, "content.claim", "Its volume is lost.", "Restore it from a backup before anything else.")
    elif claim and named and mode not in claim.modes:
        told = f"{named} is {', '.join(claim.modes)}, content.accessMode says {mode}."
        yield wrong(name, "content.claim", told, "Make both the same: several nodes mount it where parts are several.")
    elif claim and claim.phase == "Bound":
        yield right(name, "content.claim", f"Bound, {', '.join(claim.modes)}.")
    else:
        yield from _class(name, "content.storageClass", wanted.at("content.storageClass"), mode, seen)
    if mode != MANY and any(wanted.at(f"{part}.replicas") > 1 for part in ("api", "worker")):
        told = f"It is {mode}, and api or worker are several: all must then be on one node."
        yield doubtful(name, "content.accessMode", told, f"Use {MANY}, or one replica of each.")


def _projects(wanted: Installation, seen: Cluster) -> Iterator[Finding]:
    for what in ("home", "data"):
        given = wanted.at("projects.storage")
        value = f"projects.storage.{what}Class"
        yield from _class(f"volumes of {what}", value, given[f"{what}Class"], given[f"{what}Access"], seen)
    yield from _bounds("size of homes", "projects.storage.homeClass", wanted.at("projects.storage.homeClass"), seen)


def _bounds(name: str, value: str, asked: str, seen: Cluster) -> Iterator[Finding]:
    """Homes are what researchers write to."""
    chosen = _chosen(asked, seen)
    if chosen and (driver := (seen.classes or {})[chosen].provisioner).endswith(BOUNDLESS):
        told = f"{chosen} ({driver}) holds no volume to its size: one researcher can fill the disk of all."
        yield doubtful(name, value, told, "Name a class whose driver does, or set quotas where its folders lie.")


def _chosen(asked: str, seen: Cluster) -> str:
    """The class, where there is such; else the cluster's default, or nothing."""
    there = seen.classes or {}
    defaults = sorted(each for each, found in there.items() if found.default)
    return asked if asked in there else "" if asked else (defaults[0] if defaults else "")


def _class(name: str, value: str, asked: str, mode: str, seen: Cluster) -> Iterator[Finding]:
    if seen.classes is None:
        yield unseen(name, value, seen.unseen, "storage classes")
        return
    chosen = _chosen(asked, seen)
    there = ", ".join(sorted(seen.classes)) or "none"
    if asked and asked not in seen.classes:
        yield wrong(name, value, f"There is no class {asked}; there is {there}.", "Name one of these.")
    elif not chosen:
        told = f"It is left to the cluster, which has no default class; there is {there}."
        yield doubtful(name, value, told, "Name a class, or make the volumes yourself.")
    else:
        yield _mode(name, value, chosen, seen.classes[chosen].provisioner, mode)


def _mode(name: str, value: str, chosen: str, driver: str, mode: str) -> Finding:
    if mode != MANY or driver.endswith(SHARES):
        return right(name, value, f"{chosen} ({driver}), {mode}")
    if driver.endswith(SINGLE):
        told = f"{chosen} is of {driver}, which mounts a volume on one node: it cannot be {MANY}."
        return wrong(name, value, told, "Name a class of shared files (NFS, CephFS or the cloud's own).")
    told = f"Whether {chosen} ({driver}) can be {MANY} is not known here."
    return doubtful(name, value, told, "Make a claim of it with that access mode and see it bound on two nodes.")


def quantity(text: str) -> Decimal | None:
    """500m, 2, 1Gi as a number; None for what is none."""
    digits = text.rstrip("KMGTPEikm")
    unit = UNITS.get(text[len(digits) :])
    try:
        return Decimal(digits) * unit if unit is not None else None
    except InvalidOperation:
        return None


def needed(wanted: Installation) -> dict[str, Decimal]:
    """What all parts ask for together, by the names of quotas."""
    found = {"pods": Decimal(0)}
    for part in PARTS:
        own = wanted.at(part)
        count = Decimal(own.get("replicas", 1))
        found["pods"] += count
        for kind in ("requests", "limits"):
            for resource, text in (own["resources"].get(kind) or {}).items():
                key = f"{kind}.{resource}"
                found[key] = found.get(key, Decimal(0)) + count * (quantity(str(text)) or 0)
    return found


def _quotas(wanted: Installation, seen: Cluster) -> Iterator[Finding]:
    """Of our own namespace; what is installed has its share already."""
    name, asked = "quota", needed(wanted)
    if seen.quotas is None:
        yield unseen(name, "resources", seen.unseen, "quotas")
        return
    for quota, bounds in seen.quotas.items():
        for resource, (used, most) in bounds.items():
            key = {"cpu": "requests.cpu", "memory": "requests.memory"}.get(resource, resource)
            room = (quantity(most) or Decimal(0)) - (quantity(used) or Decimal(0))
            wants = Decimal(0) if wanted.installed else asked.get(key, Decimal(0))
            if room < wants or (wanted.installed and room <= 0 and key in asked):
                told = (
                    f"The quota {quota} has {used} of {most} {resource} in use; the chart asks for {wants or 'more'}."
                )
                yield wrong(f"quota {quota}", "resources", told, "Raise the quota, or lower the parts' resources.")
    if not seen.quotas:
        yield right(name, "resources", f"None in {wanted.namespace}.")
    elif seen.quotas:
        yield right(name, "resources", f"Looked at: {', '.join(sorted(seen.quotas))}.")
