"""Release requests for the pages: submitted from a workspace, checked in the real sandbox, voted on, released."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from output_checks import TableSpec
from tests.outputs.house import Pen, png
from tests.web.site import Site
from tre.audit import Actor
from tre.outputs import checking, release, review, service
from tre.outputs.model import Choice
from tre.outputs.recomputed import Snapshot
from tre.outputs.review import Ballot, Verdict
from tre.outputs.service import NewFile, Submission
from tre.workspaces.sandbox.checking import run_checked

CLEAN = b"sex,people\nF,300\nM,220\n"
SMALL = b"sex,region,people\nF,north,30\nF,south,3\nM,north,40\nM,south,55\n"
MENDED = b"sex,region,people\nF,north,30\nF,south,\nM,north,40\nM,south,55\n"


@dataclass
class Desk:
    site: Site
    pen: Pen = field(default_factory=Pen)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)

    def file(self, name: str = "by-sex.csv", content: bytes = CLEAN, kind: str = "table", **more: Any) -> NewFile:
        return NewFile(name, self.site.store.put(content).digest, kind, **more)

    def submit(self, *files: NewFile, project: str = "care-costs", by: str = "rita", **more: Any) -> int:
        """Number of the request, checked."""
        request, check = more.pop("request", None), more.pop("check", True)
        words = {
            "title": "Visits by sex",
            "context": "Counts of visits, for table 1 of the paper.",
            "controls": "Cells below 10 are suppressed.",
        }
        submission = Submission(files=files or (self.file(),), **{**words, **more})
        actor = Actor(by, self.site.actors[by].roles, "notebook")
        found = service.submit(self.site.platform.db, self.site.store, actor, project, submission, request=request)
        if check:
            self.check()
        return found.request

    def check(self) -> None:
        desk = checking.CheckingDesk(self.site.store, run_checked, lambda session, project: self.snapshots)
        while checking.step(self.site.platform.db, desk):
            pass

    def vote(self, request: int, *who: str, choice: Choice = Choice.approve, comment: str = "", files: int = 1) -> None:
        version = self.version(request)
        ballots = [Ballot(number, choice, comment) for number in range(1, files + 1)]
        for name in who:
            review.vote(self.site.platform.db, self.site.actors[name], request, version=version, ballots=ballots)

    def decide(self, request: int, verdict: Verdict, *, by: str = "cora", reason: str = "") -> None:
        version = self.version(request)
        db = self.site.platform.db
        review.decide(db, self.site.actors[by], request, version=version, verdict=verdict, reason=reason)

    def approve(self, request: int, files: int = 1) -> int:
        self.vote(request, "cora", "carl", files=files)
        self.decide(request, Verdict.approve)
        return request

    def release(self, request: int, files: int = 1) -> int:
        self.approve(request, files)
        db = self.site.platform.db
        release.release(db, self.site.actors["cora"], request, version=self.version(request))
        self.carry_out()
        return request

    def carry_out(self) -> None:
        assert release.step(self.site.platform.db, release.ReleaseDesk(self.site.store, self.pen))

    def version(self, request: int) -> int:
        from tre.outputs import access

        with self.site.platform.db.read() as session:
            return access.get(session, request).version

    def snapshot(self, folder: Path) -> TableSpec:
        """Pins data of `visits` whose table by sex and region has one cell of 3 people; the specification of it."""
        rows = [("F", "north")] * 30 + [("F", "south")] * 3 + [("M", "north")] * 40 + [("M", "south")] * 55
        path = folder / "visits.parquet"
        pq.write_table(pa.table({"sex": [s for s, _ in rows], "region": [r for _, r in rows]}), path)
        self.snapshots["visits"] = Snapshot("visits", path, "5" * 64, None)
        return TableSpec(rows=("sex",), columns=("region",))


def picture() -> bytes:
    return png(400, 200)
