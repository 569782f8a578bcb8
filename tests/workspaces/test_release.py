"""The researcher's client, against a real HTTP server on a real Unix socket."""

import email
import email.policy
import hashlib
import http.server
import json
import os
import socketserver
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tre.workspaces.runtime import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "images" / "workspace" / "lib"))
import release
from release import transport

WORDS = {"title": "Visits", "context": "Table 2 of the paper.", "controls": "Threshold 10."}


class Intake:
    """Answers as the agreed protocol says and keeps what it was sent."""

    def __init__(self, folder: Path) -> None:
        self.seen: list[dict[str, Any]] = []
        self.answers: dict[tuple[str, str], tuple[int, Any]] = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                seen = {"path": self.path, "method": self.command, "token": self.headers["Authorization"]}
                outer.seen.append(seen | {"parts": parts(self.headers.get("Content-Type", ""), body)})
                status, value = outer.answers.get((self.command, self.path), (404, {"error": {"message": "no such"}}))
                text = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = answer

            def address_string(self) -> str:
                return "workspace"

            def log_message(self, *_: Any) -> None:
                pass

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        self.server = Server(str(folder / "intake.sock"), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def parts(kind: str, body: bytes) -> list[tuple[str, bytes]]:
    """(name, bytes) of each part, read by the standard library's own parser."""
    if not kind.startswith("multipart/"):
        return []
    message = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body, policy=email.policy.HTTP)
    return [(part.get_param("name", header="content-disposition"), part.get_payload(decode=True)) for part in message.iter_parts()]  # type: ignore[attr-defined]  # fmt: skip  # noqa: E501


@pytest.fixture
def intake(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Intake]:
    (folder / "token").write_text("the-token\n")
    monkeypatch.setenv("TRE_INTAKE_SOCKET", str(folder / "intake.sock"))
    monkeypatch.setenv("TRE_INTAKE_TOKEN_FILE", str(folder / "token"))
    monkeypatch.chdir(folder)
    found = Intake(folder)
    found.answers["POST", "/requests"] = (201, {"request": "R7", "version": 2, "state": "checking", "url": "/r/7"})
    yield found
    found.server.shutdown()
    found.server.server_close()


def test_the_whole_submission(intake: Intake, folder: Path) -> None:
    (folder / "counts.csv").write_bytes(b"plan,n\r\n--boundary\r\nfree,20\n")
    (folder / "trend.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\xff")
    receipt = release.submit(
        ["counts.csv", release.File("trend.png", title="Trend", context="Figure 1")],
        **WORDS,
        tables={"counts.csv": release.Table("visits", {"rows": ["plan"]})},
        replaces="R7",
    )
    assert receipt == release.Receipt("R7", 2, "checking", "/r/7")
    (seen,) = intake.seen
    assert (seen["method"], seen["path"], seen["token"]) == ("POST", "/requests", "Bearer the-token")
    (kind, manifest), *files = seen["parts"]
    assert kind == "manifest"
    assert [name for name, _ in files] == ["file", "file"]
    assert [data for _, data in files] == [(folder / name).read_bytes() for name in ("counts.csv", "trend.png")]
    found = json.loads(manifest)
    spec = found["files"][0].pop("spec")
    assert spec["rows"] == ["plan"]
    assert found == {
        **WORDS,
        "replaces": "R7",
        "files": [
            {
                "name": "counts.csv",
                "title": "Visits: counts.csv",
                "context": WORDS["context"],
                "kind": "table",
                "dataset": "visits",
                "record": "",
            },
            {
                "name": "trend.png",
                "title": "Trend",
                "context": "Figure 1",
                "kind": "figure",
                "dataset": None,
                "spec": None,
                "record": "",
            },
        ],
    }


def test_following_requests(intake: Intake) -> None:
    one = {"id": "R7", "state": "in_review", "version": 2, "findings": [], "comments": []}
    intake.answers["GET", "/requests"] = (200, {"requests": [one]})
    intake.answers["GET", "/requests/R7"] = (200, one)
    assert release.requests() == [one]
    assert release.status("R7") == one
    assert release.status(release.Receipt("R7", 2, "checking", "/r/7")) == one
    intake.answers["GET", "/requests/..%2Fother"] = (200, {"id": "quoted"})
    assert release.status("../other") == {"id": "quoted"}


@pytest.mark.parametrize("missing", ["title", "context", "controls"])
def test_words_are_needed(intake: Intake, folder: Path, missing: str) -> None:
    (folder / "a.csv").write_text("x")
    with pytest.raises(release.ReleaseError) as error:
        release.submit(["a.csv"], **(WORDS | {missing: "  "}))
    assert error.value.field == missing
    assert error.value.hint
    assert intake.seen == []


def test_what_is_not_a_file_is_refused_at_once(intake: Intake, folder: Path) -> None:
    os.mkfifo(folder / "fifo.csv")
    (folder / "link.csv").symlink_to("/etc/passwd")
    (folder / "empty.csv").touch()
    (folder / "folder.csv").mkdir()
    os.truncate(os.open(folder / "large.csv", os.O_CREAT | os.O_WRONLY), 1 << 40)
    for name in ("fifo.csv", "link.csv", "empty.csv", "folder.csv", "large.csv", "missing.csv"):
        with pytest.raises(release.ReleaseError) as error:
            release.submit([name], **WORDS)
        assert error.value.field == f"files.{name}"
        assert error.value.hint
    assert intake.seen == []


