"""What ends for ever with a closed project: its database, and the key of its pseudonyms.

Decides when: once its last extract is gone (`removal`). Without the key nobody, the platform included, can say whose a
pseudonym in a released table or a home folder was. Destroys first and records then; what was killed in between is done
again to the same end. A key is never made anew: a worker that was still building finds it destroyed.
"""

from __future__ import annotations

import logging
from typing import Protocol

from sqlalchemy import exists, func, select

from tre.audit import SYSTEM, use_case
from tre.data.model import Extract, ExtractState, Grant
from tre.errors import TreError
from tre.projects.model import Project, ProjectState
from tre.projects.service import get as get_project
from tre.store import Database

log = logging.getLogger(__name__)


class Keys(Protocol):
    """What is asked of the secrets server (`tre.credentials.Secrets` answers). All may be asked again."""

    def project_remove(self, project: str) -> None: ...
    def pseudonym_key_destroy(self, project: str) -> None: ...


def erase_one(db: Database, secrets: Keys) -> bool:
    """Erases what the first closed project leaves; False when there is none. One whose servers do not answer stays as
    it is, for the next pass.
    """
    for project in _due(db):
        try:
            _erase(db, secrets, project)
        except TreError as problem:
            log.warning("project %s could not be erased: %s", project, problem.message)
        else:
            return True
    return False


def _due(db: Database) -> list[str]:
    kept = exists().where(
        Grant.project_id == Project.id, Extract.grant_id == Grant.id, Extract.state != ExtractState.removed
    )
    query = select(Project.slug).where(Project.state == ProjectState.closed, Project.erased_at.is_(None), ~kept)
    with db.read() as session:
        return list(session.scalars(query.order_by(Project.id)))


def _erase(db: Database, secrets: Keys, slug: str) -> None:
    with use_case(db, SYSTEM, "project.erase", f"project:{slug}") as case:
        project = get_project(case.session, slug, lock=True)
        if project.erased_at is not None:
            case.nothing_changed()
            return
        secrets.project_remove(slug)
        secrets.pseudonym_key_destroy(slug)
        removed = select(func.count()).select_from(Extract).join(Grant).where(Grant.project_id == project.id)
        case.note(extracts_removed=case.session.scalars(removed).one(), database="dropped", pseudonym_key="destroyed")
        project.erased_at = case.now
