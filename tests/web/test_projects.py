"""Projects in the browser: proposing, deciding, granting, the agreement; errors beside their fields."""

from datetime import timedelta

from tests.web.site import Page, Site, Visitor
from tre.projects.service import get

PROPOSAL = {
    "title": "What care costs",
    "slug": "care-costs",
    "purpose": "To learn what care costs.",
    "public_benefit": "Cheaper care.",
    "legal_basis": "Article 6(1)(e)",
    "risk_of_sharing": "Small cells.",
    "cost_of_withholding": "Nobody learns.",
    "columns:visits": ["person", "age", "cost"],
    "team": "rob",
}


def form_page(visitor: Visitor) -> Page:
    step = visitor.open("/tre/propose")
    assert step.heading == "Which datasets does the project need?"
    return visitor.open("/tre/propose?dataset=&dataset=visits")


def proposed(site: Site, visitor: Visitor, **changes: object) -> Page:
    end = (site.people.clock().date() + timedelta(days=300)).isoformat()
    return visitor.submit(form_page(visitor), **{**PROPOSAL, "end_date": end, **changes})


def test_a_researcher_proposes_and_sees_whose_turn_it_is(site: Site):
    rita = site.visitor("rita")
    page = rita.follow(
        proposed(site, rita, **{"row_column:visits": "age", "row_op:visits": ">=", "row_value:visits": "18"})
    )
    assert page.heading == "What care costs"
    assert "An administrator decides on the project, and a custodian of acme on visits." in page.words
    assert "rows: age is at least 18" in page.words
    with site.platform.db.read() as session:
        found = get(session, "care-costs")
        assert (found.asks[0].columns, found.asks[0].rows) == (
            ["person", "age", "cost"],
            {"column": "age", "op": ">=", "value": 18},
        )
        assert {m.person.username for m in found.members} == {"rita", "rob"}


def test_everything_wrong_is_said_at_once_beside_its_field_and_nothing_is_lost(site: Site):
    rita = site.visitor("rita")
    page = proposed(
        site,
        rita,
        title="",
        slug="Care Costs",
        risk_of_sharing="  ",
        cost_of_withholding="",
        end_date="2019-01-01",
        team="nobody",
    )
    assert page.status == 422
    assert list(page.problems.values()) == [
        "title", "slug", "risk_of_sharing", "cost_of_withholding", "end_date", "team",
    ]  # fmt: skip
    assert page.soup.title.get_text().startswith("Error: ")
    for target in page.problems.values():
        field = page.soup.find(id=target)
        assert field is not None, target
        described = page.soup.find(id=f"{target}-error")
        assert described is not None
        assert described["id"] in field["aria-describedby"].split()
    assert page.soup.find(id="purpose").get_text().strip() == PROPOSAL["purpose"]
    assert page.soup.find(id="slug")["value"] == "Care Costs"
    boxes = page.soup.find_all("input", attrs={"name": "columns:visits"})
    assert [box["value"] for box in boxes if box.has_attr("checked")] == ["person", "age", "cost"]


def test_no_column_chosen_leads_to_the_columns(site: Site):
    rita = site.visitor("rita")
    page = proposed(site, rita, **{"columns:visits": []})
    assert page.problems == {"Choose at least one column of Visits to a clinic.": "datasets.0.columns"}
    assert page.soup.find(id="datasets.0.columns").name == "fieldset"


def test_no_dataset_chosen_stays_on_the_first_step(site: Site):
    page = site.visitor("rita").open("/tre/propose?dataset=")
    assert (page.status, page.problems) == (422, {"Choose at least one dataset.": "dataset"})


def test_only_researchers_propose(site: Site):
    assert site.visitor("cora").open("/tre/propose").status == 403


def test_an_administrator_approves_and_a_custodian_grants(site: Site):
    site.project(approve=False)
    ada = site.visitor("ada")
    assert "Decide on the proposal The project care-costs" in ada.open("/tre/").words
    page = ada.submit(ada.open("/tre/projects/care-costs/decide"), decision="approve", reason="The benefit is plain.")
    assert "The project is approved." in ada.follow(page).words

    carol = site.visitor("carol")
    assert "Decide whether The project care-costs gets visits" in carol.open("/tre/decisions").words
    form = carol.open("/tre/projects/care-costs/datasets/visits")
    assert "always" in form.words
    page = carol.submit(form, decision="grant", reason="Minimal.", columns=["person", "age"], pseudonymised=["age"])
    page = carol.follow(page)
    assert "The grant is given." in page.words
    assert "Granted: 2 columns until" in page.words
    assert "pseudonymised: person , age" in page.words