@pytest.mark.parametrize(
    ("files", "field"),
    [
        ([], "files"),
        ([3], "files"),
        (["a.csv", "sub/a.csv"], "files"),
        (["a.unknown"], "files.a.unknown.kind"),
        ([{"path": "a.csv", "kind": "movie"}], "files.a.csv.kind"),
        ([{"path": "a.csv", "colour": "red"}], "files"),
    ],
)
def test_files_that_cannot_be_meant(intake: Intake, files: Any, field: str) -> None:
    with pytest.raises(release.ReleaseError) as error:
        release.submit(files, **WORDS)
    assert error.value.field == field
    assert intake.seen == []


def test_a_specification_for_no_file(intake: Intake, folder: Path) -> None:
    (folder / "a.csv").write_text("x")
    with pytest.raises(release.ReleaseError) as error:
        release.submit(["a.csv"], **WORDS, tables={"b.csv": release.Table("visits", {"rows": ["x"]})})
    assert error.value.field == "tables"
    with pytest.raises(release.ReleaseError) as error:
        release.submit(["a.csv"], **WORDS, tables={"a.csv": release.Table("visits", {"rowz": ["x"]})})
    assert error.value.field.startswith("tables.a.csv.")
    assert error.value.hint
    with pytest.raises(release.ReleaseError) as error:
        release.submit(["a.csv"], **WORDS, tables={"a.csv": {"rows": ["x"]}})
    assert error.value.field == "tables.a.csv"
    assert intake.seen == []


def test_preflight_names_cell_and_remedy(intake: Intake, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"plan": ["free"] * 30 + ["rare"] * 2, "person": list(range(32))})
    (folder / "counts.csv").write_text("plan,n\nfree,30\nrare,2\n")
    tables = {"counts.csv": release.Table("visits", {"rows": ["plan"], "unit": "person"}, frame)}
    with pytest.raises(release.PreflightFailed) as error:
        release.submit(["counts.csv"], **WORDS, tables=tables)
    assert "plan=rare" in str(error.value)
    assert "despite_findings" in error.value.hint
    assert any(finding["cell"] == {"plan": "rare"} and finding["remedy"] for finding in error.value.findings)
    assert intake.seen == []
    receipt = release.submit(["counts.csv"], **WORDS, tables=tables, despite_findings=True)
    assert receipt.findings == error.value.findings
    assert "plan=rare" in capsys.readouterr().out


def test_the_platforms_own_words_come_through(intake: Intake, folder: Path) -> None:
    (folder / "a.csv").write_text("x")
    body = {"code": "limit_exceeded", "message": "too many files", "hint": "Submit fewer.", "field": "files"}
    intake.answers["POST", "/requests"] = (413, {"error": body})
    with pytest.raises(release.ReleaseError) as error:
        release.submit(["a.csv"], **WORDS)
    assert (error.value.code, error.value.field, error.value.hint) == ("limit_exceeded", "files", "Submit fewer.")
    assert "too many files" in str(error.value)
    for status, answer in ((500, b"<html>"), (403, []), (502, {"error": {}})):
        intake.answers["POST", "/requests"] = (status, answer)
        with pytest.raises(release.ReleaseError):
            release.submit(["a.csv"], **WORDS)


def test_outside_a_workspace_it_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRE_INTAKE_TOKEN_FILE", str(folder / "nothing"))
    with pytest.raises(release.ReleaseError, match="inside a running workspace"):
        release.requests()
    (folder / "token").write_text("t")
    monkeypatch.setenv("TRE_INTAKE_TOKEN_FILE", str(folder / "token"))
    monkeypatch.setenv("TRE_INTAKE_SOCKET", str(folder / "nothing.sock"))
    with pytest.raises(release.ReleaseError, match="does not answer"):
        release.requests()


def test_what_output_checks_wrote_goes_along_with_its_own_bytes_only(
    intake: Intake, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import pandas

    import output_checks

    session = output_checks.Session("Counts")
    data = pandas.DataFrame({"plan": ["free"] * 30 + ["rare"] * 2})
    session.add(output_checks.crosstab("plan", data=data).suppress(), name="counts", title="t", context="c")
    session.write("out")
    (folder / "out" / "loose.csv").write_text("plan,n\nfree,30\n")

    def records() -> list[str]:
        release.submit(["out/counts.csv", "out/loose.csv"], **WORDS)
        return [file["record"] for file in json.loads(intake.seen[-1]["parts"][0][1])["files"]]

    counts, loose = records()
    body = json.loads(counts)
    digest = hashlib.sha256((folder / "out" / "counts.csv").read_bytes()).hexdigest()
    assert (body["profile"]["id"], body["item"]["files"], loose) == ("sacro", {"counts.csv": digest}, "")
    with (folder / "out" / "counts.csv").open("a") as file:
        file.write("rare,2\n")
    assert records() == ["", ""]
    assert "goes without its record" in capsys.readouterr().out
    for text in ("", "[]", "nonsense", '{"items": [1]}', '{"items": 7}'):
        (folder / "out" / "outputs.json").write_text(text)
        assert records() == ["", ""]
    (folder / "out" / "outputs.json").unlink()
    (folder / "out" / "outputs.json").symlink_to("/etc/passwd")
    assert records() == ["", ""]


def test_names_travel_in_the_manifest_only() -> None:
    """A name in a header could end the header: the part's own file name is a number."""
    kind, body = transport.form({"files": [{"name": 'a"\r\nX: y'}]}, [b"data"])
    assert b'filename="0"' in body
    assert b"\r\nX: y" not in body
    assert parts(kind, body)[1] == ("file", b"data")
