"""Names and labels of what is ours on a cluster.

Decides how a project, a person and a workspace are spelled there: DNS labels of at most 63 characters, two different
ones never alike. A label's value is never more than a name of ours; what people write goes nowhere near.
"""

from __future__ import annotations

import hashlib
import re

from tre.errors import InvalidInput
from tre.people.rules import check_slug

DOMAIN = "tre.example"
#: Whose object it is: the control namespace. Nothing without this label is touched.
INSTALLATION = f"{DOMAIN}/installation"
PROJECT = f"{DOMAIN}/project"
PERSON = f"{DOMAIN}/person"
WORKSPACE = f"{DOMAIN}/workspace"
#: An annotation: the digest of what we last asked for.
DIGEST = f"{DOMAIN}/digest"
COMPONENT = "app.kubernetes.io/component"
MANAGER = "tre-controller"

PREFIX = "tre-"
LONGEST_LABEL = 63
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_PLAIN = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST_PLAIN = 50
_DIGEST_LENGTH = 16


def namespace_of(control_namespace: str, slug: str) -> str:
    """The namespace of a project. Raises `InvalidInput` for a slug that is none, or that would name our own."""
    name = PREFIX + check_slug(slug, field="project")
    if name in (control_namespace, canary_of(control_namespace)):
        raise InvalidInput(
            f"A project {slug} would live in the platform's own namespace {name}.",
            field="project",
            hint="Propose it under another name.",
        )
    return name


def canary_of(control_namespace: str) -> str:
    """The namespace where pods of nobody show that walls hold."""
    return f"{control_namespace}-canary"


def dns_label(text: str) -> str:
    """The text itself where it is a plain name, else what is readable of it and a digest behind two hyphens, which no
    plain name has: two texts never become one label.
    """
    if len(text) <= _LONGEST_PLAIN and _PLAIN.fullmatch(text):
        return text
    readable = "-".join(re.findall("[a-z0-9]+", text.lower()))[: _LONGEST_PLAIN - _DIGEST_LENGTH].strip("-")
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_LENGTH]
    return f"{readable or 'x'}--{digest}"


def home_of(username: str) -> str:
    return f"home-{dns_label(username)}"


def workspace_of(workspace_id: str) -> str:
    """The name of a workspace's pod, and of its Secret."""
    return f"workspace-{dns_label(workspace_id)}"


def labels(control_namespace: str, slug: str, component: str, **more: str) -> dict[str, str]:
    """`more` are labels of our own domain: person="bob"."""
    return {
        "app.kubernetes.io/name": "tre",
        "app.kubernetes.io/managed-by": MANAGER,
        COMPONENT: component,
        INSTALLATION: control_namespace,
        PROJECT: slug,
        **{f"{DOMAIN}/{name}": dns_label(value) for name, value in more.items()},
    }


def selector(control_namespace: str) -> str:
    """What is ours, as a query."""
    return f"{INSTALLATION}={control_namespace}"


def check_dns_label(name: str, *, field: str) -> str:
    if len(name) > LONGEST_LABEL or not _DNS_LABEL.fullmatch(name):
        raise InvalidInput(
            f"Use at most {LONGEST_LABEL} lower-case letters, digits and hyphens, a letter or digit at both ends.",
            field=field,
        )
    return name
