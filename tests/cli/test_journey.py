"""Commands against the real API: signing in and out, looking, deciding, exporting and verifying the record."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Live, Ran, Run
from tests.fixtures.people import Projects
from tre.people import terminal
from tre.people.model import Role
from tre.people.signin import SignedIn, issue_token


@pytest.fixture
def zoe(tre: Run, live: Live) -> Run:
    """The command line, signed in as an administrator."""
    ran = sign_in(tre, live)
    assert ran.code == 0, ran.err
    return tre


def sign_in(tre: Run, live: Live, *more: str) -> Ran:
    code, password = live.people.code("zoe"), str(live.password_file)
    return tre("login", "--url", live.url, "--username", "zoe", "--password-file", password, "--totp", code, *more)


def told(ran: Ran) -> Any:
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def test_signing_in_keeps_a_token_and_signing_out_ends_it(tre: Run, live: Live, token_file: Path):
    ran = sign_in(tre, live, "--json")
    assert told(ran) == {"signed_in": "zoe", "roles": ["administrator"], "until": "2026-06-01T20:00:00Z"}
    saved = json.loads(token_file.read_text())
    assert saved["token"] not in ran.out + ran.err
    assert told(tre("logout", "--json")) == {"signed_out": "zoe"}
    assert not token_file.exists()
    token_file.write_text(json.dumps(saved))
    token_file.chmod(0o600)
    assert tre("person", "list").code == 6


def test_a_token_that_was_left_on_another_computer_is_ended_from_here(tre: Run, live: Live, token_file: Path):
    assert sign_in(tre, live).code == 0
    left = token_file.read_text()
    live.people.clock.advance(minutes=2)
    assert sign_in(tre, live).code == 0
    assert told(tre("logout", "--all", "--json")) == {"signed_out": "zoe", "tokens": 2}
    assert not token_file.exists()
    token_file.write_text(left)
    token_file.chmod(0o600)
    assert tre("person", "list").code == 6
    live.people.clock.advance(minutes=2)
    assert sign_in(tre, live).code == 0
    assert told(tre("person", "sign-out", "zoe", "--json"))["tokens"] == 1


def test_a_browser_says_yes_to_a_terminal(
    tre: Run, live: Live, token_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The code goes to standard error; here the browser is the person's yes, given while the terminal waits."""
    asked: list[str] = []

    def meanwhile(seconds: float) -> None:
        asked.append(capsys.readouterr().err)
        if len(asked) == 2:
            code = re.search(r"[A-Z]{4}-[A-Z]{4}", asked[0])
            assert code
            zoe = SignedIn("zoe", "Zoe", frozenset(), live.people.session_round("zoe"))
            token, _ = issue_token(live.people.db, zoe, scope="all", via="web")
            terminal.approve(live.people.db, live.people.actor("zoe"), token=token, code=code[0])

    monkeypatch.setattr("tre.cli.login.time.sleep", meanwhile)
    ran = tre("login", "--url", live.url, "--browser", "--json")
    assert told(ran)["signed_in"] == "zoe"
    assert f"{live.url}/tre/terminal" in asked[0]
    assert tre("person", "list").code == 0
    assert tre("login", "--url", live.url, "--browser", "--username", "zoe").code == 2


def test_a_wrong_code_is_told_in_words_and_keeps_nothing(tre: Run, live: Live, token_file: Path):
    ran = tre(
        "login", "--url", live.url, "--username", "zoe", "--password-file", str(live.password_file), "--totp", "000000"
    )
    assert (ran.code, ran.err.splitlines()[0]) == (6, "Error: User name, password or one-time code is wrong.")
    assert not token_file.exists()


def test_five_wrong_codes_lock_with_a_code_of_their_own(tre: Run, live: Live):
    wrong = ("login", "--url", live.url, "--username", "zoe", "--password-file", str(live.password_file), "--totp", "1")
    assert [tre(*wrong).code for _ in range(6)] == [6, 6, 6, 6, 6, 5]


def test_a_token_for_reading_reads_only_and_can_sign_out(tre: Run, live: Live):
    assert sign_in(tre, live, "--read-only").code == 0
    assert tre("person", "list").code == 0
    assert tre("organisation", "add", "x", "--name", "X").code == 5
    assert tre("logout").code == 0


def test_people_and_organisations(zoe: Run, live: Live):
    assert told(zoe("organisation", "add", "north", "--name", "The North", "--json")) == {"slug": "north"}
    assert "The North" in zoe("organisation", "list").out
    password = str(live.password_file)
    made = told(
        zoe("person", "add", "cleo", "--name", "Cleo", "--organisation", "north", "--password-file", password, "--json")
    )
    assert made["totp_uri"].startswith("otpauth://totp/")
    dates = ("--awarded-on", "2026-01-01", "--expires-on", "2027-01-01")
    for arguments in (
        ("person", "role", "cleo", "custodian", "--organisation", "north"),
        ("person", "role", "cleo", "researcher"),
        ("person", "role", "cleo", "researcher", "--take"),
        ("person", "standing", "cleo", "training", "--title", "Safe", "--provider", "uni", *dates),
        ("person", "end-standing", "cleo", "training", "--on", "2026-06-01"),
        ("person", "interest", "organisation:north", "--statement", "My employer."),
    ):
        assert zoe(*arguments).code == 0, arguments
    shown = told(zoe("person", "show", "cleo", "--json"))
    assert shown["roles"] == [{"role": "custodian", "organisation": "north"}]
    assert shown["standings"][0]["expires_on"] == "2026-05-31"
    assert zoe("person", "end", "cleo", "--reason", "Left.").code == 0
    assert zoe("person", "role", "zoe", "auditor").code == 5
    assert zoe("person", "show", "no/body").code == 3


