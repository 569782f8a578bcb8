"""The words and colours of states: one word for one thing on every page, the same as in errors and commands.

A colour never stands alone: the tag's text says what it means.
"""

from __future__ import annotations

from typing import Any

from tre.data.model import Decision, Delivery, ExtractState
from tre.outputs.model import Choice, Evidence, FileDecision
from tre.outputs.states import Owner, RequestState
from tre.people.model import Role
from tre.projects.model import ProjectState, RefusalCode
from tre.workspaces.model import WorkspaceState

#: Any state, choice or status → colour of its tag (GOV.UK tag classes).
COLOURS: dict[str, str] = {
    ProjectState.proposed: "yellow",
    ProjectState.approved: "green",
    ProjectState.refused: "red",
    ProjectState.suspended: "orange",
    ProjectState.closed: "grey",
    Decision.granted: "green",
    "undecided": "yellow",
    "ended": "grey",
    ExtractState.queued: "blue",
    ExtractState.building: "blue",
    ExtractState.ready: "green",
    ExtractState.failed: "red",
    ExtractState.removed: "grey",
    WorkspaceState.requested: "blue",
    WorkspaceState.starting: "blue",
    WorkspaceState.running: "green",
    WorkspaceState.stopping: "grey",
    WorkspaceState.stopped: "grey",
    RequestState.submitted: "blue",
    RequestState.checking: "blue",
    RequestState.in_review: "yellow",
    RequestState.returned: "orange",
    RequestState.rejected: "red",
    RequestState.releasing: "blue",
    RequestState.released: "green",
    RequestState.recalled: "red",
    RequestState.withdrawn: "grey",
    Choice.approve: "green",
    Choice.request_changes: "orange",
    Choice.reject: "red",
    FileDecision.changes_requested: "orange",
    FileDecision.conflicted: "purple",
    Evidence.verified: "green",
    Evidence.attested: "blue",
    Evidence.claimed: "grey",
    "pass": "green",
    "review": "yellow",
    "fail": "red",
    "suppressed": "grey",
    "unsafe": "red",
}

#: Words that are not the name itself with blanks for underscores.
NAMES: dict[str, str] = {
    Role.checker: "output checker",
    RefusalCode.no_public_benefit: "no public benefit",
    RefusalCode.legal_basis: "legal basis does not hold",
    RefusalCode.not_minimal: "asks for more than it needs",
    RefusalCode.risk_too_high: "risk too high",
    RefusalCode.team: "team not suitable",
    RefusalCode.incomplete: "proposal incomplete",
    RefusalCode.other: "other reason",
    Delivery.database: "database tables",
    Delivery.both: "files and database tables",
    Choice.request_changes: "request changes",
    "pass": "no finding",
    "review": "needs judgement",
    "fail": "must be mended",
}

#: Field of a form → its label, so that a list of errors says what each is about.
FIELDS: dict[str, str] = {
    "title": "Title",
    "slug": "Short name",
    "purpose": "Purpose",
    "public_benefit": "Public benefit",
    "legal_basis": "Legal basis",
    "risk_of_sharing": "Risk of sharing",
    "cost_of_withholding": "Cost of withholding",
    "end_date": "End date",
    "team": "Other members",
    "decision": "Your decision",
    "reason": "Reason",
    "password": "Password of now",
    "totp": "One-time code",
    "new": "New password",
    "again": "New password, once more",
    "would_change": "What would change it",
    "code": "Code",
    "columns": "Columns",
    "pseudonymised": "Pseudonymise",
    "delivery": "Delivery",
    "until": "Last day",
    "username": "User name",
    "object": "What it concerns",
    "statement": "The interest",
    "text": "Comment",
}

TURNS: dict[str, str] = {
    Owner.author: "the author's turn",
    Owner.reviewer: "the output checkers' turn",
    Owner.system: "the platform is working",
    Owner.nobody: "finished",
}

EVIDENCE: dict[str, str] = {
    Evidence.verified: "The platform recomputed this table from the pinned extract; every number agrees.",
    Evidence.attested: "Made by output_checks in the workspace, by the workspace's own word; nothing was recomputed.",
    Evidence.claimed: "A loose file: what it shows rests on the author's word.",
}

#: What a page says after something was done; the address only carries the key.
DONE: dict[str, str] = {
    "proposed": "The project is proposed. An administrator decides on it, and each controller on its own data.",
    "approved": "The project is approved.",
    "refused": "The project is refused. The team sees the reason and what would change it.",
    "suspended": "The project is suspended. Running workspaces end within seconds.",
    "closed": "The project is closed for ever.",
    "terminal": "The terminal is signed in as you. `tre logout` there, or `tre logout --all` anywhere, ends it.",
    "agreed": "You accepted the agreement.",
    "granted": "The grant is given. Its extract is queued.",
    "queued": "The extract is queued again.",
    "grant-refused": "The dataset is refused for this project. The team sees the reason and what would change it.",
    "grant-ended": "The grant has ended. Workspaces that rest on it end within seconds.",
    "member-added": "The member is added.",
    "member-removed": "The member is removed.",
    "stopped": "The workspace is stopping. Its credentials are revoked.",
    "voted": "Your vote is kept. Others see it once all required votes are in.",
    "commented": "Your comment is added.",
    "withdrawn": "The request is withdrawn.",
    "releasing": "The release has begun. The platform verifies the bytes, builds the crate and signs it.",
    "decided": "The decision is made.",
    "recalled": "The release is recalled, for ever.",
    "retried": "The request is tried again.",
    "declared": "Your interest is declared. You will not decide on what it touches.",
}


def table_words(spec: dict[str, Any]) -> str:
    """A table specification in a few words: count by sex and region."""
    named = [str(name) for name in (*spec.get("rows", ()), *spec.get("columns", ()))]
    statistic, values = spec.get("statistic", "count"), spec.get("values")
    return f"{statistic}{f' of {values}' if values else ''} by {' and '.join(named)}"


def name_of(word: str) -> str:
    return NAMES.get(word, word.replace("_", " "))


def about(field: str, message: str) -> str:
    """The message for a list, with the label of its field in front."""
    label = FIELDS.get(field)
    return f"{label}: {message}" if label else message


def tag(word: str) -> dict[str, str]:
    """Parameters of the tag component."""
    colour = COLOURS.get(word, "")
    return {"text": name_of(word), "classes": f"govuk-tag--{colour}" if colour else ""}