def test_a_refusal_needs_code_reason_and_what_would_change_it(site: Site):
    site.project(approve=False)
    ada = site.visitor("ada")
    form = ada.open("/tre/projects/care-costs/decide")
    assert list(ada.submit(form, reason="No.").problems.values()) == ["decision"]
    assert list(ada.submit(form, decision="refuse", reason="No.").problems.values()) == ["code"]
    page = ada.submit(form, decision="refuse", reason="No.", code="team")
    assert list(page.problems.values()) == ["would_change"]
    page = ada.submit(page, would_change="A statistician in the team.")
    page = ada.follow(page)
    assert "team not suitable" in page.words
    seen = site.visitor("rita").open("/tre/projects/care-costs")
    assert "What would change it: A statistician in the team." in seen.words


def test_a_custodian_refuses_a_dataset(site: Site):
    site.project()
    carol = site.visitor("carol")
    form = carol.open("/tre/projects/care-costs/datasets/visits")
    page = carol.submit(form, decision="refuse", reason="Too much.", code="not_minimal", would_change="Leave out sex.")
    assert "What would change it: Leave out sex." in carol.follow(page).words


def test_nobody_grants_without_a_column(site: Site):
    site.project()
    carol = site.visitor("carol")
    form = carol.open("/tre/projects/care-costs/datasets/visits")
    page = carol.submit(form, decision="grant", reason="All.", columns=[])
    assert list(page.problems.values()) == ["columns"]


def test_suspend_resume_close(site: Site):
    site.project()
    ada = site.visitor("ada")
    for step, state in (("suspend", "suspended"), ("resume", "approved"), ("close", "closed")):
        form = ada.open(f"/tre/projects/care-costs/{step}")
        assert list(ada.submit(form).problems.values()) == ["reason"]
        page = ada.follow(ada.submit(form, reason="A breach is looked into."))
        assert state in page.words
    refused = ada.submit(form, reason="Again.")
    assert (refused.status, list(refused.problems)) == (409, ["Project care-costs is closed; it cannot become closed."])


def test_the_gate_names_obstacles_and_remedies_and_the_agreement_opens_it(site: Site):
    site.project(agreed=False)
    rita = site.visitor("rita")
    home = rita.open("/tre/")
    assert "Accept the agreement of The project care-costs" in home.words
    assert "rita has not accepted the agreement. Accept it on the project's page." in home.words
    page = rita.open("/tre/projects/care-costs/agreement")
    page = rita.follow(rita.submit(page))
    assert "You accepted the agreement." in page.words
    assert "has not accepted" not in page.words
    assert "Nobody has decided yet whether the project gets visits." in page.words


def test_members_are_added_and_removed_by_administrators(site: Site):
    site.project()
    ada = site.visitor("ada")
    form = ada.open("/tre/projects/care-costs/members")
    assert list(ada.submit(form, username="nobody").problems.values()) == ["username"]
    assert "rob" in ada.follow(ada.submit(form, username="rob")).words
    page = ada.open("/tre/projects/care-costs/members/rob/remove")
    assert "The member is removed." in ada.follow(ada.submit(page, reason="Left the university.")).words
    rita = site.visitor("rita").open("/tre/projects/care-costs/members")
    assert not rita.soup.main.find_all("form")


def test_strangers_see_nothing_of_a_project_and_no_button_is_drawn_for_those_who_may_not(site: Site):
    site.project()
    refused = site.visitor("rob").open("/tre/projects/care-costs")
    assert (refused.status, refused.heading) == (403, "Not allowed")
    assert "care-costs" not in site.visitor("rob").open("/tre/projects").words
    for name in ("rita", "cora", "olga"):
        links = site.visitor(name).open("/tre/projects/care-costs").links()
        assert not [link for link in links if link.endswith(("/suspend", "/close", "/decide", "/members"))], name


def test_a_project_that_does_not_exist(site: Site):
    page = site.visitor("ada").open("/tre/projects/nothing")
    assert (page.status, page.heading) == (404, "Not found")
    assert "There is no project nothing." in page.words