def test_a_project_is_looked_at_and_decided(zoe: Run, live: Live, tmp_path: Path):
    live.people.add("cy", Role.researcher)
    for arguments, code in (
        (("project", "suspend", "cost", "--reason", "Breach."), 0),
        (("project", "approve", "cost", "--reason", "Mended."), 0),
        (("project", "add-member", "cost", "cy"), 0),
        (("project", "remove-member", "cost", "cy", "--reason", "Left."), 0),
        (("project", "agree", "cost", "--yes"), 5),
        (("project", "refuse", "cost", "--code", "team", "--reason", "r", "--would-change", "w"), 4),
        (("project", "close", "cost", "--reason", "Done."), 0),
        (("project", "gate", "cost", "--username", "bob"), 0),
        (("project", "show", "nowhere"), 3),
        (("workspace", "list", "--live"), 0),
        (("workspace", "show", "x"), 3),
        (("workspace", "stop", "x"), 3),
    ):
        assert zoe(*arguments).code == code, arguments
    listed = told(zoe("project", "list", "--state", "closed", "--json"))
    assert [project["slug"] for project in listed] == ["cost"]
    decisions = told(zoe("project", "show", "cost", "--json"))["decisions"]
    assert [decision["by"] for decision in decisions] == ["ada", "zoe", "zoe", "zoe"]
    file = tmp_path / "proposal.json"
    for content, code in (("{", 2), ("{}", 2), ('{"slug": "x"}', 2)):
        file.write_text(content)
        assert zoe("project", "propose", str(file)).code == code


def test_the_inbox_says_whose_turn_it_is(zoe: Run, live: Live):
    assert told(zoe("inbox", "--json")) == []
    cy = live.people.add("cy", Role.researcher)
    Projects(live.people).propose("heart", cy)
    (task,) = told(zoe("inbox", "--json"))
    assert (task["text"], task["page"]) == ("Decide on the proposal The project heart", "projects/heart/decide")
    assert "Decide on the proposal" in zoe("inbox").out


def test_the_holidays_of_the_house_are_set_as_dates(zoe: Run):
    said = told(zoe("request", "limits", "--set", "holidays=2026-12-28,2026-12-25", "--set", "review_days=5", "--json"))
    assert (said["holidays"], said["review_days"]) == (["2026-12-25", "2026-12-28"], 5)
    assert told(zoe("request", "limits", "--set", "holidays=", "--json"))["holidays"] == []
    ran = zoe("request", "limits", "--set", "holidays=Christmas")
    assert (ran.code, "(holidays)" in ran.err) == (2, True)


def test_the_numbers_of_workspaces_are_shown_and_set_in_units(zoe: Run):
    shown = {row["name"]: row for row in told(zoe("workspace", "policy", "show", "--json"))}
    assert (shown["idle_seconds"]["value"], shown["idle_seconds"]["in_words"]) == (14400, "4 h")
    put = ("workspace", "policy", "set", "--reason", "A long job.", "--json")
    assert told(zoe(*put, "idle_seconds=8h", "response_bytes=64MiB"))[0]["value"] == 8 * 3600
    (row,) = told(zoe(*put, "--project", "cost", "cpus=0.5"))
    assert (row["value"], row["of"]) == (0.5, "project")
    assert told(zoe(*put, "--project", "cost", "cpus="))[0]["of"] == "platform"
    wrongs = {"idle_seconds=soon": "is no number", "idle=4": "no such number", "cpus=": "needs a value"}
    for wrong, said in wrongs.items():
        ran = zoe(*put[:-1], wrong)
        assert (ran.code, said in ran.err) == (2, True), ran.err


def test_the_record_is_exported_and_verified_offline(zoe: Run, live: Live, tmp_path: Path, token_file: Path):
    export = tmp_path / "export.jsonl"
    key = told(zoe("audit", "public-key", "--json"))["public_key"]
    assert told(zoe("audit", "verify", "--json"))["ok"]
    assert zoe("audit", "export", str(export)).code == 0
    assert zoe("audit", "export", str(tmp_path / "none" / "x")).code == 2
    assert len(told(zoe("audit", "list", "--action", "project.", "--limit", "2", "--json"))) == 2
    token_file.unlink()
    result = told(zoe("audit", "verify", "--file", str(export), "--public-key", key, "--json"))
    assert result["ok"]
    assert result["events"] == result["signed_up_to"] > 10
    lines = export.read_text().splitlines()
    tampered = tmp_path / "tampered.jsonl"
    tampered.write_text("\n".join([*lines[:3], lines[3].replace('"actor": "', '"actor": "x'), *lines[4:]]))
    ran = zoe("audit", "verify", "--file", str(tampered), "--public-key", key)
    assert (ran.code, "Event 3 was altered after it was written." in ran.err) == (20, True)
    truncated = tmp_path / "truncated.jsonl"
    last = max(number for number, line in enumerate(lines) if line.startswith('{"event"'))
    truncated.write_text("\n".join([*lines[:last], *lines[last + 1 :]]))
    assert zoe("audit", "verify", "--file", str(truncated), "--public-key", key).code == 20
    assert zoe("audit", "verify", "--file", str(export), "--public-key", "AAAA").code == 2
    assert zoe("audit", "verify", "--file", str(export)).code == 6
