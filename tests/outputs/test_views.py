"""What each person reads of a request at each moment: sealed votes, comments, and words written next to the data."""

import json
from dataclasses import asdict

import pytest

from tests.outputs.house import PEOPLE, House
from tre.errors import Forbidden, InvalidInput
from tre.outputs import release, service
from tre.outputs.lists import Filters, list_requests
from tre.outputs.model import Choice
from tre.outputs.review import Verdict
from tre.outputs.service import Submitted
from tre.outputs.views import RequestView, show_request

SECRET = "xyzzy"  # what cora writes with her vote
MAY_SEE = ("ada", "ben", "cora", "carl", "cleo", "adam", "audrey", "spy")


def show(house: House, who: str, sent: Submitted, via: str = "web") -> RequestView:
    return show_request(house.db, house.actor(who, via), sent.request)


def everything(house: House, who: str, sent: Submitted) -> str:
    """All that a person can read of the request through every function, as text."""
    with house.db.read() as session:
        page = list_requests(session, house.actor(who), Filters(), now=house.clock())
    seen = [asdict(show_request(house.db, house.actor(who, via), sent.request)) for via in ("web", "notebook")]
    record = house.events() if who in ("adam", "audrey", "spy") else []
    return json.dumps([seen, asdict(page), record], default=str)


def one_has_voted(house: House) -> Submitted:
    sent = house.in_review()
    house.vote("cora", sent, Choice.reject, comment=SECRET)
    service.comment(house.db, house.actor("cora"), sent.request, text=f"{SECRET}!", audience="everybody")
    service.comment(house.db, house.actor("cora"), sent.request, text=f"{SECRET}?", audience="checkers", file=1)
    return sent


@pytest.mark.parametrize("who", [name for name in MAY_SEE if name != "cora"])
def test_nobody_reads_the_first_vote_early(house: House, who: str) -> None:
    sent = one_has_voted(house)
    read = everything(house, who, sent)
    assert SECRET not in read
    assert "reject" not in read.replace("rejected", "").replace('"outcome": "refused"', "")
    assert "conflicted" not in read


def test_ones_own_vote_and_words_are_there(house: House) -> None:
    seen = show(house, "cora", one_has_voted(house))
    assert seen.files[0].mine.choice == "reject"
    assert [comment.text for comment in seen.comments] == [f"{SECRET}!", f"{SECRET}?"]
    assert (seen.stage, seen.reviews, seen.required) == ("sealed", 1, 2)


def test_when_all_are_in_those_who_voted_see_each_other(house: House) -> None:
    sent = one_has_voted(house)
    house.vote("carl", sent)
    for who in ("cora", "carl", "adam", "audrey"):
        seen = show(house, who, sent)
        assert {vote.reviewer: vote.choice for vote in seen.files[0].votes} == {"cora": "reject", "carl": "approve"}
        assert seen.files[0].decision == "conflicted"
    for who in ("ada", "ben", "cleo", "spy"):
        assert SECRET not in json.dumps(asdict(show(house, who, sent)), default=str)


def test_the_author_learns_the_decision_from_numbers(house: House) -> None:
    sent = one_has_voted(house)
    house.vote("carl", sent, Choice.reject, comment="Too small.")
    house.decide("carl", sent, Verdict.return_, "Too small.")
    seen = show(house, "ada", sent)
    assert (seen.state, seen.reason, seen.files[0].decision) == ("returned", "Too small.", "rejected")
    remarks = sorted((vote.reviewer, vote.choice, vote.comment) for vote in seen.files[0].votes)
    assert remarks == [("checker 1", "", SECRET), ("checker 2", "", "Too small.")]
    assert [(c.author, c.text) for c in seen.comments] == [("checker 1", f"{SECRET}!")]
    assert "cora" not in json.dumps(asdict(seen), default=str)


def test_words_of_an_earlier_review_do_not_leak_from_a_later_one(house: House) -> None:
    sent = one_has_voted(house)
    house.vote("carl", sent, Choice.reject)
    house.decide("carl", sent, Verdict.return_)
    house.submit(request=sent.request)
    house.check()
    service.comment(house.db, house.actor("carl"), sent.request, text="second thoughts", audience="checkers")
    assert "second thoughts" not in json.dumps(asdict(show(house, "cora", sent)), default=str)


