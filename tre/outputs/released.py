"""What a project has released: the context without which no checker sees what two outputs tell together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from tre.outputs.model import Release, ReleaseRequest


@dataclass(frozen=True)
class ReleaseView:
    """A crate that is out; `recalled_at` when it was called back."""

    request: int
    version: int
    title: str
    crate: str
    sha256: str
    size: int
    released_at: datetime
    recalled_at: datetime | None
    recall_reason: str


def project_releases(session: Session, project: str, *, limit: int = 100) -> tuple[ReleaseView, ...]:
    """What the project has released, newest first, recalled ones too."""
    query = (
        select(Release, ReleaseRequest.title)
        .join(ReleaseRequest, ReleaseRequest.id == Release.request_id)
        .where(ReleaseRequest.project_slug == project)
        .order_by(Release.request_id.desc())
        .limit(limit)
    )
    return tuple(
        ReleaseView(
            request=out.request_id,
            version=out.version,
            title=title,
            crate=out.crate,
            sha256=out.digest,
            size=out.size,
            released_at=out.released_at,
            recalled_at=out.recalled_at,
            recall_reason=out.recall_reason,
        )
        for out, title in session.execute(query)
    )
