"""The catalogue: every dataset with what may be said about its variables, readable by everybody who is signed in."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from tre.data import service
from tre.people.service import list_organisations
from tre.web.page import link, page
from tre.web.paging import Number, links, part_of
from tre.web.session import SignedIn

router = APIRouter()
VARIABLES = 100


@router.get("/datasets")
def datasets(visit: SignedIn, q: str = "", number: Number = 1) -> Response:
    wanted = q.strip()[:100].casefold()
    with visit.platform.db.read() as session:
        found = [
            dataset
            for dataset in service.list_datasets(session)
            if not wanted or wanted in f"{dataset.slug} {dataset.title} {dataset.description}".casefold()
        ]
        organisations = {organisation.slug: organisation.name for organisation in list_organisations(session)}
        part = part_of(found, number)
        return page(
            visit.request,
            "datasets.html",
            part=part,
            q=q,
            organisations=organisations,
            links=links(part, link("datasets"), q=q),
        )


@router.get("/datasets/{slug}")
def dataset(slug: str, visit: SignedIn, number: Number = 1) -> Response:
    with visit.platform.db.read() as session:
        found = service.get(session, slug)
        organisations = {organisation.slug: organisation.name for organisation in list_organisations(session)}
        part = part_of(found.variables, number, VARIABLES)
        return page(
            visit.request,
            "dataset.html",
            dataset=found,
            organisation=organisations.get(found.organisation_slug, found.organisation_slug),
            part=part,
            links=links(part, link("datasets", slug)),
        )
