"""Release requests in the browser: what each side sees and does, blind votes, comparison, release, download, recall."""

import base64
import hashlib
import json
from datetime import timedelta
from pathlib import Path

import pytest

from tests.web.desk import CLEAN, MENDED, SMALL, Desk, picture
from tests.web.site import Page, Site
from tre.audit.service import events
from tre.data import grants
from tre.data.grants import Terms
from tre.data.model import Delivery
from tre.outputs.model import Choice
from tre.outputs.review import Verdict


@pytest.fixture
def desk(site: Site) -> Desk:
    site.project(team=("rob",))
    return Desk(site)


def vote_form(page: Page) -> int:
    """The place of the form with the votes among the page's forms."""
    forms = page.soup.main.find_all("form", method="post")
    return next(number for number, form in enumerate(forms) if form["action"].endswith("/vote"))


def test_a_checker_reviews_decides_and_releases_and_the_author_downloads(site: Site, desk: Desk):
    request = desk.submit(desk.file(), desk.file("plot.png", picture(), "figure"))
    cora, carl, rita = (site.visitor(name) for name in ("cora", "carl", "rita"))

    queue = cora.open("/tre/review")
    assert "Visits by sex" in queue.words
    assert "Review the request Visits by sex" in cora.open("/tre/").words
    page = cora.open(f"/tre/requests/{request}")
    assert "0 of 2 reviews are complete. Votes are sealed until all are in." in page.words
    assert "Their answer is due in 3 working days" in page.words
    assert [cell.get_text() for cell in page.soup.select(".tre-grid td")] == ["F", "300", "M", "220"]
    image = page.soup.select_one(".tre-picture img")
    assert image["alt"].startswith("Preview of plot.png")
    drawn = cora.send(
        "GET", image["src"], sec_fetch_site="same-origin", sec_fetch_dest="image", sec_fetch_mode="no-cors"
    )
    assert (drawn.status, drawn.headers["content-type"]) == (200, "image/png")

    ballots = {"choice-1": "approve", "choice-2": "approve"}
    kept = cora.follow(cora.submit(page, vote_form(page), **ballots))
    assert "Your vote is kept." in kept.words
    assert "1 of 2 reviews are complete" in kept.words
    page = carl.open(f"/tre/requests/{request}")
    carl.submit(page, vote_form(page), **ballots)
    assert "Decide on the request Visits by sex" in carl.open("/tre/").words

    page = carl.open(f"/tre/requests/{request}/decide")
    page = carl.follow(carl.submit(page, decision="approve"))
    assert "approved" in page.words
    released = carl.follow(carl.submit(page, 0))
    assert "The release has begun." in released.words
    desk.carry_out()

    page = rita.open(f"/tre/requests/{request}")
    assert "Nobody's: the outputs are released." in page.words
    answer = rita.open(f"/tre/requests/{request}/files/1/download")
    assert answer.text.encode() == CLEAN
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''by-sex.csv"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    digest = base64.b64encode(hashlib.sha256(CLEAN).digest()).decode()
    assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"
    crate = rita.open(f"/tre/requests/{request}/download")
    assert (crate.status, crate.headers["content-type"]) == (200, "application/octet-stream")
    signature = rita.open(f"/tre/requests/{request}/signature")
    assert signature.headers["content-disposition"].endswith(f"release-{request}.signature.json")

    page = rita.open(f"/tre/requests/{request}/recall")
    page = rita.follow(rita.submit(page, reason="Table 1 was wrong."))
    assert "Recalled" in page.words
    refused = rita.open(f"/tre/requests/{request}/files/1/download")
    assert (refused.status, "This release was recalled." in refused.words) == (403, True)


def test_votes_are_not_in_anybody_elses_page_until_all_are_in(site: Site, desk: Desk):
    request = desk.submit()
    desk.vote(request, "cora", choice=Choice.reject, comment="A person stands out, kestrel.")
    for name in ("carl", "cleo", "rita", "rob", "ada", "olga"):
        for path in (
            f"/tre/requests/{request}",
            "/tre/review",
            "/tre/",
            "/tre/requests",
            f"/tre/requests/{request}/decide",
        ):
            page = site.visitor(name).open(path)
            assert "kestrel" not in page.text, (name, path)
            assert "tag--red" not in page.text, (name, path)
    mine = site.visitor("cora").open(f"/tre/requests/{request}")
    assert "kestrel" in mine.text
    assert mine.soup.find("input", attrs={"name": "choice-1", "value": "reject"}).has_attr("checked")
    desk.vote(request, "carl")
    assert "kestrel" in site.visitor("carl").open(f"/tre/requests/{request}").text
    for name in ("rita", "cleo"):
        assert "kestrel" not in site.visitor(name).open(f"/tre/requests/{request}").text, name


