"""`tre doctor --cluster`: the whole list, from an administrator's machine or from a pod of ours.

Decides in which order things are looked at, and what of a release is taken along to ask its servers: logins and
authorities, in a folder of the moment that ends with it. Writes nothing to the cluster; the API server makes a token of
a few minutes for one of our service accounts, with which signing in is tried.
"""

from __future__ import annotations

import base64
import os
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from tre.credentials.files import write_secret
from tre.errors import InvalidInput, TreError
from tre.settings import OnCluster, Settings
from tre.settings.identity import SECRET_FILE
from tre.stack.examination import accelerators, kubernetes, servers, storage
from tre.stack.examination.finding import Finding, doubtful, wrong
from tre.stack.examination.installation import RELEASES, Installation, of_files, of_release
from tre.stack.examination.seen import Cluster, Gatherer
from tre.workspaces.kubernetes.api import Api

TOKEN_SECONDS = 600
VALUES_OF_CA = ("postgresql.ca", "openbao.ca", "oidc.ca", "content.bucket.ca")


def examine_from_here(settings: Settings, namespace: str, files: tuple[Path, ...]) -> list[Finding]:
    """In a pod of ours, else by the kubeconfig (KUBECONFIG, ~/.kube/config), else as the pod that this is."""
    if settings.cluster:
        if files:
            raise InvalidInput(
                "In a pod of ours its own servers are looked at.", field="--values", hint="Leave it out."
            )
        return examine_pod(settings)
    named = os.environ.get("KUBECONFIG", "")
    inside = not named and "KUBERNETES_SERVICE_HOST" in os.environ
    return examine_cluster(
        Api.connect(None if inside else Path(named or "~/.kube/config").expanduser()), namespace, files
    )


def examine_pod(settings: Settings) -> list[Finding]:
    """As a process of ours sees it: its servers, and no cluster."""
    ask = "Run it as an administrator, with KUBECONFIG and not in a pod."
    cluster = doubtful("Kubernetes", "kubernetes", "Not looked at: a pod of ours may not.", ask)
    return [cluster, *servers.examine(settings, {})]


def examine_cluster(api: Api, namespace: str, files: tuple[Path, ...]) -> list[Finding]:
    """With values files an installation that is to be, else the one that is there. Raises `TreError`."""
    wanted = of_files(namespace, files) if files else _installed(api, namespace)
    seen = Gatherer(api, wanted).gather()
    found = [*kubernetes.judge(wanted, seen, datetime.now(UTC)), *storage.judge(wanted, seen)]
    found += accelerators.judge(wanted, seen)
    if seen.version is None:
        return found
    return [*found, *examine_servers(api, wanted, seen)]


def _installed(api: Api, namespace: str) -> Installation:
    path = f"/api/v1/namespaces/{namespace}/secrets"
    return of_release(namespace, api.ask("GET", path, RELEASES)["items"])


def examine_servers(api: Api, wanted: Installation, seen: Cluster) -> list[Finding]:
    """From here, which may lie on another side of a firewall than the cluster."""
    if wanted.small:
        ask = f"kubectl -n {wanted.namespace} exec deploy/tre-api -- tre doctor --cluster"
        return [doubtful("servers", "small.enabled", "They are in the cluster, and not looked at from here.", ask)]
    with tempfile.TemporaryDirectory(prefix="tre-") as name:
        try:
            settings = settings_of(api, wanted, seen, Path(name))
        except TreError as error:
            return [wrong("servers", error.field, error.message, error.hint, type(error))]
        return servers.examine(settings, wanted.cidrs(), coming=not wanted.installed)


def settings_of(api: Api, wanted: Installation, seen: Cluster, folder: Path) -> Settings:
    """Those of a process, with every secret and authority of the release below `folder`."""
    ca = {value: _authority(wanted, seen, value, folder) for value in VALUES_OF_CA}
    token = folder / "token"
    _fetch_token(api, wanted, token)
    provider = wanted.provider(ca["oidc.ca"])
    cluster = OnCluster(
        state=wanted.server("state", ca["postgresql.ca"]),
        data=wanted.server("data", ca["postgresql.ca"]),
        openbao=wanted.secrets_server(ca["openbao.ca"], token),
        identity_provider=provider,
        bucket=wanted.bucket(ca["content.bucket.ca"]),
    )
    # No socket is made, so the run folder need not be there.
    settings = Settings(folder, Path("/run/tre"), cluster=cluster, identity_provider=provider)
    for name in ("postgresql.logins", *(("content.bucket.credentials",) if cluster.bucket else ())):
        for key, value in (seen.held.get(("secrets", wanted.at(name))) or {}).items():
            write_secret(settings.secret_file(key), base64.b64decode(value))
    if provider:
        # Signing in is not tried here: that the file is there says that this place may ask the provider.
        write_secret(settings.secret_file(SECRET_FILE), "")
    return settings


def _authority(wanted: Installation, seen: Cluster, value: str, folder: Path) -> str:
    """The file with it; "" where none is named, or it is not there, which was said already."""
    text = (seen.held.get(("configmaps", wanted.at(value))) or {}).get("ca.pem", "") if wanted.at(value) else ""
    if not text:
        return ""
    file = folder / f"{value}.pem"
    file.write_text(text)
    return str(file)


def _fetch_token(api: Api, wanted: Installation, file: Path) -> None:
    """There is none before the installation, which makes the service account; then signing in is not tried."""
    path = f"/api/v1/namespaces/{wanted.namespace}/serviceaccounts/tre-api/token"
    spec = {"audiences": [wanted.at("openbao.audience")], "expirationSeconds": TOKEN_SECONDS}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    with suppress(TreError):
        write_secret(file, str(api.ask("POST", path, {}, body)["status"]["token"]))
