"""The chart's rights and admission policies on a real API server; no node is needed. What the controller must do it
can, with nothing but what the chart gives it; everything else is refused.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from pathlib import Path

from tests.cluster.machine.contents import Kubectl
from tre.workspaces.kubernetes import canary, desired
from tre.workspaces.kubernetes.content import NAMESPACE, NETWORK_POLICY
from tre.workspaces.kubernetes.leader import Leader
from tre.workspaces.kubernetes.names import INSTALLATION, canary_of, namespace_of
from tre.workspaces.plan import Limits

from .rendering import PROFILES, render
from .rights import Installation, as_controller, converge, posing, refused


def test_nobody_but_the_controller_gives_or_takes_our_label(installation: Installation, kubectl: Kubectl) -> None:
    made = posing(installation.space)
    own, label = "only tre's controller", f"{INSTALLATION}={installation.space.name}"
    assert own in refused(kubectl, "create", "-f=-", feed=json.dumps(made))
    assert own in refused(kubectl, "label", "namespace", "kube-public", label, "--dry-run=server")
    kubectl("create", "-f=-", installation.account("controller"), feed=json.dumps(made))
    name = made["metadata"]["name"]
    assert own in refused(kubectl, "label", "namespace", name, f"{INSTALLATION}-")
    assert own in refused(kubectl, "label", "--overwrite", "namespace", name, f"{INSTALLATION}=other")
    # What the cluster's own tools write beside it is theirs.
    kubectl("label", "namespace", name, "team=blue")


def test_the_controller_writes_nowhere_else(installation: Installation, kubectl: Kubectl) -> None:
    """Its rights reach every namespace, since its own do not exist yet; the policy holds it to them."""
    account, own = installation.account("controller"), "tre's controller writes only into"
    label = f"{INSTALLATION}={installation.space.name}"
    for command in (
        ("-n=kube-system", "create", "quota", "mine", "--hard=pods=1"),
        ("-n=kube-system", "create", "serviceaccount", "mine"),
        (f"-n={installation.space.name}", "create", "quota", "mine", "--hard=pods=1"),
        ("create", "namespace", f"{installation.space.name}-plain"),
        ("delete", "namespace", "kube-node-lease"),
        # Taking one over that is not ours is no way, either.
        ("label", "namespace", "kube-public", label),
    ):
        assert own in refused(kubectl, *command, account, "--dry-run=server"), command


def test_what_the_controller_and_the_hub_may_not_even_ask(installation: Installation, kubectl: Kubectl) -> None:
    controller, hub = installation.account("controller"), installation.account("hub")
    for account, *asked in (
        (controller, "get", "secrets"),
        (controller, "list", "secrets"),
        (controller, "create", "pods", "--subresource=exec"),
        (controller, "get", "pods", "--subresource=log"),
        (controller, "create", "services"),
        (controller, "create", "clusterrolebindings"),
        (controller, "impersonate", "users"),
        (controller, "get", "nodes", "--subresource=proxy"),
        (hub, "list", "pods"),
        (hub, "create", "pods"),
        (hub, "get", "secrets"),
        (hub, "create", "namespaces"),
    ):
        assert refused(kubectl, "auth", "can-i", *asked, "--all-namespaces", account), asked


def test_the_controller_does_all_that_it_must_with_these_rights(
    installation: Installation, kubectl: Kubectl, tmp_path: Path
) -> None:
    api = as_controller(installation, kubectl, tmp_path / "kubeconfig")
    leader = Leader(api, installation.space.name, "tre-controller-1")
    assert leader.campaign()
    slug = f"w{secrets.token_hex(4)}"
    wish = desired.Wish(slug, open=True, over=False, people=2, homes=("bob",), limits=Limits(), live=frozenset())
    space = namespace_of(installation.space.name, slug)
    assert len(converge(api, installation, wish)["made"]) == 10
    assert converge(api, installation, wish) == {}
    kubectl("-n", space, "delete", "networkpolicy", "default-deny")
    assert converge(api, installation, wish) == {"repaired": ["NetworkPolicy/default-deny"]}
    assert converge(api, installation, replace(wish, open=False)) == {"changed": ["ResourceQuota/project"]}
    assert converge(api, installation, replace(wish, open=False, over=True)) == {"deleted": [f"Namespace/{space}"]}
    # Canaries: which nodes there are, where the API server is, a namespace with its policies, and it is emptied.
    # Verifications: which services there are.
    for kind in ("nodes", "services"):
        api.ask("GET", f"/api/v1/{kind}", {})
    assert api.ask("GET", "/api/v1/namespaces/default/services/kubernetes", {})["spec"]["clusterIP"]
    api.apply(NAMESPACE, canary.namespace(installation.cluster))
    for policy in canary.policies(installation.cluster):
        api.apply(NETWORK_POLICY, policy)
    api.ask("DELETE", f"/api/v1/namespaces/{canary_of(installation.space.name)}/pods", {}, {"gracePeriodSeconds": 0})
    leader.resign()


def test_the_api_server_takes_every_object(installation: Installation, helm_program: Path, profile: str) -> None:
    """Asked with admission, nothing kept."""
    values, files = PROFILES[profile]
    made = render(helm_program, values, files, f"--namespace={installation.space.name}")
    whole = {"apiVersion": "v1", "kind": "List", "items": made}
    installation.space("apply", "--server-side", "--dry-run=server", "--filename=-", feed=json.dumps(whole))
