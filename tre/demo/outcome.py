"""The end of the journey: two blind reviews, the release, what must be refused on the way, the recall and the
record.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tre.demo.analysis import Analysis, printed
from tre.demo.browser import Browser, words
from tre.demo.secrecy import Secrecy
from tre.demo.stage import Stage, Unexpected

HASHES = """
import hashlib
print({name: hashlib.sha256(open(name, "rb").read()).hexdigest() for name in files})
"""


@dataclass
class Outcome:
    stage: Stage
    analysis: Analysis
    browsers: dict[str, Browser]
    secrecy: Secrecy

    @property
    def request(self) -> str:
        return self.analysis.request

    @property
    def folder(self) -> Path:
        return self.stage.settings.state.parent

    def own_review(self) -> str:
        """The author, made an output checker too, and a member of the team with the same role."""
        for username in ("rhea", "milo"):
            self.stage.tre("ada", "person", "role", username, "checker")
        self.stage.login("rhea")
        vote = ("request", "vote", self.request, "--choice", "approve")
        own = self.stage.refused("rhea", *vote, code="own_request")
        member = self.stage.refused("milo", *vote, code="own_project")
        return f"{own} {member}"

    def first_vote(self) -> str:
        """Chen looks at each file on the page and votes there; Dana, by command, reads nothing of it."""
        chen = self.browsers["chen"] = Browser(self.stage.url, self.stage.accounts["chen"])
        chen.sign_in()
        page = chen.page(f"/tre/requests/{self.request}")
        if "marriage.csv" not in page.text:
            raise Unexpected("the page does not show the files")
        looked = [chen.page(f"/tre/requests/{self.request}/files/{number}") for number in (1, 2, 3)]
        answer = chen.submit(
            page,
            "vote",
            **{f"choice-{n}": "approve" for n in (1, 2, 3)},
            **{f"comment-{n}": "Fine." for n in (1, 2, 3)},
        )
        if answer.status_code != 200:
            raise Unexpected(f"the vote was not taken: {words(answer.text)[:400]}")
        self.stage.login("dana")
        seen = self.stage.tre("dana", "request", "show", self.request)
        if any(file["votes"] for file in seen["files"]) or "Fine." in json.dumps(seen):
            raise Unexpected("the second checker reads the first one's vote")
        count = f"{seen['reviews']} of {seen['required']} reviews"
        return f"chen looked at {len(looked)} files and voted; dana sees {count}, no vote"

    def second_vote(self) -> str:
        """Dana looks and votes; then, and only then, one of them decides."""
        for number in ("1", "2", "3"):
            self.stage.tre("dana", "request", "view", self.request, number)
        early = self.stage.refused("dana", "request", "decide", self.request, "approve", code="votes_missing")
        self.stage.tre("dana", "request", "vote", self.request, "--choice", "approve", "--comment", "Agreed.")
        self.stage.tre("dana", "request", "decide", self.request, "approve")
        return f"two approvals; a decision before that was refused: {early}"

    def release(self) -> str:
        """The crate is built and signed; the researcher downloads exactly the reviewed bytes."""
        self.stage.tre("dana", "request", "release", self.request)
        self.analysis.wait_for("released")
        made = printed(self.analysis.kernels["rhea"].must(HASHES).text)
        for number, name in enumerate(("health.csv", "visits.png", "marriage.csv"), 1):
            target = self.folder / name
            self.stage.tre("rhea", "request", "download", self.request, str(target), "--file", str(number))
            if hashlib.sha256(target.read_bytes()).hexdigest() != made[name]:
                raise Unexpected(f"{name} is not what the workspace submitted")
        crate = self.folder / "crate.zip"
        self.stage.tre("rhea", "request", "download", self.request, str(crate))
        key = self.stage.tre("rhea", "request", "public-key")["public_key"]
        self.stage.tre("rhea", "request", "verify", str(crate), "--public-key", key)
        self._altered_crate(crate, key)
        digest = hashlib.sha256(crate.read_bytes()).hexdigest()
        return f"3 files byte for byte; crate {digest[:16]}… verifies, altered it does not"

    def _altered_crate(self, crate: Path, key: str) -> None:
        altered = self.folder / "altered.zip"
        content = bytearray(crate.read_bytes())
        content[len(content) // 2] ^= 1
        altered.write_bytes(content)
        signature = str(crate) + ".sig.json"
        arguments = ("request", "verify", str(altered), "--signature", signature, "--public-key", key)
        self.stage.refused("rhea", *arguments, code="broken")
        with zipfile.ZipFile(crate) as archive:
            if not any(name.endswith("ro-crate-metadata.json") for name in archive.namelist()):
                raise Unexpected("the crate has no metadata")

    def tampered(self) -> str:
        """A released file changed on disk is found at the next download, and not handed out."""
        digest = self._file("health.csv")["sha256"]
        machine = self.stage.machine
        kept = machine.change_stored(digest, b"1", b"2")
        target = str(self.folder / "again.csv")
        message = self.stage.refused("rhea", "request", "download", self.request, target, "--file", "1", code="broken")
        machine.put_stored(digest, kept)
        self.stage.tre("rhea", "request", "download", self.request, target, "--file", "1")
        return message

    def _file(self, name: str) -> dict[str, Any]:
        files = self.stage.tre("milo", "request", "show", self.request)["files"]
        return next(file for file in files if file["name"] == name)

    def recall(self) -> str:
        self.stage.tre("ada", "request", "recall", self.request, "--reason", "The demonstration ends with a recall.")
        target = str(self.folder / "late.csv")
        return self.stage.refused("rhea", "request", "download", self.request, target, "--file", "1", code="recalled")

    def audit(self) -> str:
        """Chain and signed head hold; a copy with one word changed, and one cut short, are found."""
        self.stage.login("aude")
        result = self.stage.tre("aude", "audit", "verify")
        key = self.stage.tre("aude", "audit", "public-key")["public_key"]
        export = self.folder / "audit.jsonl"
        self.stage.tre("aude", "audit", "export", str(export))
        check = ("audit", "verify", "--public-key", key, "--file")
        self.stage.tre("aude", *check, str(export))
        self.secrecy.look_through("the record", export.read_bytes())
        lines = export.read_text().splitlines(keepends=True)
        altered, cut = self.folder / "altered.jsonl", self.folder / "cut.jsonl"
        altered.write_text("".join(lines).replace('"project.approve"', '"project.refuse"', 1))
        cut.write_text("".join(line for number, line in enumerate(lines) if number != len(lines) // 2))
        for copy in (altered, cut):
            self.stage.refused("aude", *check, str(copy), code="broken")
        return f"{result['events']} events, signed up to {result['signed_up_to']}; both tampered copies found"
