"""Role × action × relation: every combination, against one table written down here."""

import itertools

import pytest

from tre.audit import Actor
from tre.errors import TreError
from tre.outputs import rules, visibility
from tre.outputs.rules import Ties
from tre.outputs.visibility import Side, Stage, Viewer
from tre.people.model import Role

ROLES = [frozenset(held) for n in range(len(Role) + 1) for held in itertools.combinations(Role, n)]
#: Every way to stand to a request, those that no service finds together as well.
EVERY_TIES = [Ties(*flags) for flags in itertools.product((False, True), repeat=6)]
RELATIONS = {
    "stranger": Ties(),
    "author": Ties(author=True, member=True, ever=True),
    "author who left": Ties(author=True, ever=True),
    "member": Ties(member=True, ever=True),
    "former member": Ties(ever=True),
    "colleague": Ties(colleague=True),
    "conflicted": Ties(conflicted=True),
    "custodian": Ties(custodian=True),
    "conflicted custodian": Ties(custodian=True, conflicted=True),
    "conflicted member": Ties(member=True, ever=True, conflicted=True),
}
ACTIONS = {
    "review": rules.check_review,
    "see": lambda actor, ties: rules.check_see(actor, ties, "in_review"),
    "see what is out": lambda actor, ties: rules.check_see(actor, ties, "released"),
    "download": rules.check_download,
    "comment": rules.check_comment,
    "recall": rules.check_recall,
    "retry": rules.check_retry,
    "withdraw": lambda actor, ties: rules.check_author(ties),
}
MEMBERS = {"author", "member", "conflicted member"}
CUSTODIANS = {"custodian", "conflicted custodian"}
# Answering for the data is no tie that speaks against reviewing.
FREE = {"stranger", "custodian"}


def expected(action: str, roles: frozenset[Role], relation: str) -> bool:
    """What a person may, said another way than the rules say it."""
    checker = Role.checker in roles and relation in FREE
    administrator = Role.administrator in roles
    knows = checker or relation in MEMBERS or administrator or Role.auditor in roles
    return {
        "review": checker,
        "see": knows,
        "see what is out": knows or relation in CUSTODIANS,
        "download": checker or relation in MEMBERS,
        "comment": checker or relation in MEMBERS,
        "recall": checker or relation in ("author", "author who left", *CUSTODIANS) or administrator,
        "retry": checker or relation == "author" or administrator,
        "withdraw": relation == "author",
    }[action]


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("action", ACTIONS)
def test_every_combination(action: str, relation: str) -> None:
    for roles in ROLES:
        try:
            ACTIONS[action](Actor("x", roles), RELATIONS[relation])
            allowed = True
        except TreError:
            allowed = False
        assert allowed == expected(action, roles, relation), (action, sorted(roles), relation)


def expected_of(action: str, roles: frozenset[Role], ties: Ties) -> bool:
    """The same for any ties at all."""
    near = ties.author or ties.member or ties.ever or ties.colleague or ties.conflicted
    checker = Role.checker in roles and not near
    administrator = Role.administrator in roles
    concerned = ties.member or checker
    knows = concerned or administrator or Role.auditor in roles
    return {
        "review": checker,
        "see": knows,
        "see what is out": knows or ties.custodian,
        "download": concerned,
        "comment": concerned,
        "recall": ties.author or ties.custodian or checker or administrator,
        "retry": (ties.author and ties.member) or checker or administrator,
        "withdraw": ties.author and ties.member,
    }[action]


@pytest.mark.parametrize("action", ACTIONS)
def test_every_combination_of_roles_and_ties(action: str) -> None:
    assert (len(ROLES), len(set(EVERY_TIES))) == (32, 64)
    for roles, ties in itertools.product(ROLES, EVERY_TIES):
        try:
            ACTIONS[action](Actor("x", roles), ties)
            allowed = True
        except TreError:
            allowed = False
        assert allowed == expected_of(action, roles, ties), (action, sorted(roles), ties)


@pytest.mark.parametrize("relation", RELATIONS)
def test_everybody_looks_from_one_side(relation: str) -> None:
    for roles in ROLES:
        side = visibility.viewer_of(Actor("x", roles), RELATIONS[relation]).side
        if relation in (*MEMBERS, "author who left"):
            assert side is Side.project
        else:
            assert (side is Side.checker) == (Role.checker in roles and relation in FREE)
            staff = bool(roles & {Role.administrator, Role.auditor})
            assert (side is Side.staff) == (staff and side is not Side.checker)


VIEWERS = [Viewer("x", side, reviewed) for side in Side for reviewed in (False, True)]


@pytest.mark.parametrize("viewer", VIEWERS, ids=str)
@pytest.mark.parametrize("stage", Stage)
def test_who_sees_a_vote_of_somebody_else(viewer: Viewer, stage: Stage) -> None:
    sees = visibility.can_see_vote(viewer, stage, "y")
    if stage is Stage.sealed or viewer.side in (Side.project, Side.custodian):
        assert not sees
    elif stage is Stage.opened:
        assert sees == (viewer.reviewed or viewer.side is Side.staff)
    else:
        assert sees


@pytest.mark.parametrize("viewer", VIEWERS, ids=str)
@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("audience", ["everybody", "checkers"])
def test_who_sees_a_checkers_comment(viewer: Viewer, stage: Stage, audience: str) -> None:
    sees = visibility.can_see_comment(viewer, stage, author="y", by_checker=True, audience=audience)
    assert visibility.can_see_comment(viewer, stage, author="y", by_checker=False, audience="everybody")
    outside = viewer.side in (Side.project, Side.custodian)
    if stage is Stage.sealed or (outside and (audience == "checkers" or stage is Stage.opened)):
        assert not sees
    if stage is Stage.decided and not outside:
        assert sees
