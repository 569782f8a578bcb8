"""The cluster that a test runs on: the one that KUBECONFIG names, else the one that `make cluster` started."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from . import objects
from .house import Facts, Space
from .machine import lifecycle
from .machine.contents import Kubectl
from .machine.place import Place, place

OURS = "ours"
NewSpace = Callable[..., Space]


@pytest.fixture(scope="session")
def our_place() -> Place:
    return place()


@pytest.fixture(scope="session")
def kubectl(our_place: Place) -> Kubectl:
    """Fails, never skips, where there is no cluster."""
    named = os.environ.get("KUBECONFIG", "")
    if not named and not lifecycle.is_up(our_place):
        pytest.fail("no cluster: start one with `make cluster`, or name one in KUBECONFIG")
    program = our_place.programs / "kubectl"
    found = str(program) if program.exists() else shutil.which("kubectl")
    if not found:
        pytest.fail("no kubectl: neither built by `make cluster` nor in PATH")
    return Kubectl(Path(found), {**os.environ, "KUBECONFIG": named or str(our_place.kubeconfig)})


@pytest.fixture(scope="session")
def helm_program(our_place: Place) -> Path:
    """Fails, never skips, where it is not built."""
    program = our_place.programs / "helm"
    if not program.exists():
        pytest.fail("no helm: `make cluster` builds it")
    return program


@pytest.fixture(scope="session")
def facts(kubectl: Kubectl, our_place: Place) -> Facts:
    """Only our own cluster has an outside that tests may knock at."""
    if kubectl.environment["KUBECONFIG"] != str(our_place.kubeconfig):
        pytest.skip("the cluster of KUBECONFIG has no outside host, resolver and metadata service of the tests")
    return Facts.read(our_place.run / "facts.json")


@pytest.fixture
def new_space(kubectl: Kubectl) -> Iterator[NewSpace]:
    """Makes namespaces, which end with the test."""
    made: list[str] = []

    def make(purpose: str, *, level: str = "restricted", **labels: str) -> Space:
        name = f"{purpose}-{uuid.uuid4().hex[:6]}"
        kubectl.apply([objects.namespace(name, level=level, **labels)])
        made.append(name)
        space = Space(kubectl, name)
        space("wait", "--for=create", "--timeout=30s", "serviceaccount/default")
        return space

    yield make
    if made:
        kubectl("delete", "namespace", "--wait=false", "--ignore-not-found", *made)


@pytest.fixture
def space(new_space: NewSpace) -> Space:
    return new_space("work")
