"""The journey: its steps in order, and what each shows.

Decides the order and that nothing keeps running afterwards. A step that fails ends the journey, since the later ones
stand on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from tre.demo.analysis import Analysis
from tre.demo.governance import Governance
from tre.demo.outcome import Outcome
from tre.demo.release_stage import release_stage
from tre.demo.report import Report
from tre.demo.secrecy import Secrecy
from tre.demo.stage import Stage, running_platform, temporary_stage
from tre.demo.walls import Walls

Played = Callable[[], str]
Step = tuple[str, Played]


def play(keep: Path | None = None) -> Report:
    """Plays the whole journey on a platform of its own."""
    with temporary_stage(keep) as stage:
        scene = running_platform(stage)
        ended = "stop: nothing keeps running"

        def start() -> str:
            scene.__enter__()
            return f"{stage.url}; state in {stage.settings.state}"

        return _played(stage, "start: every server, health-checked, on a new state folder", start, ended, _end(scene))


def play_on_release(namespace: str, kubeconfig: Path | None) -> Report:
    """Plays the whole journey on a new release of the chart."""
    with release_stage(namespace, kubeconfig) as stage:
        ended = "stop: no workspace keeps running"
        return _played(stage, "start: every part of the release answers", stage.answers, ended, stage.end_workspaces)


def _played(stage: Stage, begin: str, start: Played, ended: str, end: Played) -> Report:
    report = Report()
    try:
        if report.play(begin, start):
            for name, step in steps(stage):
                if not report.play(name, step):
                    break
    finally:
        report.play(ended, end)
    return report


def _end(scene: object) -> Played:
    def end() -> str:
        scene.__exit__(None, None, None)  # type: ignore[attr-defined]
        return "every part ended"

    return end


def steps(stage: Stage) -> Iterator[Step]:
    governance = Governance(stage, {})
    analysis = Analysis(stage, governance.browsers)
    walls = Walls(stage, analysis, governance.browsers)
    secrecy = Secrecy(stage, analysis, governance.browsers)
    outcome = Outcome(stage, analysis, governance.browsers, secrecy)
    yield "people: first administrator, organisations, roles; nobody widens their own", governance.bootstrap
    yield "people: accreditation and training with expiry", governance.standings
    yield "data: two controllers register datasets", governance.register
    yield "project: researchers propose, risk beside the cost of withholding", governance.propose
    yield "project: the administrator and each controller decide", governance.decide
    yield "data: extracts, minimised and pseudonymised", governance.extract
    yield "project: members accept the agreement", governance.agree
    yield "refused: a workspace with expired training", analysis.expired_training
    yield "workspace: sign in, open Lab through the guard", analysis.open
    yield "workspace: data as files and by a leased login", analysis.load
    yield "workspace: analysis in the notebook's kernel", analysis.analyse
    yield "refused: from inside, data, databases, network, machine", walls.inside
    yield "refused: downloads through Jupyter", walls.guard
    yield "request: pre-flight names the cell and the remedy", analysis.submit
    yield "request: made again by the platform and returned", analysis.returned
    yield "request: a second version, verified, in review", analysis.mend
    yield "refused: reviewing one's own request, or as a member", outcome.own_review
    yield "review: the first checker votes on the page, the second reads nothing of it", outcome.first_vote
    yield "review: the second checker votes by command, then the decision", outcome.second_vote
    yield "release: the same bytes, in a signed crate", outcome.release
    yield "refused: released bytes changed on disk", outcome.tampered
    yield "refused: every way out that `tre verify` knows, in both workspaces and through the guard", walls.verify
    yield "secrets: none in a process list, an environment or a log", secrecy.look
    yield "workspace: stopped, login revoked, nothing left running", walls.stop
    yield "release: recalled, for ever", outcome.recall
    yield "audit: the record verifies, a tampered copy is found", outcome.audit
