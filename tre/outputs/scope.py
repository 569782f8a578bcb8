"""Which release requests a person may know of, as conditions of a query.

Decides the scope of a person: members their projects, output checkers what they have no tie to, custodians what is out
of their data, administrators and auditors all. The same ties as `access.ties`, asked for all requests at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from tre.audit import Actor
from tre.outputs.access import granted_data_of
from tre.outputs.model import ReleaseRequest
from tre.outputs.states import OUT
from tre.people.model import ConflictOfInterest, Person, Role
from tre.people.rules import has_role
from tre.people.service import custodian_of
from tre.projects.model import Member, Project


@dataclass(frozen=True)
class Scope:
    """`everything`, but for `hidden` projects and, outside their own, authors of `hidden_organisations`; or only the
    projects of `own`. In any case what is out of the projects that were granted data which they answer for, `granted`.
    """

    everything: bool
    own: tuple[str, ...]
    hidden: tuple[str, ...] = ()
    hidden_organisations: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()

    @property
    def condition(self) -> ColumnElement[bool] | None:
        """What of everything is shown; None where all is."""
        if not self.hidden_organisations:
            return None
        theirs = select(Person.username).where(Person.organisation_slug.in_(self.hidden_organisations))
        free = and_(ReleaseRequest.project_slug.not_in(self.hidden), ReleaseRequest.author.not_in(theirs))
        out = and_(ReleaseRequest.project_slug.in_(self.granted), ReleaseRequest.state.in_(OUT))
        return or_(free, ReleaseRequest.project_slug.in_(self.own), *([out] if self.granted else []))


def scope_of(session: Session, actor: Actor, *, reviewing: bool = False) -> Scope:
    """`reviewing` asks as an output checker only, whatever else they are."""
    query = select(Project.slug, Member.left_at).join(Member).join(Person).where(Person.username == actor.username)
    teams = session.execute(query).all()
    own = tuple(sorted(slug for slug, left in teams if left is None))
    if not reviewing and has_role(actor, Role.administrator, Role.auditor):
        return Scope(True, own)
    answers_for = custodian_of(session, actor.username) if has_role(actor, Role.custodian) else set()
    granted = tuple(sorted(granted_data_of(session, answers_for) - set(own)))
    if not has_role(actor, Role.checker):
        return Scope(False, own, granted=granted)
    projects, organisations = _interests(session, actor.username)
    proposed = session.scalars(select(Project.slug).where(Project.proposed_by == actor.username))
    tied = {slug for slug, _ in teams} | set(proposed) | projects
    return Scope(True, own, tuple(sorted(tied - set(own))), tuple(sorted(organisations)), granted)


def _interests(session: Session, username: str) -> tuple[set[str], set[str]]:
    """Projects and organisations that they declared an interest in, the projects with such organisations' data and
    their own organisation among them.
    """
    query = select(Person.organisation_slug, ConflictOfInterest.object).outerjoin(
        ConflictOfInterest, ConflictOfInterest.person_id == Person.id
    )
    found = session.execute(query.where(Person.username == username)).all()
    declared = [object.partition(":") for _, object in found if object]
    organisations = {name for kind, _, name in declared if kind == "organisation"}
    projects = {name for kind, _, name in declared if kind == "project"}
    return projects | granted_data_of(session, organisations), organisations | {own for own, _ in found}