def test_findings_are_marked_in_words_at_their_cells(site: Site, desk: Desk, tmp_path: Path):
    spec = desk.snapshot(tmp_path)
    request = desk.submit(desk.file("by-region.csv", SMALL, spec=spec.to_dict(), dataset="visits"))
    page = site.visitor("cora").open(f"/tre/requests/{request}")
    marked = page.soup.select(".tre-grid td.tre-cell--fail")
    assert [cell.get_text(" ", strip=True) for cell in marked] == ["3 must be mended threshold"]
    assert "sex = F, region = south" in page.words
    assert "verified" in page.words
    author = site.visitor("rita").open(f"/tre/requests/{request}")
    assert "must be mended" in author.words
    assert "Your request Visits by sex is returned" in site.visitor("rita").open("/tre/").words
    # What was written beside the data reaches the author inside the workspace only.
    assert "south" not in author.words
    assert "The details are shown inside the workspace" in author.words


def test_what_the_workspace_says_is_shown_to_checkers_as_its_word(site: Site, desk: Desk):
    digest = hashlib.sha256(CLEAN).hexdigest()
    item = dict.fromkeys(("name", "title", "context"), "")
    item |= {"status": "pass", "files": {"a.csv": digest}, "spec": {"rows": ["sex"]}, "findings": []}
    item["what"] = "1 unsafe cells are left empty."
    record = json.dumps({"profile": {"id": "sacro", "version": "1"}, "item": item})
    request = desk.submit(desk.file(record=record))
    page = site.visitor("cora").open(f"/tre/requests/{request}")
    assert "attested Made by output_checks in the workspace, by the workspace's own word" in page.words
    assert "count by sex. Judged by sacro 1: no finding. 1 unsafe cells are left empty." in page.words
    assert "count by sex" not in site.visitor("rita").open(f"/tre/requests/{request}").words
    other = desk.submit(desk.file(record=record.replace(digest, "0" * 64)))
    page = site.visitor("cora").open(f"/tre/requests/{other}")
    assert "claimed" in page.words
    assert "It is about other bytes than those that were submitted." in page.words


def test_a_custodian_recalls_what_shows_their_data(site: Site, desk: Desk):
    carol = site.visitor("carol")
    request = desk.release(desk.submit())
    assert carol.open(f"/tre/requests/{request}").status == 403
    until = site.people.clock().date() + timedelta(days=30)
    terms = Terms(until, Delivery.both, ("person", "age", "cost"), ())
    by = site.actors["carol"]
    grants.give(site.platform.db, by, project="care-costs", dataset="visits", terms=terms, reason="Useful.")
    assert "Visits by sex" in carol.open("/tre/requests").words
    page = carol.open(f"/tre/requests/{request}")
    assert "cora" not in page.text
    page = carol.open(f"/tre/requests/{request}/recall")
    assert "The release is recalled, for ever." in carol.follow(carol.submit(page, reason="Shows a unit.")).words
    assert site.visitor("rita").open(f"/tre/requests/{request}/download").status == 403
    with site.platform.db.read() as session:
        event = events(session, action="request.recall")[0]
    assert (event["actor"], event["detail"]["custodian"]) == ("carol", True)


def test_a_loose_table_marks_small_numbers_for_judgement(site: Site, desk: Desk):
    request = desk.submit(desk.file("loose.csv", SMALL))
    page = site.visitor("cora").open(f"/tre/requests/{request}")
    marked = [cell.get_text(" ", strip=True) for cell in page.soup.select(".tre-grid td.tre-cell--review")]
    assert marked == ["3 needs judgement small number"]


