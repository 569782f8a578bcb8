"""Judges how people come in from outside the cluster: TLS, the Ingress' class, its certificate. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from datetime import datetime

from cryptography import x509

from tre.stack.examination import certificates
from tre.stack.examination.certificates import Certificate
from tre.stack.examination.finding import Finding, doubtful, right, unseen, wrong
from tre.stack.examination.installation import Installation
from tre.stack.examination.seen import Cluster


def judge(wanted: Installation, seen: Cluster, now: datetime) -> Iterator[Finding]:
    name, url = "way in", str(wanted.at("url"))
    if not url.startswith("https://"):
        told = f"People come by {url}: passwords and results go over the wire in the clear."
        yield doubtful("TLS for people", "url", told, "Put TLS before it, and name the address with https://.")
    if not wanted.at("proxy.ingress.enabled"):
        if wanted.at("proxy.service.type") == "ClusterIP":
            told = "Nothing of the chart leads there from outside."
            yield doubtful(
                name, "proxy.ingress.enabled", told, "Switch it on, or put a gateway before Service tre-proxy."
            )
        else:
            yield right(name, "proxy.service.type", str(wanted.at("proxy.service.type")))
        return
    asked = wanted.at("proxy.ingress.className")
    if seen.ingress_classes is None:
        yield unseen(name, "proxy.ingress.className", seen.unseen, "ingress classes")
    elif asked and asked not in seen.ingress_classes:
        there = ", ".join(sorted(seen.ingress_classes)) or "none"
        yield wrong(
            name, "proxy.ingress.className", f"There is no class {asked}; there is {there}.", "Name one of these."
        )
    elif not asked and not any(seen.ingress_classes.values()):
        told = "No class of the cluster is the default one."
        yield wrong(name, "proxy.ingress.className", told, "Name one: kubectl get ingressclasses")
    else:
        yield right(name, "proxy.ingress.className", asked or "the cluster's own default")
    yield from _certificate_for_people(wanted, seen, now)


def _certificate_for_people(wanted: Installation, seen: Cluster, now: datetime) -> Iterator[Finding]:
    name, value, secret = "certificate for people", "proxy.ingress.tlsSecret", wanted.at("proxy.ingress.tlsSecret")
    if not secret:
        if str(wanted.at("url")).startswith("https://"):
            told = f"No certificate is named for {wanted.host}."
            yield doubtful(name, value, told, "Name a Secret with one, or make sure that the controller has its own.")
        return
    held = (seen.held.get(("secrets", secret)) or {}).get("tls.crt")
    if held is None:
        return
    found = _certificate(held)
    if found is None:
        yield wrong(name, value, f"tls.crt of {secret} is no certificate.", "Give it in PEM.")
    elif found.until > now and not any(_covers(each, wanted.host) for each in found.names):
        told = f"It is for {', '.join(found.names) or 'no name'}, and people come to {wanted.host}."
        yield wrong(name, value, told, "Give one of that name.")
    else:
        yield certificates.judge(name, value, value, certificates.Shown(found), now)


def _certificate(encoded: str) -> Certificate | None:
    try:
        return certificates.of(x509.load_pem_x509_certificate(base64.b64decode(encoded)))
    except (ValueError, binascii.Error):
        return None


def _covers(name: str, host: str) -> bool:
    """A star stands for one label."""
    if name.startswith("*."):
        return host.partition(".")[2].lower() == name[2:].lower()
    return host.lower() == name.lower()
