"""The first half of the journey: people, datasets, a proposal, decisions, grants and extracts (safe people,
projects, data).
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from tre.demo import datasets
from tre.demo.browser import Browser
from tre.demo.cast import ADMINISTRATOR, CAST, ORGANISATIONS, Account
from tre.demo.stage import Stage, Unexpected

PROJECT = "health-costs"
OTHER_PROJECT = "prison-health"
RAND_COLUMNS = ("record", "mdvis", "lncoins", "idp", "fmde", "physlm", "disea", "hlthg", "hlthf", "hlthp")
ROSSI_COLUMNS = ("participant", "week", "arrest", "fin", "age", "race", "wexp", "mar", "paro", "prio")

RAND: dict[str, Any] = {
    "slug": "rand-hie",
    "title": "RAND Health Insurance Experiment",
    "description": "Visits to doctors by people on different health insurance plans, 1974 to 1982.",
    "organisation": "rand",
    "legal_basis": "Public domain research data, shared as if it were sensitive.",
    "terms": "Research on health care use. Results are published.",
    "sensitivity": "de-personalised",
    "source_kind": "postgres",
    "source": {"table": datasets.RAND_TABLE},
    "units": ["record"],
    "variables": {
        "record": {"description": "Record number of the person and year"},
        "mdvis": {"description": "Outpatient visits to a doctor in the year"},
        "lncoins": {"description": "Logarithm of the coinsurance rate plus one"},
        "idp": {"description": "Individual deductible plan: 1 yes"},
        "hlthp": {"description": "Poor self-rated health: 1 yes"},
    },
}
ROSSI: dict[str, Any] = {
    "slug": "rossi",
    "title": "Recidivism of released prisoners",
    "description": "432 people released from prisons in Maryland, followed for a year.",
    "organisation": "justice-lab",
    "legal_basis": "Public research data, shared as if it were sensitive.",
    "terms": "Research on reoffending. No attempt to identify anybody.",
    "sensitivity": "de-personalised",
    "source_kind": "parquet",
    "source": {"folder": datasets.ROSSI_FOLDER},
    "units": ["participant"],
    "variables": {
        "participant": {"description": "Number of the participant"},
        "week": {"description": "Week of first arrest after release, or 52"},
        "race": {"description": "1 black"},
        "mar": {"description": "Married at release: 1 yes"},
    },
}


@dataclass
class Governance:
    stage: Stage
    browsers: dict[str, Browser]

    def bootstrap(self) -> str:
        """The first administrator on the machine, then organisations and people, each with password and one-time
        code.
        """
        self._enrol(Account(ADMINISTRATOR), first=True)
        self.stage.login("ada")
        for slug, name in ORGANISATIONS.items():
            self.stage.tre("ada", "organisation", "add", slug, "--name", name)
        for part in CAST:
            self._enrol(Account(part), first=False)
            answers_for = ("--organisation", part.answers_for) if part.answers_for else ()
            self.stage.tre("ada", "person", "role", part.username, part.role, *answers_for)
        self.stage.machine.allow_small_workspaces()
        message = self.stage.refused("ada", "person", "role", "ada", "checker", code="own_rights")
        return f"{len(CAST) + 1} people; refused: {message}"

    def _enrol(self, account: Account, *, first: bool) -> None:
        part = account.part
        noun = ("admin", "bootstrap") if first else ("person", "add")
        options = ("--name", part.name, "--organisation", part.organisation, "--password-file", "-")
        made = self.stage.tre("ada", *noun, part.username, *options, stdin=account.password)
        account.totp_secret = made["totp_secret"]
        self.stage.accounts[part.username] = account

    def standings(self) -> str:
        """Accreditation and training of the researchers, with expiry."""
        today = date.today()
        for username in ("rhea", "milo", "otto"):
            for kind, title in (("accreditation", "Accredited Researcher"), ("training", "Safe Researcher Training")):
                dates = (
                    "--awarded-on",
                    str(today - timedelta(days=30)),
                    "--expires-on",
                    str(today + timedelta(days=335)),
                )
                options = ("--title", title, "--provider", "National Statistics", *dates)
                self.stage.tre("ada", "person", "standing", username, kind, *options)
        return "3 researchers accredited and trained until " + str(today + timedelta(days=335))

    def register(self) -> str:
        """Two controllers bring their data and register it."""
        rows = self.stage.machine.bring_data()
        for username, dataset in (("cora", RAND), ("davin", ROSSI)):
            self.stage.login(username)
            self.stage.tre(username, "dataset", "register", self._file(dataset["slug"], dataset))
        self.stage.refused(
            "davin", "dataset", "register", self._file("stolen", {**RAND, "slug": "stolen"}), code="not_custodian"
        )
        shown = self.stage.tre("cora", "dataset", "show", "rand-hie")
        return f"rand-hie ({rows} rows, {len(shown['variables'])} variables) and rossi are in the catalogue"

    def _file(self, name: str, body: Any) -> str:
        path = self.stage.desk / f"{name}.json"
        path.write_text(json.dumps(body))
        return str(path)

    def propose(self) -> str:
        """Researchers propose on the page: purpose, benefit, datasets and columns, risk beside the cost of
        withholding.
        """
        for username in ("rhea", "otto"):
            self.browsers[username] = Browser(self.stage.url, self.stage.accounts[username])
            self.browsers[username].sign_in()
        self._propose("rhea", PROJECT, "Does cost sharing keep ill people from the doctor?", "milo")
        self._propose("otto", OTHER_PROJECT, "Health and reoffending", "")
        return f"{PROJECT} by rhea with milo, {OTHER_PROJECT} by otto"

    def _propose(self, username: str, slug: str, title: str, team: str) -> None:
        browser = self.browsers[username]
        fields = {
            "slug": slug,
            "title": title,
            "purpose": "To measure how plans with and without deductibles change the use of care by health.",
            "public_benefit": "Better health insurance: the findings are published and given to the ministry.",
            "legal_basis": "Research in the public interest.",
            "risk_of_sharing": "Rare combinations of illness and plan might be recognised by somebody who knows them.",
            "cost_of_withholding": "Plans go on being designed without evidence; ill people go on staying away.",
            "end_date": str(date.today() + timedelta(days=365)),
            "team": team,
        }
        asks: dict[str, tuple[str, ...]] = {"rand-hie": RAND_COLUMNS, "rossi": ROSSI_COLUMNS}
        browser.propose(fields, asks)

    def decide(self) -> str:
        """An administrator weighs and approves; each controller decides on its own data, one first with a refusal."""
        for slug in (PROJECT, OTHER_PROJECT):
            self.stage.tre("ada", "project", "show", slug)
            self.stage.tre(
                "ada", "project", "approve", slug, "--reason", "The benefit outweighs the risk with minimised data."
            )
        until = ("--until", str(date.today() + timedelta(days=300)))
        reason = ("--reason", "The columns fit the purpose.")
        self.stage.tre("cora", "grant", "give", PROJECT, "rand-hie", "--delivery", "both", *until, *reason)
        self.stage.tre("davin", "grant", "give", PROJECT, "rossi", "--delivery", "files", *until, *reason)
        self.stage.refused("davin", "grant", "give", OTHER_PROJECT, "rand-hie", *until, *reason, code="not_custodian")
        self.stage.tre("cora", "grant", "give", OTHER_PROJECT, "rand-hie", "--delivery", "both", *until, *reason)
        why = (
            "--code",
            "not_minimal",
            "--reason",
            "Not every column is needed.",
            "--would-change",
            "Ask for five columns.",
        )
        self.stage.tre("davin", "grant", "refuse", OTHER_PROJECT, "rossi", *why)
        return "2 projects approved, 3 grants, 1 dataset refused with what would change it"

    def _gate(self, username: str, project: str) -> Any:
        return self.stage.tre("ada", "project", "gate", project, "--username", username)

    def extract(self) -> str:
        """Waits for the extracts: pinned, minimised, pseudonymised, hashed."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            extracts = self.stage.tre("cora", "extract", "list") + self.stage.tre("davin", "extract", "list")
            states = [extract["state"] for extract in extracts]
            if states and all(state == "ready" for state in states):
                if not self.stage.machine.wait_for_data(seconds=120):
                    raise Unexpected("the extracts did not come where workspaces see them")
                return f"{len(states)} extracts ready, " + ", ".join(e["digest"][:12] for e in extracts)
            if "failed" in states:
                raise Unexpected(f"an extract failed: {extracts}")
            time.sleep(0.3)
        raise Unexpected(f"the extracts are not ready: {states}")

    def agree(self) -> str:
        """Every member accepts the agreement on the project's page."""
        for username, project in (("rhea", PROJECT), ("otto", OTHER_PROJECT)):
            browser = self.browsers[username]
            browser.submit(browser.page(f"/tre/projects/{project}/agreement"), "agreement")
            if left := self._gate(username, project):
                raise Unexpected(f"the gate is still closed for {username}: {left}")
        self.stage.login("milo")
        self.stage.tre("milo", "project", "agree", PROJECT, "--yes")
        return "agreement accepted by rhea, otto and milo"
