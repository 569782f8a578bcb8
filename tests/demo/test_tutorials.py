"""The tutorials are true: what they tell researchers and output checkers to type works as it is written there."""

import re
import shlex
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.demo.conftest import Living
from tests.stack.toys import wait_until
from tre.demo.analysis import printed
from tre.demo.browser import Browser
from tre.demo.kernel import Kernel
from tre.demo.stage import Stage
from tre.door.places import ROOT

pytestmark = pytest.mark.timeout(600)


def tutorial(name: str) -> str:
    return (ROOT / "docs" / f"tutorial-{name}.md").read_text()


@pytest.fixture(scope="module")
def submitted(living: Living) -> str:
    """Number of the request that the researcher's tutorial submits, with its code run cell by cell in the kernel."""
    stage = living.stage
    (block,) = re.findall(r"```python\n(.*?)```", tutorial("researcher"), re.DOTALL)
    browser = Browser(stage.url, stage.accounts["rhea"])
    browser.sign_in()
    kernel = Kernel(browser, browser.open_workspace("health-costs"))
    try:
        kernel.must('import psycopg; psycopg.connect("service=project").close()')
        kernel.must(textwrap.dedent(block))
        return str(printed(kernel.must('print({"request": receipt.request})').text)["request"])
    finally:
        kernel.close()
        browser.close()


def typed(stage: Stage, username: str, line: str) -> Any:
    """What a person types after `tre`."""
    return stage.tre(username, *shlex.split(line))


def test_what_the_tutorials_say_is_what_happens(stage: Stage, submitted: str, tmp_path: Path) -> None:
    stage.login("chen")
    stage.login("dana")
    request = typed(stage, "chen", f"request show {submitted}")
    assert request["state"] in ("submitted", "checking", "in_review")
    crate = tmp_path / "CRATE.zip"
    said = [
        ("chen", "request list --waiting"),
        ("chen", "inbox"),
        ("chen", f"request view {submitted} 1"),
        ("chen", f"request vote {submitted} --choice approve"),
        ("dana", f"request view {submitted} 1"),
        ("dana", f"request vote {submitted} --choice approve"),
        ("dana", f"request decide {submitted} approve"),
        ("dana", f"request release {submitted}"),
    ]
    wait(stage, submitted, "in_review")
    answers = {line: typed(stage, who, line) for who, line in said}
    assert [row["id"] for row in answers["request list --waiting"]] == [int(submitted)]
    assert "Poor health by plan" in answers["inbox"][0]["text"]
    file = wait(stage, submitted, "released")["files"][0]
    assert (file["name"], file["evidence"]) == ("health.csv", "verified")
    stage.login("rhea")
    typed(stage, "rhea", f"request download {submitted} {crate}")
    assert zipfile.is_zipfile(crate)
    assert typed(stage, "dana", f"request verify {crate}")["ok"]
    typed(stage, "dana", f"request recall {submitted} --reason Mistake.")
    tried = {*(line for _, line in said), "request show", "request recall", "request verify", "person interest"}
    named = re.findall(r"`tre ([a-z]+(?: [a-z-]+)?)", tutorial("checker"))
    assert not [command for command in named if not any(line.startswith(command) for line in tried)]


def wait(stage: Stage, request: str, state: str) -> Any:
    seen: dict[str, Any] = {}

    def arrived() -> bool:
        seen.update(typed(stage, "chen", f"request show {request}"))
        return bool(seen["state"] == state)

    wait_until(arrived, 120)
    return seen
