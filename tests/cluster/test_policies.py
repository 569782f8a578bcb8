"""NetworkPolicy is enforced: default deny holds, an opening opens exactly that, and without policies all is reachable.

Each wall is asked twice: with the policy nothing may come back, and without it everything must, or the test would not
see a wall that is not there.
"""

from __future__ import annotations

from . import objects
from .conftest import NewSpace
from .house import NO_SUCH_NAME, OPEN, REACHED, SILENT, Facts, Space, of
from .machine import contents
from .machine.contents import Kubectl
from .objects import ADMIN, WEB


def ports(address: str) -> list[str]:
    return [f"tcp://{address}:{WEB}", f"tcp://{address}:{ADMIN}", f"udp://{address}:{WEB}"]


def test_default_deny_closes_everything_in_both_directions(new_space: NewSpace, facts: Facts) -> None:
    space, other = new_space("work"), new_space("other")
    space.apply(objects.service("web", {80: WEB}))
    mine = space.start(objects.pod("web"), objects.pod("asking"))
    theirs = other.start(objects.pod("stranger"))
    service = [f"tcp://{space.service_address('web')}:80"]
    names = [f"dns://web.{space.name}.svc.{facts.whole['domain']}."]
    everything = [
        *ports(mine["web"]),
        *ports(theirs["stranger"]),
        *service,
        *names,
        *facts.outside(),
        *facts.node(),
    ]

    space.settles("asking", of(everything, REACHED))
    other.settles("stranger", of(ports(mine["web"]), REACHED))

    space.apply(objects.default_deny())
    space.settles("asking", of(everything, SILENT))
    other.settles("stranger", of(ports(mine["web"]), SILENT))
    other.settles("stranger", of(facts.outside(), REACHED))

    space("delete", "networkpolicy", "default-deny")
    space.settles("asking", of(everything, REACHED))
    other.settles("stranger", of(ports(mine["web"]), REACHED))


def test_an_opening_to_one_service_opens_one_port_of_one_pod(new_space: NewSpace, facts: Facts) -> None:
    space, other = new_space("work"), new_space("other")
    space.apply(objects.default_deny(), objects.service("web", {80: WEB, 90: ADMIN}))
    mine = space.start(objects.pod("web"), objects.pod("asking"))
    theirs = other.start(objects.pod("stranger"))
    service = space.service_address("web")

    opening = objects.egress("asking-web", of={"app": "asking"}, to=objects.pods(app="web"), ports=[("TCP", WEB)])
    space.apply(opening)
    half_open = of([f"tcp://{service}:80", *ports(mine["web"])], SILENT)
    space.settles("asking", half_open)

    entry = objects.ingress("web-asking", of={"app": "web"}, sender=objects.pods(app="asking"), ports=[("TCP", WEB)])
    space.apply(entry)
    opened = [f"tcp://{service}:80", f"tcp://{mine['web']}:{WEB}"]
    closed = [
        f"tcp://{service}:90",
        f"tcp://{mine['web']}:{ADMIN}",
        f"udp://{mine['web']}:{WEB}",
        *ports(theirs["stranger"]),
        *facts.outside(),
        *facts.node(),
    ]
    space.settles("asking", {**of(opened, OPEN), **of(closed, SILENT)})
    space.settles("web", of(ports(mine["asking"]), SILENT))
    other.settles("stranger", of(ports(mine["web"]), SILENT))

    space("delete", "networkpolicy", "asking-web")
    space.settles("asking", of(opened, SILENT))


def test_an_opening_follows_the_labels_of_pods_and_namespaces(new_space: NewSpace, kubectl: Kubectl) -> None:
    space, other = new_space("work"), new_space("other", team="blue")
    mine = space.start(objects.pod("web"))
    other.start(objects.pod("guard"))
    sender = {"namespaceSelector": {"matchLabels": {"team": "blue"}}, **objects.pods(app="guard")}
    space.apply(
        objects.default_deny(), objects.ingress("guard", of={"app": "web"}, sender=sender, ports=[("TCP", WEB)])
    )
    target = f"tcp://{mine['web']}:{WEB}"
    other.settles("guard", {target: OPEN})
    for change, back in (
        (("label", "namespace", other.name, "team=red"), ("label", "namespace", other.name, "team=blue")),
        (
            ("--namespace", other.name, "label", "pod", "guard", "app=else"),
            ("--namespace", other.name, "label", "pod", "guard", "app=guard"),
        ),
    ):
        kubectl(*change, "--overwrite")
        other.settles("guard", {target: SILENT})
        kubectl(*back, "--overwrite")
        other.settles("guard", {target: OPEN})


def test_dns_of_a_project_answers_only_its_names(new_space: NewSpace, facts: Facts) -> None:
    space, platform = new_space("work"), new_space("platform")
    corefile = "intake.tre:53 {\n  hosts {\n    10.1.2.3 intake.tre\n  }\n  ready :8181\n}\n"
    corefile += ".:53 {\n  template ANY ANY {\n    rcode NXDOMAIN\n  }\n}\n"
    platform.apply(contents.corefile("names", platform.name, corefile))
    resolver = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "names", "labels": {"app": "names"}},
        "spec": {**contents.dns_pod("names"), "automountServiceAccountToken": False},
    }
    address = platform.start(resolver)["names"]
    space.apply(
        objects.default_deny(),
        objects.egress(
            "names", of={}, to=objects.pods_of(platform.name, app="names"), ports=[("UDP", 53), ("TCP", 53)]
        ),
    )
    space.start(objects.pod("asking"))
    foreign = facts.whole["outside"]["resolver"]
    space.settles(
        "asking",
        {
            f"dns://intake.tre.@{address}:53": OPEN,
            f"dns://kubernetes.default.svc.cluster.local.@{address}:53": NO_SUCH_NAME,
            f"dns://c2VjcmV0.tunnel.example.@{address}:53": NO_SUCH_NAME,
            f"dns://intake.tre.@{foreign}:53": SILENT,
            "dns://kubernetes.default.svc.cluster.local.": SILENT,
            f"tcp://{address}:8181": SILENT,
        },
    )


def test_a_block_of_addresses_opens_those_and_spares_the_exceptions(space: Space, facts: Facts) -> None:
    outside = facts.whole["outside"]["address"]
    space.apply(objects.default_deny())
    space.start(objects.pod("asking"))
    target, beside = f"tcp://{outside}:{WEB}", f"tcp://{outside}:{ADMIN}"
    everyone: dict[str, str] = {}
    space.apply(objects.egress("out", of=everyone, to=objects.block("10.91.0.0/24"), ports=[("TCP", WEB)]))
    space.settles("asking", {target: OPEN, beside: SILENT})
    spared = objects.block("10.91.0.0/24", f"{outside}/32")
    space.apply(objects.egress("out", of=everyone, to=spared, ports=[("TCP", WEB)]))
    space.settles("asking", {target: SILENT, beside: SILENT})
