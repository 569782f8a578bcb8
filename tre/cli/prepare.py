"""`tre prepare …`: an institution's own servers, before `helm install`. The steps are in docs/helm.md."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from tre.cli.show import shown

values = click.option(
    "--values",
    "files",
    multiple=True,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Values of the installation that is to be; several as for helm.",
)
namespace = click.option("--namespace", default="tre-system", show_default=True, help="Of the release.")


@click.group()
def prepare() -> None:
    """What PostgreSQL, OpenBao or Vault of the institution's own need before an installation on a cluster."""


@prepare.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@values
@namespace
@shown("file")
def postgresql(folder: Path, files: tuple[Path, ...], namespace: str) -> Any:
    """Make passwords: FOLDER/logins is the Secret `postgresql.logins`; state.sql and data.sql are for psql, as each
    server's superuser, state.hba and data.hba for its pg_hba.conf. No password is in those.
    """
    from tre.stack.examination.installation import of_files
    from tre.stack.preparation import postgresql

    return [{"file": str(path)} for path in postgresql.write(of_files(namespace, files), folder)]


@prepare.command()
@values
@namespace
@click.option(
    "--token-file", required=True, type=click.File(), help="A token that may mount engines and write policies."
)
@click.option(
    "--reviewer", default="tre-reviewer", show_default=True, help="Secret with a token that may ask whose a token is."
)
@click.option(
    "--kubernetes",
    "cluster",
    default="",
    help="Address of the API server as that server reaches it; else that of KUBECONFIG.",
)
@shown("there")
def openbao(files: tuple[Path, ...], namespace: str, token_file: Any, reviewer: str, cluster: str) -> Any:
    """Make engines, keys, policies and the Kubernetes auth method at `openbao.url`, and try its way to the data
    server. May be run again.
    """
    from tre.stack.examination.installation import of_files
    from tre.stack.preparation import secrets_server
    from tre.workspaces.kubernetes.api import Api

    api = Api.connect(Path(os.environ.get("KUBECONFIG") or "~/.kube/config").expanduser())
    wanted = of_files(namespace, files)
    token = token_file.read().strip()
    made = secrets_server.prepare(api, wanted, token=token, reviewer=reviewer, cluster=cluster or api.address)
    return [{"there": line} for line in made]