@pytest.mark.parametrize("who", sorted(set(PEOPLE) - set(MAY_SEE)))
def test_others_see_nothing(house: House, who: str) -> None:
    sent = house.in_review()
    with pytest.raises(Forbidden):
        show(house, who, sent)
    assert house.events("request.show")[0]["outcome"] == "refused"
    with house.db.read() as session:
        assert list_requests(session, house.actor(who), Filters(), now=house.clock()).rows == ()


def test_a_request_is_no_way_out_for_text(house: House) -> None:
    """What was written next to the data is shown to the project inside the workspace only, until it is released."""
    sent = house.submit(house.file(content=b"a,b\nleak,3\n,\n"), context="leaked words", controls="leaked too")
    house.check()
    inside = json.dumps(asdict(show(house, "ada", sent, "notebook")), default=str)
    outside = json.dumps(asdict(show(house, "ada", sent, "cli")), default=str)
    assert "leaked words" in inside
    assert "leak" not in outside
    assert "leaked words" in json.dumps(asdict(show(house, "cora", sent)), default=str)


def test_words_that_were_returned_stay_inside_when_a_later_version_is_released(house: House) -> None:
    sent = house.submit(house.file(), context="leaked words", controls="leaked too")
    house.check()
    for who in ("cora", "carl"):
        house.vote(who, sent, Choice.request_changes)
    house.decide("cora", sent, Verdict.return_)
    again = house.submit(request=sent.request)
    house.check()
    for who in ("cora", "carl"):
        house.vote(who, again)
    house.decide("carl", again)
    release.release(house.db, house.actor("cora"), again.request, version=again.version)
    assert release.step(house.db, house.release_desk())
    for via, sees in (("cli", False), ("web", False), ("notebook", True)):
        first = show_request(house.db, house.actor("ada", via), sent.request, version=1)
        assert ("leaked" in str(first)) == sees, via
    assert show_request(house.db, house.actor("ada"), sent.request).context == "Counts by sex."


def test_the_project_and_its_checkers_talk(house: House) -> None:
    sent = house.in_review()
    for who in ("ada", "ben"):
        service.comment(house.db, house.actor(who), sent.request, text=f"from {who}", audience="everybody")
    assert [c.text for c in show(house, "cora", sent).comments] == ["from ada", "from ben"]
    with pytest.raises(Forbidden):
        service.comment(house.db, house.actor("ada"), sent.request, text="psst", audience="checkers")
    for who in ("adam", "audrey", "old", "bias", "eve"):
        with pytest.raises(Forbidden):
            service.comment(house.db, house.actor(who), sent.request, text="hello", audience="everybody")
    with pytest.raises(InvalidInput):
        service.comment(house.db, house.actor("ada"), sent.request, text="\u202ehello", audience="everybody")


def test_actions_are_what_works_now(house: House) -> None:
    sent = house.in_review()
    assert show(house, "ada", sent).actions == ("comment",)
    assert show(house, "cora", sent).actions == ("view", "comment", "vote")
    assert show(house, "adam", sent).actions == ()
    for who in ("cora", "carl"):
        house.vote(who, sent)
    assert show(house, "cora", sent).actions == ("view", "comment", "decide")
    house.decide("cora", sent)
    assert show(house, "cleo", sent).actions == ("view", "comment", "decide", "release")


def test_what_changed_since_the_version_before(house: House) -> None:
    second = house.file("second.csv", b"a,b\nx,20\n")
    sent = house.in_review(house.file(), second)
    for who in ("cora", "carl"):
        house.vote(who, sent, Choice.request_changes, files=(1, 2))
    house.decide("cora", sent, Verdict.return_)
    house.submit(house.file(content=b"sex,value\nF,30\n"), second, request=sent.request)
    assert [file.changed for file in show(house, "cora", sent).files] == [True, False]


def test_earlier_releases_are_at_hand(house: House) -> None:
    first = house.released()
    second = house.in_review()
    seen = show(house, "cora", second)
    assert [(out.request, out.title) for out in seen.earlier] == [(first.request, "First results")]
    assert show(house, "ada", first).release.version == 1
