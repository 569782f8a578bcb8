"""As which user of its node a workspace runs, and what it is called inside.

Decides that no two people's workspaces on a node share one: the kernel counts processes, watches and timers by user,
over all of a node, so that whoever shares one can keep the other from working. Where each pod has users of its own
(`hostUsers: false`), the image's will do. The group is everybody's and may write to what is in a home (`confine` of the
image), so that a home stays its person's, whichever user they were before.
"""

from __future__ import annotations

import hashlib

from tre.workspaces.kubernetes.cluster import Cluster
from tre.workspaces.plan import LaunchPlan

#: The image's user, and everybody's group.
UID = GID = 1000
#: Numbers that no system hands out, the last that fit into 31 bits (systemd's UIDS-GIDS: "unused").
FIRST, COUNT = 0x70000000, 0x10000000
NAME = "researcher"
HOME = f"/home/{NAME}"


def user_of(cluster: Cluster, plan: LaunchPlan) -> int:
    """The same for all workspaces of a person in a project. Of a hundred on a node, two are alike once in 50,000."""
    if cluster.user_namespaces:
        return UID
    digest = hashlib.sha256(f"{plan.project}/{plan.person}".encode()).digest()
    return FIRST + int.from_bytes(digest[:8]) % COUNT


def account_file(user: int) -> str:
    """An /etc/passwd in which that user has a name."""
    return f"{NAME}:x:{user}:{GID}:{NAME}:{HOME}:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
