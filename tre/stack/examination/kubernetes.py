"""Judges a cluster as it was seen against an installation's values: version, admission, addresses, rights, pods.

Decides what the chart needs of a cluster. What the API server did not tell is a doubt with the reason, never taken to
be right. Leaves volumes and quotas to `storage`, the way in to `ingress`. Pure.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterator
from datetime import datetime

from tre.errors import Conflict, Unavailable
from tre.stack.examination import ingress
from tre.stack.examination.finding import ADMINISTRATOR, Finding, doubtful, right, unseen, wrong
from tre.stack.examination.installation import LOGINS, Installation
from tre.stack.examination.seen import Cluster, Part

LEAST_VERSION = (1, 30)
ENFORCE = "pod-security.kubernetes.io/enforce"
#: {value: the Service whose address it is}.
SERVICES = {
    "intake.clusterIP": "tre-intake",
    "dns.clusterIP": "tre-dns",
    "small.dataClusterIP": "tre-postgres-data",
}
#: What a node says while an image does not come.
NOT_PULLED = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName")


def judge(wanted: Installation, seen: Cluster, now: datetime) -> list[Finding]:
    return [
        *_version(wanted, seen),
        *_admission(wanted, seen),
        *_api_server(wanted, seen),
        *_addresses(wanted, seen),
        *_held(wanted, seen),
        *_images(wanted, seen),
        *_priorities(wanted, seen),
        *ingress.judge(wanted, seen, now),
        *_parts(wanted, seen),
    ]


def numbers(version: str) -> tuple[int, int]:
    """(1, 34) of v1.34.2+k3s1; (0, 0) of what is none."""
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _version(wanted: Installation, seen: Cluster) -> Iterator[Finding]:
    name, value = "Kubernetes", "kubernetes"
    if seen.version is None:
        told = f"The API server does not answer: {seen.unseen.get('version', '')}"
        yield wrong(name, value, told, "Look at the kubeconfig, and at the way there.", Unavailable)
        return
    if numbers(seen.version) < LEAST_VERSION:
        yield wrong(name, value, f"It is {seen.version}.", f"Use {'.'.join(map(str, LEAST_VERSION))} or later.")
    elif seen.admission_policies is False and wanted.at("admissionPolicies"):
        told = f"{seen.version} knows no ValidatingAdmissionPolicy."
        yield wrong(name, "admissionPolicies", told, "Switch that API on, or set admissionPolicies: false.")
    else:
        yield right(name, value, seen.version)
    asked = wanted.at("projects.podSecurityVersion")
    if numbers(asked) > numbers(seen.version):
        told = f"{asked} is later than the cluster, {seen.version}: it would take its own rules for these."
        yield doubtful("Pod Security version", "projects.podSecurityVersion", told, "Name the cluster's version.")


def _admission(wanted: Installation, seen: Cluster) -> Iterator[Finding]:
    name, value = "Pod Security", f"namespace {wanted.namespace}"
    make = f"kubectl label namespace {wanted.namespace} {ENFORCE}=restricted"
    if seen.labels is None:
        yield unseen(name, value, seen.unseen, "namespace")
        return
    if not seen.labels:
        yield wrong(name, value, "There is no such namespace.", f"kubectl create namespace {wanted.namespace}; {make}")
        return
    level = seen.labels.get(ENFORCE)
    if level != "restricted":
        yield wrong(name, value, f"It enforces {level or 'no level'} of Pod Security.", make)
    elif seen.privileged is None:
        yield unseen(name, value, seen.unseen, "admission")
    elif not seen.privileged:
        told = "A privileged pod would be let in although the namespace is labelled restricted."
        yield wrong(name, value, told, "Switch the admission plugin PodSecurity on at the API server.")
    elif "PodSecurity" not in seen.privileged:
        told = f"A privileged pod is refused, but not by Pod Security: {seen.privileged}"
        yield doubtful(name, value, told, ADMINISTRATOR)
    else:
        yield right(name, value, "A privileged pod is refused at admission.")


def _api_server(wanted: Installation, seen: Cluster) -> Iterator[Finding]:
    name, cidr, port = "way to the API server", wanted.at("kubernetes.cidr"), wanted.at("kubernetes.port")
    if seen.endpoints is None:
        yield unseen(name, "kubernetes.cidr", seen.unseen, "endpoints")
        return
    outside = sorted({address for address, _ in seen.endpoints if not _inside(address, cidr)})
    ports = sorted({number for _, number in seen.endpoints})
    if outside:
        told = f"It answers at {', '.join(outside)}, and policies open {cidr or 'nothing'} alone."
        yield wrong(
            name, "kubernetes.cidr", told, "Set it to a block that holds them all: kubectl get endpoints kubernetes"
        )
    elif ports and ports != [port]:
        told = f"It answers at port {', '.join(map(str, ports))}, and policies open {port} alone."
        yield wrong(name, "kubernetes.port", told, "Set it to that port.")
    else:
        yield right(name, "kubernetes.cidr", f"{cidr}, port {port}")


def _addresses(wanted: Installation, seen: Cluster) -> Iterator[Finding]:
    """Of the Services whose address is given: each ours, or nobody's."""
    for value, address in wanted.addresses().items():
        service = SERVICES[value]
        name = f"address of {service}"
        if seen.services is None:
            yield unseen(name, value, seen.unseen, "services")
            continue
        holder = seen.services.get(address, "") if address else ""
        if not address:
            yield wrong(name, value, "None is given.", "Name a free address of the Services' range.")
        elif holder and holder != f"{wanted.namespace}/{service}":
            yield wrong(name, value, f"{address} is {holder}'s.", "Name a free address of the Services' range.")
        elif wanted.installed and not holder:
            yield wrong(name, value, f"Nobody has {address}.", "helm upgrade makes the Service again.", Conflict)
        elif refused := seen.addresses.get(address):
            yield wrong(name, value, refused, "Name a free address of the Services' range.")
        else:
            yield right(name, value, f"{address}, {'ours' if holder else 'free'}")
    yield from _data_address(wanted)


