"""A session: what is meant for release, with title and context, and what a checker will ask.

Decides which questions are asked before they cost a round of review, and how items are written. Leaves
verdicts to the items.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from output_checks.appetites import Profile, load
from output_checks.errors import BadInput, Unsafe
from output_checks.mitigation.bars import Bars
from output_checks.mitigation.mitigate import Mitigated
from output_checks.mitigation.report import Report
from output_checks.rules.findings import Finding

CONTEXT_WORDS = 8


@dataclass(frozen=True)
class Question:
    """What a checker will ask of an item, and what to do about it."""

    item: str
    rule: str
    text: str
    remedy: str


@dataclass
class Item:
    """One thing for release: a table, a mitigated table, a verdict (model, figure), with a title and the
    reason for it.
    """

    name: str
    thing: Any
    title: str
    context: str
    counts: Any = None
    files: dict[str, str] = field(default_factory=dict)

    @property
    def report(self) -> Report | None:
        thing = self.table if self.table is not None else self.thing
        report = thing if isinstance(thing, Report) else getattr(thing, "report", None)
        return report if isinstance(report, Report) else None

    @property
    def table(self) -> Mitigated | None:
        """The mitigated table that leaves, alone or behind a bar chart."""
        thing = self.thing.table if isinstance(self.thing, Bars) else self.thing
        return thing if isinstance(thing, Mitigated) else None

    @property
    def mitigated(self) -> bool:
        return self.table is not None

    @property
    def status(self) -> str:
        """The verdict on the item as it would leave."""
        if self.mitigated:
            return "pass"
        verdict = getattr(self.thing, "verdict", self.thing)
        return str(getattr(verdict, "status", "fail"))


class Session:
    """Collects items: `session.add(table, title=…, context=…)`, `session.questions()`, `session.write(folder)`."""

    def __init__(self, title: str = "", *, profile: str | Profile = "sacro") -> None:
        self.title, self.profile = title, load(profile)
        self.items: list[Item] = []

    def add(self, thing: Any, *, title: str = "", context: str = "", counts: Any = None, name: str = "") -> Item:
        """Adds a table, model result, figure verdict or histogram. `counts` is the table with the numbers
        behind it.
        """
        name = name or f"output-{len(self.items) + 1}"
        if any(item.name == name for item in self.items):
            raise BadInput(f"{name!r} is there already.", field="name", remedy="Choose another name.")
        item = Item(name, thing, title, context, counts)
        self.items.append(item)
        return item

    def remove(self, name: str) -> None:
        """Takes an item out again."""
        if all(item.name != name for item in self.items):
            raise BadInput(f"{name!r} is not there.", field="name", remedy="See session.items.")
        self.items = [item for item in self.items if item.name != name]

    def questions(self) -> list[Question]:
        """The commonest reasons why outputs come back, each with its remedy; an empty list is the aim."""
        found = [question for item in self.items for question in self._of(item)]
        for finding in self.together():
            where = ", ".join(f"{name} = {label}" for name, label in finding.cell.items())
            found.append(Question("all", finding.rule, f"{finding.why} ({where or 'all records'})", finding.remedy))
        return found

    def together(self) -> list[Finding]:
        """What the tables of the session give away together: sums of several tables, means times counts, percentages
        of totals.
        """
        from output_checks.history.joint import together
        from output_checks.history.releases import release_of

        tables = [item.table or item.report.suppress() for item in self.items if item.report is not None]
        return together([release_of(table) for table in tables], self.profile)

    def _of(self, item: Item) -> list[Question]:
        found: list[Question] = []

        def ask(rule: str, text: str, remedy: str) -> None:
            found.append(Question(item.name, rule, text, remedy))

        if not item.title.strip():
            ask("title", "What is this?", "Give it a title that names variables, population and unit.")
        if len(item.context.split()) < CONTEXT_WORDS:
            ask("context", "What is it for, and what was done to protect it?", "Say it in a sentence or two.")
        if item.status == "fail":
            ask(
                "unsafe",
                "Some of it must not leave as it is.",
                "Use suppress(), round() or midpoint(), or coarser cells.",
            )
        elif item.status == "review":
            ask("review", "A checker will look at the findings.", "Explain in the context why it is safe.")
        report = item.report
        if report is not None and self.profile.rounding_required and not report.spec.rounding:
            ask("unrounded", "Are the counts rounded?", f"Use round({self.profile.round_base}).")
        if self._needs_counts(item):
            ask("no_counts", "How many records are behind each value?", "Add the table of counts: add(…, counts=…).")
        return found

    def _needs_counts(self, item: Item) -> bool:
        report = item.report
        if item.counts is not None or (report is not None and report.spec.statistic in ("count", "units")):
            return False
        return report is not None or type(item.thing).__name__ in ("Verdict", "Histogram", "Figure")

    def write(self, folder: str | Path) -> Path:
        """Writes tables as audited CSV, bar charts as PNG beside them, and `outputs.json` (specification, digest,
        status, title, context, questions).

        Raises Unsafe if an item fails: nothing is written then.
        """
        unsafe = [item.name for item in self.items if item.status == "fail"]
        if unsafe:
            raise Unsafe(f"{', '.join(unsafe)} must not leave as it is.", remedy="Mitigate or remove it.")
        if found := self.together():
            raise Unsafe(f"Together: {found[0].why}", findings=tuple(found), remedy=found[0].remedy)
        written = {item.name: _files(item) for item in self.items}
        out = Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        for item in self.items:
            item.files = {}
            for name, raw in written[item.name].items():
                (out / name).write_bytes(raw)
                item.files[name] = hashlib.sha256(raw).hexdigest()
        (out / "outputs.json").write_text(json.dumps(self.to_dict(), indent=1), encoding="utf-8")
        return out

    def to_dict(self) -> dict[str, Any]:
        """The session as plain JSON values."""
        return {
            "title": self.title,
            "profile": {"id": self.profile.id, "version": self.profile.version},
            "items": [_item(item) for item in self.items],
            "questions": [vars(question) for question in self.questions()],
        }


def _item(item: Item) -> dict[str, Any]:
    report = item.report
    verdict = getattr(item.thing, "verdict", item.thing)
    findings = report.findings if report is not None else list(getattr(verdict, "findings", ()))
    return {
        "name": item.name,
        "title": item.title,
        "context": item.context,
        "status": item.status,
        "files": {name: digest for name, digest in item.files.items() if name.endswith(".csv")},  # of the specification
        "spec": report.spec.to_dict() if report is not None else None,
        "what": item.table.what if item.table is not None else "",
        "findings": [finding.to_dict() for finding in findings] if not item.mitigated else [],
    }


def _files(item: Item) -> dict[str, bytes]:
    """What leaves of an item, by file name: the audited table, and the picture of a bar chart."""
    report = item.report
    if report is None:
        return {}
    table = item.table or report.suppress()
    files = {f"{item.name}.csv": table.to_csv().encode()}
    if isinstance(item.thing, Bars):
        files[f"{item.name}.png"] = item.thing.png()
    return files
