"""Role × action × relation over people, data, projects and workspaces: every combination, against one table that says
it another way than the rules do. Release requests have theirs in `tests/outputs/test_matrix.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from itertools import chain, combinations, product

import pytest

from tre.audit import Actor
from tre.data import rules as data
from tre.errors import Forbidden
from tre.people import rules as people
from tre.people.model import Role
from tre.projects import rules as projects
from tre.projects.model import Project
from tre.workspaces import rules as workspaces
from tre.workspaces.model import Workspace

#: All 32 sets of roles: rights of two roles together are those of each, and nobody's are none.
ROLES = [frozenset(held) for held in chain.from_iterable(combinations(Role, size) for size in range(len(Role) + 1))]
ADMINISTRATOR, AUDITOR, CUSTODIAN = Role.administrator, Role.auditor, Role.custodian


@dataclass(frozen=True)
class Relation:
    """How one person stands to one project, its data's controller, a workspace and another person."""

    self: bool
    member: bool
    proposer: bool
    answers: bool
    concerned: bool


RELATIONS = [Relation(*flags) for flags in product((False, True), repeat=5)]


def project(relation: Relation) -> Project:
    return Project(slug="heart", proposed_by="me" if relation.proposer else "rita", end_date=date(2030, 1, 1))


def team(relation: Relation) -> set[str]:
    return {"me", "rob"} if relation.member else {"rob"}


def controllers(relation: Relation) -> set[str]:
    return {"acme", "beta"} if relation.answers else {"beta"}


def somebody(relation: Relation) -> str:
    return "me" if relation.self else "eve"


def sees_grants(me: Actor, relation: Relation) -> None:
    if not data.can_see_grants(me, "acme", controllers(relation), team(relation)):
        raise Forbidden("no")


Act = Callable[[Actor, Relation], object]
May = Callable[[frozenset[Role], Relation], bool]
#: Action → how it is asked, and who may.
ACTIONS: dict[str, tuple[Act, May]] = {
    "read everything": (
        lambda me, _: people.check_can_read_everything(me),
        lambda roles, _: bool(roles & {ADMINISTRATOR, AUDITOR}),
    ),
    "give the role of a checker": (
        lambda me, to: people.check_grant_role(me, somebody(to), Role.checker, None),
        lambda roles, to: ADMINISTRATOR in roles and not to.self,
    ),
    "give the role of an administrator": (
        lambda me, to: people.check_grant_role(me, somebody(to), ADMINISTRATOR, None),
        lambda roles, to: ADMINISTRATOR in roles and not to.self,
    ),
    "make a custodian": (
        lambda me, to: people.check_grant_role(me, somebody(to), CUSTODIAN, "acme"),
        lambda roles, to: ADMINISTRATOR in roles and not to.self,
    ),
    "record a training": (
        lambda me, to: people.check_record_standing(me, somebody(to)),
        lambda roles, to: ADMINISTRATOR in roles and not to.self,
    ),
    "decide on a project": (
        lambda me, to: projects.check_decide(me, project(to), team(to)),
        lambda roles, to: ADMINISTRATOR in roles and not to.proposer and not to.member,
    ),
    "see a project": (
        lambda me, to: projects.check_see(me, team(to), concerned=to.concerned),
        lambda roles, to: to.member or to.concerned or bool(roles & {ADMINISTRATOR, AUDITOR}),
    ),
    "register a dataset": (
        lambda me, to: data.check_custodian(me, "acme", controllers(to)),
        lambda roles, to: CUSTODIAN in roles and to.answers,
    ),
    "decide on data": (
        lambda me, to: data.check_decide(me, "acme", controllers(to), team(to)),
        lambda roles, to: CUSTODIAN in roles and to.answers and not to.member,
    ),
    "end a grant": (
        lambda me, to: data.check_end(me, "acme", controllers(to)),
        lambda roles, to: ADMINISTRATOR in roles or (CUSTODIAN in roles and to.answers),
    ),
    "see grants": (
        sees_grants,
        lambda roles, to: bool(roles & {ADMINISTRATOR, AUDITOR}) or to.member or to.answers,
    ),
    "see a workspace": (
        lambda me, to: workspaces.check_see(me, Workspace(id="w", username=somebody(to))),
        lambda roles, to: to.self or bool(roles & {ADMINISTRATOR, AUDITOR}),
    ),
    "stop a workspace": (
        lambda me, to: workspaces.check_stop(me, Workspace(id="w", username=somebody(to))),
        lambda roles, to: to.self or ADMINISTRATOR in roles,
    ),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_every_combination(action: str) -> None:
    act, may = ACTIONS[action]
    for roles, relation in product(ROLES, RELATIONS):
        try:
            act(Actor("me", roles), relation)
            allowed = True
        except Forbidden:
            allowed = False
        assert allowed == may(roles, relation), (action, sorted(roles), relation)


def test_every_set_of_roles_and_every_relation_is_tried() -> None:
    assert (len(ROLES), len(set(ROLES)), len(set(RELATIONS))) == (32, 32, 32)
