"""Release requests: lists, one request as this person may see it, its files, comparing versions, downloads.

What may be seen is decided in `tre.outputs.views` and `viewing`; reviewing is in `review`.
"""

from __future__ import annotations

import base64
import hmac
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from tre.errors import Forbidden, NotFound
from tre.outputs.lists import Filters, RequestPage, list_requests
from tre.outputs.release import Download, download, signature_of
from tre.outputs.states import RequestState
from tre.outputs.views import RequestView, show_request
from tre.people.model import Role
from tre.people.rules import check_role
from tre.web.contents import PAGE_ROWS, compared, content_of, shown, shown_files
from tre.web.page import NOTHING_SENT, Sent, link, page
from tre.web.session import SignedIn, Visit, picture_asked

router = APIRouter()
ROWS = 25


def listed(visit: Visit, filters: Filters) -> RequestPage:
    with visit.platform.db.read() as session:
        return list_requests(session, visit.actor, filters, now=visit.now)


@router.get("/requests")
def requests(
    visit: SignedIn, state: str = "", project: str = "", search: str = "", after: int | None = None
) -> Response:
    filters = Filters(state=state, project=project, search=search.strip(), after=after, limit=ROWS)
    found = listed(visit, filters)
    more = link("requests", state=state, project=project, search=search, after=found.after) if found.after else ""
    return page(
        visit.request,
        "requests.html",
        found=found,
        more=more,
        first=link("requests", state=state, project=project, search=search) if after else "",
        filters=filters,
        states=[known for known in RequestState if known is not RequestState.draft],
    )


@router.get("/review")
def queue(visit: SignedIn, after: int | None = None) -> Response:
    """What waits for this output checker's vote, oldest first, and what waits for a decision or a release."""
    check_role(visit.actor, Role.checker)
    waiting = listed(visit, Filters(waiting=True, after=after, limit=ROWS))
    reviewed = [row for row in listed(visit, Filters(state=RequestState.in_review, limit=200)).rows if row.mine]
    approved = listed(visit, Filters(state=RequestState.approved, limit=ROWS)).rows
    return page(
        visit.request,
        "queue.html",
        waiting=waiting,
        more=link("review", after=waiting.after) if waiting.after else "",
        opened=[row for row in reviewed if row.reviews >= row.required],
        sealed=[row for row in reviewed if row.reviews < row.required],
        approved=approved,
    )


@router.get("/requests/{request_id}")
def request(request_id: int, visit: SignedIn, version: int | None = None) -> Response:
    return show(visit, request_id, NOTHING_SENT, version=version)


def view_of(visit: Visit, request_id: int, version: int | None = None) -> RequestView:
    return show_request(visit.platform.db, visit.actor, request_id, version=version)


def show(visit: Visit, request_id: int, sent: Sent, *, version: int | None = None) -> Response:
    view = view_of(visit, request_id, version)
    newest = view.version == view.versions
    files = shown_files(visit, view)
    return page(visit.request, "request.html", sent=sent, view=view, newest=newest, files=files)


@router.get("/requests/{request_id}/files/{position}")
def file(request_id: int, position: int, visit: SignedIn, version: int | None = None, start: int = 0) -> Response:
    """One file whole; a long table in parts."""
    view = view_of(visit, request_id, version)
    found = next((item for item in view.files if item.position == position), None)
    if found is None:
        raise NotFound(f"Version {view.version} has no file {position}.")
    item = shown(visit, view, found, start=max(start, 0), most=PAGE_ROWS)
    return page(visit.request, "file.html", view=view, item=item, rows=PAGE_ROWS)


@router.get("/requests/{request_id}/files/{position}/picture")
def picture(request_id: int, position: int, version: int, request: Request, key: str = "") -> Response:
    """Our own drawing of a figure. The key shows that the address came from a page of this session."""
    visit = picture_asked(request)
    path = link("requests", request_id, "files", position, "picture")
    if not hmac.compare_digest(key.encode(), visit.picture_key(path).encode()):
        raise Forbidden("This address does not belong to your session.", hint="Open the request's page.", code="csrf")
    found = content_of(visit, request_id, position, version)
    if found.picture is None:
        raise NotFound("This file has no picture.")
    return Response(found.picture, media_type="image/png")


@router.get("/requests/{request_id}/compare")
def compare(request_id: int, visit: SignedIn, version: int | None = None) -> Response:
    """A version beside the one before it."""
    new = view_of(visit, request_id, version)
    if new.version < 2:
        raise NotFound("This is the first version; there is nothing to compare it with.")
    old = view_of(visit, request_id, new.version - 1)
    return page(visit.request, "compare.html", view=new, old=old, files=compared(visit, new, old))


@router.get("/requests/{request_id}/download")
def download_crate(request_id: int, visit: SignedIn) -> Response:
    platform = visit.platform
    return attachment(download(platform.db, platform.content, visit.actor, request_id))


@router.get("/requests/{request_id}/files/{position}/download")
def download_file(request_id: int, position: int, visit: SignedIn) -> Response:
    platform = visit.platform
    return attachment(download(platform.db, platform.content, visit.actor, request_id, file=position))


@router.get("/requests/{request_id}/signature")
def signature(request_id: int, visit: SignedIn) -> Response:
    found = signature_of(visit.platform.db, visit.actor, request_id)
    name = f"release-{request_id}.signature.json"
    return JSONResponse(found, headers={"Content-Disposition": disposition(name)})


def attachment(found: Download) -> Response:
    """Bytes to be saved, never shown: whatever their type, the browser gets no page of ours made of them."""
    headers = {
        "Content-Disposition": disposition(found.name),
        "Content-Security-Policy": "default-src 'none'; sandbox",
        # RFC 9530: what was reviewed, for whoever wants to compare.
        "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(found.sha256)).decode()}:",
    }
    return Response(found.content, media_type="application/octet-stream", headers=headers)


def disposition(name: str) -> str:
    """RFC 6266: the name percent-encoded, so that no sign of it means anything to the header."""
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"
