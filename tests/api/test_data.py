"""Datasets, grants and extracts over HTTP, and the commands that call them."""

import json
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.api.conftest import Api
from tests.data.conftest import LocalSecrets, visits, write_parquet
from tre.cli import client
from tre.cli.data import dataset, extract, grant
from tre.data.model import Delivery
from tre.data.sources import Places
from tre.data.worker import step
from tre.errors import TreError
from tre.people.model import Role

VISITS = {
    "slug": "visits",
    "title": "Visits",
    "description": "Visits to a clinic.",
    "organisation": "acme",
    "legal_basis": "public task",
    "terms": "research only",
    "sensitivity": "personally identifiable",
    "source_kind": "parquet",
    "source": {"folder": "visits"},
    "units": ["person"],
    "variables": {"nhs": {"description": "NHS number", "identifier": True}},
}
PROPOSAL = {
    **dict.fromkeys(
        ("title", "purpose", "public_benefit", "legal_basis", "risk_of_sharing", "cost_of_withholding"), "text"
    ),
    "slug": "heart",
    "datasets": [{"dataset": "visits", "columns": ["nhs", "age"]}],
}


@pytest.fixture
def clinic(api: Api) -> Api:
    """acme, its custodian cora, and the visits in the incoming folder."""
    people = api.desk.people
    people.organisation("acme")
    people.add("cora", custodian_of=("acme",))
    people.add("rhea", Role.researcher)
    write_parquet(Places.from_settings(api.platform.settings), "acme", "visits", visits())
    return api


def ok(answer: Any) -> Any:
    assert answer.is_success, answer.text
    return answer.json()


def propose(api: Api, **changes: Any) -> Any:
    end = (api.platform.db.clock().date() + timedelta(days=200)).isoformat()
    return api.call("POST", "/projects", by="rhea", json={**PROPOSAL, "end_date": end, **changes})


def terms(api: Api, **changes: Any) -> dict[str, Any]:
    until = (api.platform.db.clock().date() + timedelta(days=100)).isoformat()
    return {"dataset": "visits", "until": until, "reason": "good", "delivery": Delivery.files, **changes}


def test_from_the_register_to_an_extract(clinic: Api):
    api = clinic
    ok(api.call("POST", "/datasets", by="cora", json=VISITS))
    assert [d["slug"] for d in ok(api.call("GET", "/datasets?organisation=acme", by="rhea"))] == ["visits"]
    shown = ok(api.call("GET", "/datasets/visits", by="rhea"))
    nhs = shown["variables"][0]
    assert (nhs["name"], nhs["identifier"], nhs["lowest"], nhs["categories"]) == ("nhs", True, None, None)
    ok(propose(api))
    ok(api.call("POST", "/projects/heart/approve", by="ada", json={"reason": "good"}))
    codes = {o["code"] for o in ok(api.call("GET", "/projects/heart/gate", by="rhea"))}
    assert "grant_missing" in codes
    number = ok(api.call("POST", "/projects/heart/grants", by="cora", json=terms(api)))["grant"]
    (given,) = ok(api.call("GET", "/grants?project=heart", by="rhea"))
    assert (given["columns"], given["pseudonymised"]) == (["nhs", "age"], ["nhs"])
    assert step(api.platform.db, Places.from_settings(api.platform.settings), LocalSecrets())
    (found,) = ok(api.call("GET", "/extracts?project=heart&dataset=visits", by="cora"))
    assert (found["state"], found["rows"], found["grant"]) == ("ready", 300, number)
    manifest = ok(api.call("GET", f"/grants/{number}/extract", by="rhea"))["manifest"]
    assert manifest["rows"] == 300
    assert api.call("POST", f"/grants/{number}/extract", by="cora").status_code == 409
    ok(api.call("POST", f"/grants/{number}/end", by="cora", json={"reason": "enough"}))
    assert step(api.platform.db, Places.from_settings(api.platform.settings), LocalSecrets())
    assert ok(api.call("GET", "/extracts", by="cora")) == []
    assert api.call("GET", f"/grants/{number}/extract", by="cora").status_code == 404


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"datasets": [{"dataset": "nothing", "columns": ["age"]}]}, "datasets.0.dataset"),
        ({"datasets": [{"dataset": "visits", "columns": ["salary"]}]}, "datasets.0.columns"),
        (
            {
                "datasets": [
                    {"dataset": "visits", "columns": ["age"], "rows": {"column": "nhs", "op": "==", "value": "4"}}
                ]
            },
            "datasets.0.rows",
        ),
    ],
)
def test_a_proposal_asks_for_what_the_register_holds(clinic: Api, changes: dict[str, Any], field: str):
    ok(clinic.call("POST", "/datasets", by="cora", json=VISITS))
    answer = propose(clinic, **changes)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)