def test_a_new_version_stands_beside_the_old_one(site: Site, desk: Desk, tmp_path: Path):
    spec = desk.snapshot(tmp_path).to_dict()
    request = desk.submit(desk.file("by-region.csv", SMALL, spec=spec, dataset="visits"), desk.file())
    again = desk.file("by-region.csv", SMALL.replace(b",30", b",29"), "table")
    desk.submit(again, desk.file(), request=request)
    cora = site.visitor("cora")
    page = cora.open(f"/tre/requests/{request}")
    assert "changed in this version" in page.words
    page = cora.open(f"/tre/requests/{request}/compare")
    assert page.heading == "Version 2 beside version 1"
    changed = [cell.get_text(" ", strip=True) for cell in page.soup.select("td.tre-cell--changed")]
    assert changed == ["29 before: 30"]
    assert "by-sex.csv unchanged" in page.words
    old = cora.open(f"/tre/requests/{request}?version=1")
    assert "This is an earlier version." in old.words
    assert not old.soup.main.find_all("form", method="post")


def test_a_vote_that_is_no_approval_says_why_beside_its_file(site: Site, desk: Desk):
    request = desk.submit(desk.file(), desk.file("b.csv", MENDED))
    cora = site.visitor("cora")
    page = cora.open(f"/tre/requests/{request}")
    number = vote_form(page)
    refused = cora.submit(page, number, **{"choice-1": "approve", "choice-2": "reject"})
    assert refused.status == 422
    assert list(refused.problems.values()) == ["comment-2"]
    assert refused.soup.find(id="comment-2-error") is not None
    assert refused.soup.find("input", attrs={"name": "choice-2", "value": "reject"}).has_attr("checked")
    assert cora.submit(page, number).problems == {"Vote on at least one file.": "files"}
    assert list(cora.submit(page, number, **{"choice-1": "perhaps"}).problems.values()) == ["choice-1"]


def test_a_vote_is_about_the_version_that_was_seen(site: Site, desk: Desk):
    request = desk.submit()
    cora = site.visitor("cora")
    seen = cora.open(f"/tre/requests/{request}")
    desk.vote(request, "carl", "cleo", choice=Choice.request_changes, comment="More context.")
    desk.decide(request, Verdict.return_, by="carl", reason="More context.")
    desk.submit(desk.file("by-sex.csv", MENDED), request=request)
    refused = cora.submit(seen, vote_form(seen), **{"choice-1": "approve"})
    assert refused.status == 409
    assert "This is version 1; the request is at version 2." in refused.words


def test_comments_reach_the_right_people(site: Site, desk: Desk):
    request = desk.submit()
    cora, rita = site.visitor("cora"), site.visitor("rita")
    page = cora.open(f"/tre/requests/{request}")
    form = len(page.soup.main.find_all("form", method="post")) - 1
    cora.submit(page, form, text="For checkers: heron.", audience="checkers")
    cora.submit(page, form, text="For all: osprey.", audience="everybody")
    page = rita.open(f"/tre/requests/{request}")
    assert "heron" not in page.text
    assert "osprey" not in page.text
    empty = rita.submit(page, 0)
    assert list(empty.problems.values()) == ["text"]
    rita.submit(page, 0, text="It is for table 1.")
    desk.vote(request, "cora", "carl")
    assert "osprey" in site.visitor("carl").open(f"/tre/requests/{request}").words
    desk.decide(request, Verdict.return_, reason="Please round.")
    page = rita.open(f"/tre/requests/{request}")
    assert "osprey" in page.words
    assert "heron" not in page.text
    assert "cora" not in page.text, "checkers are numbers to the project"


def test_withdrawing(site: Site, desk: Desk):
    request = desk.submit()
    desk.vote(request, "cora", "carl", choice=Choice.request_changes, comment="Round.")
    desk.decide(request, Verdict.return_, reason="Round the counts.")
    rita = site.visitor("rita")
    page = rita.open(f"/tre/requests/{request}")
    assert "The author's: Round the counts." in page.words
    form = rita.open(f"/tre/requests/{request}/withdraw")
    assert list(rita.submit(form).problems.values()) == ["reason"]
    assert "The request is withdrawn." in rita.follow(rita.submit(form, reason="Not needed.")).words


@pytest.mark.parametrize("who", ["rob2", "carol"])
def test_other_peoples_requests_stay_unknown(site: Site, desk: Desk, who: str):
    if who == "rob2":
        from tre.people.model import Role

        site.actors[who] = site.people.add(who, Role.researcher)
    request = desk.submit()
    visitor = site.visitor(who)
    for path in ("", "/compare", "/files/1", "/download", "/files/1/download", "/decide", "/withdraw", "/signature"):
        page = visitor.open(f"/tre/requests/{request}{path}")
        assert page.status in (403, 404), path
        assert "Visits by sex" not in page.text
    assert "Visits by sex" not in visitor.open("/tre/requests").text
    assert visitor.open("/tre/requests/99999").status == 404


