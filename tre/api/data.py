"""Datasets, grants and extracts over HTTP: register, look, decide, end, build again."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field

from tre.api.auth import CurrentActor, PlatformHere
from tre.api.body import Body, Line, Name, Text
from tre.data import extracts, grants, service
from tre.data.grants import Terms
from tre.data.model import Dataset, Delivery, Extract, Grant, Sensitivity, SourceKind, Variable
from tre.data.service import Described, NewDataset
from tre.data.sources import Places
from tre.errors import NotFound
from tre.projects.model import RefusalCode

router = APIRouter(tags=["data"])
GrantId = Annotated[int, Path(ge=1, le=2**53)]


class DescribedBody(Body):
    description: str = Field(default="", max_length=2000)
    identifier: bool = False
    scheme: str = Field(default="", max_length=64)


class DatasetBody(Body):
    slug: Name
    title: Line
    description: Text
    organisation: Name
    legal_basis: Text
    terms: Text
    sensitivity: Sensitivity
    source_kind: SourceKind
    source: dict[str, str] = Field(max_length=4)
    units: list[Name] = Field(default_factory=list, max_length=10)
    variables: dict[str, DescribedBody] = Field(default_factory=dict, max_length=5000)


class GrantBody(Body):
    dataset: Name
    until: date
    reason: Text
    delivery: Delivery = Delivery.both
    columns: list[Name] = Field(default_factory=list, max_length=5000)
    pseudonymised: list[Name] = Field(default_factory=list, max_length=5000)
    rows: dict[str, Any] | None = None


class RefusalBody(Body):
    dataset: Name
    code: RefusalCode
    reason: Text
    would_change: Text


class ReasonBody(Body):
    reason: Line


def dataset_summary(dataset: Dataset) -> dict[str, Any]:
    names = ("slug", "title", "sensitivity", "row_count", "unit_count", "registered_at", "profiled_at", "withdrawn_at")
    return {"organisation": dataset.organisation_slug, **{name: getattr(dataset, name) for name in names}}


def variable_view(variable: Variable) -> dict[str, Any]:
    names = ("name", "kind", "description", "identifier", "unit", "missing", "lowest", "highest", "categories")
    return {name: getattr(variable, name) for name in names}


def dataset_view(dataset: Dataset) -> dict[str, Any]:
    """The catalogue's entry: nothing in it is closer to the data than the disclosure control of the register allows."""
    texts = {name: getattr(dataset, name) for name in ("description", "legal_basis", "terms")}
    return {**dataset_summary(dataset), **texts, "variables": [variable_view(v) for v in dataset.variables]}


def grant_view(grant: Grant) -> dict[str, Any]:
    names = (
        *("id", "decision", "columns", "pseudonymised", "rows", "delivery", "until", "code", "reason", "would_change"),
        *("decided_by", "decided_at", "ended_at", "end_reason"),
    )
    about = {"project": grant.project.slug, "dataset": grant.dataset.slug}
    return {**about, **{name: getattr(grant, name) for name in names}}


def extract_view(extract: Extract) -> dict[str, Any]:
    names = ("id", "state", "state_since", "reason", "attempts", "digest")
    about = {"project": extract.grant.project.slug, "dataset": extract.grant.dataset.slug, "grant": extract.grant_id}
    rows = (extract.manifest or {}).get("rows")
    return {**about, **{name: getattr(extract, name) for name in names}, "rows": rows}


@router.get("/datasets")
def datasets(platform: PlatformHere, actor: CurrentActor, organisation: str = "") -> list[dict[str, Any]]:
    """The catalogue: everybody who is signed in may read it before applying."""
    with platform.db.read() as session:
        return [dataset_summary(found) for found in service.list_datasets(session, organisation=organisation)]


@router.get("/datasets/{slug}")
def dataset(slug: str, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    with platform.db.read() as session:
        return dataset_view(service.get(session, slug))


@router.post("/datasets", status_code=201)
def register(body: DatasetBody, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    values = body.model_dump(exclude={"variables", "units"})
    described = {name: Described(**said.model_dump()) for name, said in body.variables.items()}
    new = NewDataset(**values, units=tuple(body.units), described=described)
    service.register(platform.db, Places.from_settings(platform.settings), actor, new)
    return {"slug": body.slug}


@router.post("/datasets/{slug}/profile")
def profile(slug: str, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    """Measures the source again."""
    service.profile_again(platform.db, Places.from_settings(platform.settings), actor, slug)
    return dataset(slug, platform, actor)


@router.post("/datasets/{slug}/withdraw")
def withdraw(slug: str, body: ReasonBody, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    service.withdraw(platform.db, actor, slug, reason=body.reason)
    return {"slug": slug, "withdrawn": True}


@router.get("/grants")
def list_grants(
    platform: PlatformHere, actor: CurrentActor, project: str = "", dataset: str = ""
) -> list[dict[str, Any]]:
    with platform.db.read() as session:
        return [grant_view(grant) for grant in grants.list_grants(session, actor, project=project, dataset=dataset)]


@router.post("/projects/{slug}/grants", status_code=201)
def give(slug: str, body: GrantBody, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    terms = Terms(body.until, body.delivery, tuple(body.columns), tuple(body.pseudonymised), body.rows)
    number = grants.give(platform.db, actor, project=slug, dataset=body.dataset, terms=terms, reason=body.reason)
    return {"grant": number, "project": slug, "dataset": body.dataset}


@router.post("/projects/{slug}/grants/refuse", status_code=201)
def refuse(slug: str, body: RefusalBody, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    number = grants.refuse(platform.db, actor, project=slug, **body.model_dump())
    return {"grant": number, "project": slug, "dataset": body.dataset, "decision": "refused"}


@router.post("/grants/{grant_id}/end")
def end(grant_id: GrantId, body: ReasonBody, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    grants.end(platform.db, actor, grant_id, reason=body.reason)
    return {"grant": grant_id, "ended": True}


@router.get("/extracts")
def list_extracts(
    platform: PlatformHere, actor: CurrentActor, project: str = "", dataset: str = ""
) -> list[dict[str, Any]]:
    """The live extract of each grant that the caller may see."""
    with platform.db.read() as session:
        found = grants.list_grants(session, actor, project=project, dataset=dataset)
        live = (grants.live_extract(session, grant.id) for grant in found)
        return [extract_view(extract) for extract in live if extract is not None]


@router.get("/grants/{grant_id}/extract")
def extract(grant_id: GrantId, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    """The live extract of one grant, with its manifest."""
    with platform.db.read() as session:
        found = grants.live_extract(session, grants.seen(session, actor, grant_id).id)
        if found is None:
            raise NotFound(f"There is no extract of grant {grant_id}.", field="grant")
        return {**extract_view(found), "manifest": found.manifest}


@router.post("/grants/{grant_id}/extract")
def build(grant_id: GrantId, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    """Builds a failed extract again."""
    extracts.build_again(platform.db, actor, grant_id)
    return {"grant": grant_id, "state": "queued"}
