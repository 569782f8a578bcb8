"""Blind review: who may vote, what nobody reads early, what votes come to, who decides."""

import json
from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from tests.outputs.house import House
from tre.errors import Conflict, Forbidden, InvalidInput, Refusal, TreError
from tre.outputs import access, limits, release, review
from tre.outputs.model import Choice, ReleaseRequest, Vote
from tre.outputs.review import Ballot, Verdict
from tre.outputs.viewing import view_file
from tre.people.model import Person, RoleHeld
from tre.projects.model import Member, Project

CHANGE, REJECT = Choice.request_changes, Choice.reject


TIED = {
    "ada": "own_request",
    "ben": "own_project",
    "old": "own_project",
    "bias": "conflict_of_interest",
    "eve": "forbidden",
    "adam": "forbidden",
    "audrey": "forbidden",
}


def test_only_checkers_without_a_tie_vote(house: House) -> None:
    sent = house.in_review()
    for who, code in TIED.items():
        with pytest.raises(Forbidden) as refused:
            house.vote(who, sent)
        assert refused.value.error_code == code
        event = house.events("request.vote")[0]
        assert (event["outcome"], event["actor"]) == ("refused", who)


def test_two_votes_open_the_review_and_the_decision_follows(house: House) -> None:
    sent = house.in_review()
    assert house.vote("cora", sent) == review.Voted(complete=True, opened=False)
    assert house.vote("carl", sent) == review.Voted(complete=True, opened=True)
    assert house.state(sent) == "in_review"
    house.decide("cora", sent)
    assert house.state(sent) == "approved"


def test_one_reviewer_is_never_two(house: House) -> None:
    sent = house.in_review()
    for _ in range(3):
        assert not house.vote("cora", sent).opened
    with pytest.raises(Conflict, match="Not all required votes"):
        house.decide("cora", sent)


def test_every_file_needs_a_vote(house: House) -> None:
    sent = house.in_review(house.file(), house.file("second.csv", b"a,b\nx,20\n"))
    assert not house.vote("cora", sent).complete
    assert house.vote("cora", sent, files=(2,)).complete


def test_a_caller_cannot_lower_the_number_of_reviewers(house: House) -> None:
    with pytest.raises(InvalidInput, match="from 2 to 5"):
        limits.change(house.db, house.actor("adam"), {"reviewers_required": 1})
    with pytest.raises(Forbidden):
        limits.change(house.db, house.actor("cora"), {"reviewers_required": 3})
    with pytest.raises(Conflict, match="ck_output_settings_reviewers"), house.db.transaction() as session:
        session.execute(update(limits.OutputSettings).values(reviewers_required=1))


def test_a_review_keeps_the_number_that_it_began_with(house: House) -> None:
    limits.change(house.db, house.actor("adam"), {"reviewers_required": 3})
    sent = house.in_review()
    limits.change(house.db, house.actor("adam"), {"reviewers_required": 2})
    house.vote("cora", sent)
    assert not house.vote("carl", sent).opened
    assert house.vote("cleo", sent).opened


def test_votes_are_about_one_version(house: House) -> None:
    sent = house.in_review()
    house.vote("cora", sent)
    house.vote("carl", sent, CHANGE)
    house.decide("carl", sent, Verdict.return_)
    again = house.submit(request=sent.request)
    house.check()
    with pytest.raises(Conflict) as refused:
        house.vote("cora", sent)
    assert refused.value.error_code == "old_version"
    assert not house.vote("carl", again).opened, "earlier votes are gone"


def test_nothing_on_record_tells_a_sealed_vote(house: House) -> None:
    sent = house.in_review()
    house.vote("cora", sent, REJECT, comment="A person stands out.")
    said = json.dumps(house.events())
    assert "reject" not in said
    assert "stands out" not in said


def test_the_opening_proves_what_was_sealed(house: House) -> None:
    sent = house.in_review()
    house.vote("cora", sent, REJECT, comment="A person stands out.")
    house.vote("carl", sent)
    opened, sealed = house.events("request.vote")[:2]
    assert {v["reviewer"]: v["choice"] for v in opened["detail"]["votes"]} == {"cora": "reject", "carl": "approve"}
    with house.db.read() as session:
        vote = session.scalars(select(Vote).where(Vote.reviewer == "cora")).one()
        assert sealed["detail"]["commitments"] == {"1": review.commitment(vote)}


def test_ones_own_vote_changes_until_the_last_is_in(house: House) -> None:
    sent = house.in_review()
    house.vote("cora", sent, REJECT)
    house.vote("cora", sent)
    house.vote("carl", sent)
    with pytest.raises(Conflict) as refused:
        house.vote("cora", sent, REJECT)
    assert refused.value.error_code == "final"


def test_a_third_checker_comes_too_late(house: House) -> None:
    sent = house.in_review()
    house.vote("cora", sent)
    house.vote("carl", sent)
    with pytest.raises(Conflict) as refused:
        house.vote("cleo", sent)
    assert refused.value.error_code == "review_complete"
    with pytest.raises(Forbidden) as refused_too:
        house.decide("cleo", sent)
    assert refused_too.value.error_code == "not_a_reviewer"