def test_others_are_refused_over_http_too(clinic: Api):
    api = clinic
    for by in ("ada", "rhea", "bob"):
        assert api.call("POST", "/datasets", by=by, json=VISITS).status_code == 403
    ok(api.call("POST", "/datasets", by="cora", json=VISITS))
    ok(propose(api))
    for by in ("ada", "rhea", "bob"):
        assert api.call("POST", "/projects/heart/grants", by=by, json=terms(api)).status_code == 403
    number = ok(api.call("POST", "/projects/heart/grants", by="cora", json=terms(api)))["grant"]
    # bob has nothing to do with it: he sees neither the grant nor its extract.
    assert ok(api.call("GET", "/grants?project=heart", by="bob")) == []
    before = len(api.refusals())
    assert api.call("GET", f"/grants/{number}/extract", by="bob").json()["error"]["code"] == "not_found"
    assert [event["actor"] for event in api.refusals()[before:]] == ["bob"], "hidden is refused"
    assert api.call("POST", f"/grants/{number}/end", by="bob", json={"reason": "x"}).status_code == 403


@pytest.fixture
def command(clinic: Api, monkeypatch: pytest.MonkeyPatch):
    """`command(group, "show", …, by="cora")` runs a command against the API of the test."""
    who = {"by": ""}

    def send(method: str, path: str, saved: Any, url: str, arguments: dict[str, Any]) -> Any:
        return clinic.call(method, path, by=who["by"], **arguments)

    monkeypatch.setattr(client, "_send", send)

    def run(group: Any, *words: str, by: str) -> Result:
        who["by"] = by
        return CliRunner().invoke(group, list(words))

    return run


def said(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_the_same_by_command(clinic: Api, command: Any, tmp_path: Any):
    file = tmp_path / "visits.json"
    file.write_text(json.dumps(VISITS))
    assert said(command(dataset, "register", str(file), "--json", by="cora")) == {"slug": "visits"}
    assert "Visits" in command(dataset, "list", by="rhea").output
    assert said(command(dataset, "show", "visits", "--json", by="rhea"))["unit_count"] == 100
    assert said(command(dataset, "profile", "visits", "--json", by="cora"))["row_count"] == 300
    ok(propose(clinic))
    words = ("heart", "visits", "--code", "not_minimal", "--reason", "too much", "--would-change", "less")
    assert said(command(grant, "refuse", *words, "--json", by="cora"))["decision"] == "refused"
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps({"column": "age", "op": ">=", "value": 40}))
    words = ("heart", "visits", "--until", terms(clinic)["until"], "--reason", "ok", "--column", "age")
    number = said(command(grant, "give", *words, "--rows", str(rows), "--json", by="cora"))["grant"]
    first, _ = said(command(grant, "list", "--project", "heart", "--json", by="cora"))
    assert (first["columns"], first["rows"]["value"]) == (["age"], 40)
    assert said(command(extract, "list", "--json", by="cora"))[0]["state"] == "queued"
    assert said(command(extract, "show", str(number), "--json", by="cora"))["manifest"] is None
    failed = command(extract, "build", str(number), by="cora")
    assert isinstance(failed.exception, TreError)
    assert failed.exception.exit_code == 4
    assert said(command(grant, "end", str(number), "--reason", "enough", "--json", by="cora"))["ended"] is True
    assert said(command(dataset, "withdraw", "visits", "--reason", "old", "--json", by="cora"))["withdrawn"] is True


def test_a_file_that_is_no_json_is_named(command: Any, tmp_path: Any):
    file = tmp_path / "bad.json"
    file.write_text("{")
    result = command(dataset, "register", str(file), by="cora")
    assert result.exit_code == 2
    assert "not JSON" in result.output