def _data_address(wanted: Installation) -> Iterator[Finding]:
    """What workspaces are told of the data server, and what their policy opens."""
    host, cidr = wanted.at("postgresql.data.host"), wanted.at("postgresql.data.cidr")
    told = wanted.at("dns.hosts").get(host)
    if told and not wanted.small and not _inside(told, cidr):
        found = f"Workspaces are told that {host} is {told}, and policies open {cidr} alone."
        yield wrong("address of the data server", "dns.hosts", found, "Let postgresql.data.cidr hold that address.")


def _held(wanted: Installation, seen: Cluster) -> Iterator[Finding]:
    """Secrets and ConfigMaps that values name, and what is to be in them."""
    for one in wanted.held():
        name = f"{one.kind.removesuffix('s')} {one.name}"
        if reason := seen.unseen.get(f"{one.kind}/{one.name}"):
            yield doubtful(name, one.value, f"Not seen: {reason}", ADMINISTRATOR)
            continue
        found = seen.held.get((one.kind, one.name))
        if found is None:
            yield wrong(name, one.value, f"There is none in {wanted.namespace}.", "Make it before the installation.")
        elif missing := [key for key in one.keys if key not in found]:
            yield wrong(name, one.value, f"Not in it: {', '.join(missing)}.", "Add it: docs/helm.md lists the keys.")
        elif bad := [key for key in LOGINS[:-1] if key in one.keys and not _is_login(key, found[key])]:
            role = bad[0].partition("-")[2].removesuffix(".pgpass")
            yield wrong(name, one.value, f"{bad[0]} is no login.", f"It is to be the line *:*:*:{role}:PASSWORD.")
        else:
            yield right(name, one.value, ", ".join(one.keys))


def _is_login(key: str, encoded: str) -> bool:
    role = key.partition("-")[2].removesuffix(".pgpass")
    try:
        line = base64.b64decode(encoded).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return False
    return bool(re.fullmatch(rf"[^:\n]+:[^:\n]+:[^:\n]+:{role}:\S+\n?", line))


def _images(wanted: Installation, seen: Cluster) -> Iterator[Finding]:
    bad = {part.image: part for part in seen.parts or () if part.reason in NOT_PULLED}
    for value, image in wanted.images().items():
        name = f"image {image}"
        if part := bad.get(image):
            told = f"{part.pod}: {part.reason}. {part.said}".strip()
            yield wrong(name, value, told, "Push it there, or correct images.registry, tag and pullSecrets.")
        elif seen.images is None:
            yield unseen(name, value, seen.unseen, "nodes")
        elif any(_same_image(image, each) for each in seen.images):
            yield right(name, value, "It is on a node.")
        elif wanted.at("images.pullPolicy") == "Never":
            yield wrong(name, value, "No node has it, and images.pullPolicy is Never.", "Put it on the nodes.")
        elif image.startswith("localhost/"):
            told = "No node has it, and localhost is no registry that nodes could ask."
            yield wrong(name, "images.registry", told, "Name the registry that the images were pushed to.")
        else:
            told = "No node has it yet, so whether it can be pulled was not seen."
            yield doubtful(name, value, told, f"On a node: crictl pull {image}")
    for secret, there in seen.pull_secrets.items():
        if not there:
            told = f"There is no Secret {secret} in {wanted.namespace}."
            yield wrong(f"secret {secret}", "images.pullSecrets", told, "kubectl create secret docker-registry")


def _same_image(asked: str, listed: str) -> bool:
    return listed in (asked, f"docker.io/{asked}", f"docker.io/library/{asked}")


def _priorities(wanted: Installation, seen: Cluster) -> Iterator[Finding]:
    for value in ("priorityClass", "projects.priorityClass"):
        asked = wanted.at(value)
        if not asked:
            continue
        name = f"priority class {asked}"
        if seen.priority_classes is None:
            yield unseen(name, value, seen.unseen, "priority classes")
        elif asked not in seen.priority_classes:
            yield wrong(name, value, "There is no such class.", "Make it, or leave the value empty.")
        else:
            yield right(name, value, "It is there.")


def _parts(wanted: Installation, seen: Cluster) -> Iterator[Finding]:
    if not wanted.installed:
        return
    if seen.parts is None:
        yield unseen("our pods", "pods", seen.unseen, "pods")
    elif not seen.parts:
        yield right("our pods", "pods", "All are ready.")
    else:
        yield from (_part(one) for one in seen.parts)


def _part(part: Part) -> Finding:
    told = f"It is not ready ({part.reason}). {part.said}".strip()
    remedy = f"kubectl logs {part.pod}; its first line says what it lacks."
    return wrong(f"pod {part.pod}", "pods", told, remedy, Unavailable)


def _inside(address: str, cidr: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(cidr)
    except ValueError:
        return False