def test_a_conflict_is_settled_in_the_open_or_goes_back(house: House) -> None:
    sent = house.in_review()
    house.vote("cora", sent)
    house.vote("carl", sent, CHANGE)
    with pytest.raises(Conflict) as refused:
        house.decide("cora", sent)
    assert refused.value.error_code == "not_unanimous"
    with pytest.raises(InvalidInput, match="changed your mind"):
        house.vote("carl", sent)
    house.vote("carl", sent, comment="Cora is right: it is a legal limit.")
    house.decide("carl", sent)
    assert house.state(sent) == "approved"


def test_rejecting_needs_everybody(house: House) -> None:
    sent = house.in_review()
    house.vote("cora", sent, REJECT)
    house.vote("carl", sent)
    with pytest.raises(Conflict):
        house.decide("cora", sent, Verdict.reject)
    house.vote("carl", sent, REJECT)
    house.decide("cora", sent, Verdict.reject)
    assert house.state(sent) == "rejected"


@pytest.mark.parametrize("choice", [CHANGE, REJECT])
def test_what_is_no_approval_says_why(house: House, choice: Choice) -> None:
    sent = house.in_review()
    with pytest.raises(InvalidInput) as refused:
        review.vote(house.db, house.actor("cora"), sent.request, version=1, ballots=[Ballot(1, choice)])
    assert refused.value.field == "comment"


def test_an_approval_is_taken_back_before_anything_left(house: House) -> None:
    sent = house.approved()
    house.decide("cleo", sent, Verdict.return_, "The title names a hospital.")
    assert house.state(sent) == "returned"


def test_two_who_decide_at_once_leave_one_decision(house: House, at_once: Callable[..., list[object]]) -> None:
    sent = house.in_review()
    house.vote("cora", sent)
    house.vote("carl", sent)
    results = at_once(
        lambda: house.decide("cora", sent), lambda: house.decide("carl", sent, Verdict.return_, "No, wait.")
    )
    assert [isinstance(result, TreError) for result in results].count(True) <= 1
    assert house.state(sent) in ("approved", "returned")
    done = [event for event in house.events("request.decide") if event["outcome"] == "done"]
    assert len(done) == [isinstance(result, TreError) for result in results].count(False)


def test_two_who_vote_last_at_once_open_it_once(house: House, at_once: Callable[..., list[object]]) -> None:
    sent = house.in_review()
    results = at_once(*[lambda who=who: house.vote(who, sent) for who in ("cora", "carl", "cleo")])
    assert sum(isinstance(result, review.Voted) and result.opened for result in results) == 1
    with house.db.read() as session:
        version = access.version_of(session, access.get(session, sent.request))
        assert len(access.counted_reviews(session, version)) == 2


def test_who_joined_the_project_after_voting_no_longer_counts(house: House) -> None:
    sent = house.approved()
    with house.db.transaction() as session:
        cora = session.scalars(select(Person).where(Person.username == "cora")).one()
        project = session.scalars(select(Project).where(Project.slug == "cost")).one()
        session.add(Member(project_id=project.id, person_id=cora.id, joined_at=house.clock()))
    with pytest.raises(Conflict) as refused:
        release.release(house.db, house.actor("carl"), sent.request, version=1)
    assert refused.value.error_code == "not_unanimous"


def test_who_lost_the_role_after_voting_no_longer_counts(house: House) -> None:
    sent = house.approved()
    with house.db.transaction() as session:
        cora = session.scalars(select(Person).where(Person.username == "cora")).one()
        for held in session.scalars(select(RoleHeld).where(RoleHeld.person_id == cora.id)):
            session.delete(held)
    with pytest.raises(Conflict):
        release.release(house.db, house.actor("carl"), sent.request, version=1)


def test_a_forged_approval_in_the_state_alone_releases_nothing(house: House) -> None:
    sent = house.in_review()
    with house.db.transaction() as session:
        session.execute(update(ReleaseRequest).values(state="releasing"))
    assert release.step(house.db, house.release_desk())
    assert house.state(sent) == "failed"


def test_no_content_is_shown_before_it_was_checked(house: House) -> None:
    sent = house.submit()
    with pytest.raises(Conflict, match="not checked yet"):
        view_file(house.db, house.store, house.actor("cora"), sent.request, 1)


def test_reading_content_needs_a_checker_and_is_on_record(house: House) -> None:
    sent = house.in_review()
    seen = view_file(house.db, house.store, house.actor("cora"), sent.request, 1)
    assert seen.grid == (("sex", "value"), ("F", "30"), ("M", "40"))
    assert house.events("request.view_file")[0]["actor"] == "cora"
    for who in ("ada", "ben", "old", "bias", "adam", "audrey", "eve"):
        with pytest.raises(Refusal):
            view_file(house.db, house.store, house.actor(who), sent.request, 1)
