"""The middle of the journey: the workspace, its credential, the analysis, the submission (safe settings, safe
outputs).
"""

from __future__ import annotations

import ast
import time
from dataclasses import dataclass, field
from typing import Any

from tre.demo.browser import Browser
from tre.demo.governance import OTHER_PROJECT, PROJECT
from tre.demo.kernel import Kernel
from tre.demo.stage import Stage, Unexpected

READ_FILES = """
import warnings; warnings.filterwarnings("ignore")
import pandas as pd, psycopg
rand = pd.read_parquet("/data/rand-hie")
"""
LOAD_BOTH = """
rossi = pd.read_parquet("/data/rossi")
with psycopg.connect("service=project") as connection:
    rows = connection.execute("select count(*) from rand_hie").fetchone()[0]
print({"files": len(rand), "database": rows, "pseudonym": str(rand["record"].iloc[0])})
"""
LOAD = READ_FILES + LOAD_BOTH
OTHER = READ_FILES + 'print({"pseudonym": str(rand["record"].iloc[0])})'
ANALYSE = """
import output_checks as oc, release
import matplotlib; matplotlib.use("Agg"); import matplotlib.pyplot as plt
health = {"rows": ["hlthp"], "columns": ["idp"], "unit": "record"}
marriage = {"rows": ["race"], "columns": ["mar"], "unit": "participant"}
oc.check(oc.TableSpec.from_dict(health), rand).suppress().write_csv("health.csv")
pd.crosstab(rossi.race, rossi.mar).reset_index().melt("race", value_name="count").to_csv("marriage.csv", index=False)
model = oc.ols("mdvis ~ idp + lncoins + hlthp + disea", rand, unit="record")
means = oc.pivot_table(rand, values="mdvis", index="idp", aggfunc="mean", unit="record")
figure, axis = plt.subplots(figsize=(4, 3))
axis.bar(["no deductible", "deductible"], means["mdvis"]); axis.set_ylabel("mean visits")
figure.tight_layout(); figure.savefig("visits.png", dpi=80)
verdicts = [model.verdict.status, means.status]
print({"r2": round(float(model.rsquared), 4), "n": int(model.nobs), "verdicts": verdicts})
"""
SUBMIT = """
tables = {
    "health.csv": release.Table("rand-hie", health, rand),
    "marriage.csv": release.Table("rossi", marriage, rossi),
}
context = "Tables 1 and 2 and figure 1 of the report."
about = dict(title="Visits, health and marriage", context=context, controls="Threshold 10.")
files = ["health.csv", "visits.png", "marriage.csv"]
try:
    release.submit(files, tables=tables, **about)
    print({"preflight": "nothing found"})
except release.PreflightFailed as failed:
    print({"preflight": str(failed)})
"""
DESPITE = """
receipt = release.submit(files, tables=tables, despite_findings=True, **about)
print({"request": receipt.request})
"""
READ = """
found = [(f["name"], x) for f in release.status(receipt)["files"] for x in f["findings"] if x["severity"] == "fail"]
cells = [", ".join(f"{key}={value}" for key, value in x["cell"].items()) for _, x in found]
print({"findings": [f"{name} [{cell}]: {x['why']}" for (name, x), cell in zip(found, cells)]})
"""
MEND = """
report = oc.check(oc.TableSpec.from_dict(marriage), rossi)
report.suppress().write_csv("marriage.csv")
about["controls"] = "Threshold 10; one cell of the marriage table suppressed."
receipt = release.submit(files, tables=tables, replaces=receipt.request, despite_findings=True, **about)
print({"request": receipt.request, "version": receipt.version})
"""


def printed(text: str) -> dict[str, Any]:
    """The last dictionary that a cell printed."""
    for line in reversed(text.strip().splitlines()):
        if line.startswith("{"):
            value = ast.literal_eval(line)
            if isinstance(value, dict):
                return value
    raise Unexpected(f"the cell printed something else: {text[-400:]}")