def test_authors_and_members_do_not_look_at_contents_or_review(site: Site, desk: Desk):
    request = desk.submit(desk.file(), desk.file("plot.png", picture(), "figure"))
    for name in ("rita", "rob", "ada", "olga"):
        visitor = site.visitor(name)
        page = visitor.open(f"/tre/requests/{request}")
        assert not page.soup.select(".tre-grid, .tre-picture, [name^=choice-]"), name
        assert visitor.open(f"/tre/requests/{request}/files/1").status == 403
        refused = visitor.post(
            f"/tre/requests/{request}/vote",
            {"csrf": page.soup.find(attrs={"name": "csrf"})["value"], "version": "1", "choice-1": "approve"},
        )
        assert refused.status == 403, name
    with site.platform.db.read() as session:
        refusals = [event for event in events(session, action="request.vote") if event["outcome"] == "refused"]
    assert {event["actor"] for event in refusals} == {"rita", "rob", "ada", "olga"}


def test_pictures_open_from_ones_own_page_only(site: Site, desk: Desk):
    request = desk.submit(desk.file("plot.png", picture(), "figure"))
    cora, carl = site.visitor("cora"), site.visitor("carl")
    source = cora.open(f"/tre/requests/{request}").soup.select_one(".tre-picture img")["src"]
    asked = {"sec_fetch_site": "same-origin", "sec_fetch_dest": "image", "sec_fetch_mode": "no-cors"}
    assert cora.send("GET", source, **asked).status == 200
    assert carl.send("GET", source, **asked).status == 403, "another session's key"
    assert cora.send("GET", source.partition("&key=")[0], **asked).status == 403
    assert cora.send("GET", source, **{**asked, "sec_fetch_dest": "empty"}).status == 403, "fetched by a script"
    assert cora.send("GET", source, **{**asked, "sec_fetch_site": "cross-site"}).status == 403
    author = site.visitor("rita")
    assert author.send("GET", source, **asked).status == 403


def test_every_look_is_on_record(site: Site, desk: Desk):
    request = desk.submit()
    site.visitor("cora").open(f"/tre/requests/{request}")
    with site.platform.db.read() as session:
        (look,) = events(session, action="request.view_file")
    assert (look["actor"], look["via"], look["subject"]) == ("cora", "web", f"request:{request}")
    assert look["detail"]["sha256"] == hashlib.sha256(CLEAN).hexdigest()


def test_a_file_altered_on_disk_is_not_shown(site: Site, desk: Desk):
    request = desk.submit()
    path = site.store.shelf.path(hashlib.sha256(CLEAN).hexdigest())
    path.chmod(0o600)
    path.write_bytes(b"sex,people\nF,999\n")
    page = site.visitor("cora").open(f"/tre/requests/{request}")
    assert (page.status, "altered where it lies" in page.words) == (500, True)
    assert "999" not in page.words


def test_long_tables_come_in_parts(site: Site, desk: Desk):
    rows = b"name,people\n" + b"".join(b"place %d,%d\n" % (number, 1000 + number) for number in range(1200))
    request = desk.submit(desk.file("long.csv", rows))
    cora = site.visitor("cora")
    page = cora.open(f"/tre/requests/{request}")
    assert len(page.soup.select(".tre-grid tbody tr")) == 50
    page = cora.open(next(link for link in page.links() if "/files/1" in link))
    assert "Rows 1 to 500 of 1200" in page.words
    page = cora.open(next(link for link in page.links() if "start=500" in link))
    page = cora.open(next(link for link in page.links() if "start=1000" in link))
    assert "Rows 1001 to 1200 of 1200" in page.words
    assert "place 1199" in page.words
    assert not [link for link in page.links() if "start=1500" in link]


def test_lists_are_paged_and_searched(site: Site, desk: Desk):
    for number in range(27):
        desk.submit(title=f"Result {number}", check=False)
    rita = site.visitor("rita")
    page = rita.open("/tre/requests")
    assert len(page.soup.select("tbody tr")) == 25
    page = rita.open(next(link for link in page.links() if "after=" in link))
    titles = [row.th.a.find(string=True) for row in page.soup.select("tbody tr")]
    assert titles == ["Result 1", "Result 0"]
    assert len(rita.open("/tre/requests?search=result+26").soup.select("tbody tr")) == 1
    assert rita.open("/tre/requests?state=nonsense").status == 422
