"""`tre dataset …`, `tre grant …`, `tre extract …`."""

from __future__ import annotations

import json
from typing import Any

import click

from tre.cli.client import call
from tre.cli.show import shown
from tre.people.words import REFUSAL_CODES

DELIVERIES = ("files", "database", "both")


@click.group()
def dataset() -> None:
    """The register: what each controller shares, with variables, missing shares and ranges."""


@dataset.command("list")
@click.option("--organisation", default="")
@shown("slug", "title", "organisation", "sensitivity", "row_count", "withdrawn_at")
def list_datasets(organisation: str) -> Any:
    """The catalogue: what may be asked for."""
    return call("GET", "/datasets", params={"organisation": organisation})


@dataset.command("show")
@click.argument("slug")
@shown()
def show_dataset(slug: str) -> Any:
    """One dataset with its variables."""
    return call("GET", f"/datasets/{slug}")


@dataset.command("register")
@click.argument("file", type=click.File())
@shown()
def register(file: Any) -> Any:
    """Register a dataset from a JSON file: slug, title, organisation, legal basis, terms, source, units, variables."""
    return call("POST", "/datasets", json=_json(file))


@dataset.command("profile")
@click.argument("slug")
@shown()
def profile(slug: str) -> Any:
    """Measure the source again."""
    return call("POST", f"/datasets/{slug}/profile")


@dataset.command("withdraw")
@click.argument("slug")
@click.option("--reason", required=True)
@shown()
def withdraw(slug: str, reason: str) -> Any:
    """Give no further grants on a dataset; standing ones go on."""
    return call("POST", f"/datasets/{slug}/withdraw", json={"reason": reason})


@click.group()
def grant() -> None:
    """Each controller's decision on its own data, project by project."""


@grant.command("list")
@click.option("--project", default="")
@click.option("--dataset", default="")
@shown("id", "project", "dataset", "decision", "columns", "pseudonymised", "delivery", "until", "ended_at")
def list_grants(project: str, dataset: str) -> Any:
    """The controllers' decisions that you may see, newest first."""
    return call("GET", "/grants", params={"project": project, "dataset": dataset})


@grant.command("give")
@click.argument("project")
@click.argument("dataset")
@click.option("--until", required=True, metavar="YYYY-MM-DD")
@click.option("--reason", required=True)
@click.option("--delivery", type=click.Choice(DELIVERIES), default="both")
@click.option("--column", "columns", multiple=True, help="Only these of the columns asked for; repeat.")
@click.option("--pseudonymise", multiple=True, help="A further column to pseudonymise; repeat.")
@click.option("--rows", type=click.File(), help="JSON file with a filter beside the one asked for.")
@shown()
def give(project: str, dataset: str, rows: Any, pseudonymise: tuple[str, ...], **values: Any) -> Any:
    """Grant what the project asks of your dataset, or less."""
    body = {**values, "dataset": dataset, "columns": list(values["columns"]), "pseudonymised": list(pseudonymise)}
    return call("POST", f"/projects/{project}/grants", json={**body, "rows": _json(rows) if rows else None})


@grant.command("refuse")
@click.argument("project")
@click.argument("dataset")
@click.option("--code", type=click.Choice(REFUSAL_CODES), required=True)
@click.option("--reason", required=True)
@click.option("--would-change", required=True, help="What would change the decision.")
@shown()
def refuse(project: str, **body: str) -> Any:
    """Refuse what the project asks of your dataset."""
    return call("POST", f"/projects/{project}/grants/refuse", json=body)


@grant.command("end")
@click.argument("id", type=int)
@click.option("--reason", required=True)
@shown()
def end(id: int, reason: str) -> Any:
    """End a grant: running workspaces end within seconds, the extract is deleted with proof."""
    return call("POST", f"/grants/{id}/end", json={"reason": reason})


@click.group()
def extract() -> None:
    """Pinned, minimised, pseudonymised: what a project's workspaces see."""


@extract.command("list")
@click.option("--project", default="")
@click.option("--dataset", default="")
@shown("grant", "project", "dataset", "state", "state_since", "rows", "digest", "reason")
def list_extracts(project: str, dataset: str) -> Any:
    """The extracts that you may see, newest first."""
    return call("GET", "/extracts", params={"project": project, "dataset": dataset})


@extract.command("show")
@click.argument("grant", type=int)
@shown()
def show_extract(grant: int) -> Any:
    """The extract of a grant with its manifest: files, hashes, pseudonym scheme, source."""
    return call("GET", f"/grants/{grant}/extract")


@extract.command("build")
@click.argument("grant", type=int)
@shown()
def build(grant: int) -> Any:
    """Build the failed extract of a grant again."""
    return call("POST", f"/grants/{grant}/extract")


def _json(file: Any) -> Any:
    try:
        return json.load(file)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint=file.name) from error