@dataclass
class Analysis:
    stage: Stage
    browsers: dict[str, Browser]
    kernels: dict[str, Kernel] = field(default_factory=dict)
    request: str = ""

    def expired_training(self) -> str:
        """With expired training no workspace starts, and the page says why."""
        milo = self.browsers["milo"] = Browser(self.stage.url, self.stage.accounts["milo"])
        milo.sign_in()
        self.stage.tre("ada", "person", "end-standing", "milo", "training", "--on", self._yesterday())
        words = milo.refused_workspace(PROJECT)
        if "training" not in words:
            raise Unexpected(f"the refusal does not name the training: {words[:300]}")
        return "refused: milo's training expired"

    def _yesterday(self) -> str:
        from datetime import date, timedelta

        return str(date.today() - timedelta(days=1))

    def open(self) -> str:
        """Two researchers of two projects open their workspaces; Lab comes through the guard."""
        for username, project in (("rhea", PROJECT), ("otto", OTHER_PROJECT)):
            base = self.browsers[username].open_workspace(project)
            self.kernels[username] = Kernel(self.browsers[username], base)
        live = self.stage.tre("ada", "workspace", "list", "--live")
        return ", ".join(f"{w['id']} ({w['username']}, {w['project']}, login {w['credential']})" for w in live)

    def load(self) -> str:
        """The data as files and through a leased login; identifiers are pseudonyms, other in each project."""
        seen = printed(self.kernels["rhea"].must(LOAD).text)
        other = printed(self.kernels["otto"].must(OTHER).text)
        if seen["files"] != seen["database"]:
            raise Unexpected(f"files and database differ: {seen}")
        if seen["pseudonym"] == other["pseudonym"]:
            raise Unexpected("two projects see the same pseudonym")
        shown = f"first pseudonym {seen['pseudonym'][:8]}… here, {other['pseudonym'][:8]}… in the other project"
        return f"{seen['files']} rows both ways; {shown}"

    def analyse(self) -> str:
        """Counts, magnitudes and a regression, each with its verdict, and a figure in the notebook's kernel."""
        found = printed(self.kernels["rhea"].must(ANALYSE).text)
        if found["verdicts"] != ["pass", "pass"]:
            raise Unexpected(f"the regression or the means do not pass: {found}")
        return f"regression on {found['n']} rows, R² {found['r2']}, means by plan; two tables of counts, one figure"

    def submit(self) -> str:
        """Pre-flight names the disclosive cell and the remedy; the researcher submits anyway."""
        kernel = self.kernels["rhea"]
        said = printed(kernel.must(SUBMIT).text)["preflight"]
        if "race=0" not in said or "emedy" not in said:
            raise Unexpected(f"pre-flight does not name the cell and the remedy: {said}")
        self.request = printed(kernel.must(DESPITE).text)["request"]
        return f"request {self.request}; pre-flight: {said[:150]}"

    def returned(self) -> str:
        """The platform makes the table again from the pinned extract and returns the request with the finding."""
        request = self.wait_for("returned")
        if any(finding["cell"] for file in request["files"] for finding in file["findings"]):
            raise Unexpected("a cell is named outside the workspace")
        seen = printed(self.kernels["rhea"].must(READ).text)
        if not any("race=0" in line and "mar=1" in line for line in seen["findings"]):
            raise Unexpected(f"no finding names the cell: {seen}")
        return f"returned; inside the workspace: {seen['findings'][0][:120]}"

    def mend(self) -> str:
        """The researcher suppresses and sends a new version, which passes on to review."""
        made = printed(self.kernels["rhea"].must(MEND).text)
        if made["request"] != self.request or made["version"] != 2:
            raise Unexpected(f"not a second version: {made}")
        request = self.wait_for("in_review")
        levels = {file["name"]: file["evidence"] for file in request["files"]}
        if levels["health.csv"] != "verified" or levels["marriage.csv"] != "verified":
            raise Unexpected(f"the tables were not verified: {levels}")
        return f"version 2 in review; evidence {levels}"

    def wait_for(self, state: str, seconds: float = 60) -> dict[str, Any]:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            request: dict[str, Any] = self.stage.tre("milo", "request", "show", self.request)
            if request["state"] == state:
                return request
            if request["state"] == "failed":
                break
            time.sleep(0.3)
        raise Unexpected(f"request {self.request} is {request['state']} ({request.get('reason')}), not {state}")
