"""The house's numbers: how many reviewers, which risk appetite, how large and how many.

They stand in the database and nowhere else; no caller can hand in its own. An administrator changes them, audited,
and a review that has begun keeps the number of reviewers that it began with.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import date, datetime

from sqlalchemy.orm import Session

from output_checks.appetites import profiles
from tre.audit import Actor, use_case
from tre.errors import Broken, InvalidInput
from tre.outputs.calendar import due_after, read_holidays, working_days
from tre.outputs.model import OutputSettings
from tre.people.model import Role
from tre.people.rules import check_role
from tre.store import Database

MEGABYTE = 1 << 20
# Least and most that an administrator may set: two pairs of eyes always, and nothing that one sandbox cannot hold.
BOUNDS = {
    "reviewers_required": (2, 5),
    "review_days": (1, 60),
    "max_files": (1, 500),
    "max_file_bytes": (1024, 64 * MEGABYTE),
    "max_request_bytes": (1024, 256 * MEGABYTE),
    "max_rows": (1, 100_000),
    "max_requests_per_day": (1, 10_000),
}


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes; `review_days` working days until a review is overdue, `holidays` (ISO dates) not among them;
    `profile` names the risk appetite of output_checks.
    """

    reviewers_required: int
    profile: str
    review_days: int
    holidays: list[str]
    max_files: int
    max_file_bytes: int
    max_request_bytes: int
    max_rows: int
    max_requests_per_day: int

    def days_off(self) -> frozenset[date]:
        return frozenset(map(date.fromisoformat, self.holidays))

    def due(self, since: datetime) -> datetime:
        """Until when reviewers should have answered what came to them then."""
        return due_after(since, self.review_days, self.days_off())

    def working_days(self, now: datetime, due: datetime | None) -> int | None:
        """From today to the day when it is due; None for what is due at no time."""
        return None if due is None else working_days(now, due, self.days_off())


def read(session: Session) -> Limits:
    """Raises `Broken` when the row is gone: without it nothing may be released."""
    row = session.get(OutputSettings, 1)
    if row is None:
        raise Broken("The output settings are missing from the database.")
    return Limits(**{item.name: getattr(row, item.name) for item in fields(Limits)})


def check_limits(limits: Limits) -> None:
    """Raises `InvalidInput` naming the field."""
    for name, (least, most) in BOUNDS.items():
        value = getattr(limits, name)
        if type(value) is not int or not least <= value <= most:
            raise InvalidInput(f"Give a whole number from {least} to {most}.", field=name)
    if limits.profile not in profiles():
        raise InvalidInput("There is no such risk appetite.", field="profile", hint=f"Known: {', '.join(profiles())}.")


def change(db: Database, actor: Actor, changes: dict[str, object]) -> Limits:
    """Changes some of the numbers. Raises `InvalidInput` for a name or value that does not fit."""
    with use_case(db, actor, "outputs.change_limits", "outputs:limits") as case:
        check_role(actor, Role.administrator)
        row = case.session.get(OutputSettings, 1, with_for_update=True)
        before = asdict(read(case.session))
        unknown = sorted(changes.keys() - before.keys())
        if unknown or row is None:
            raise InvalidInput("There is no such setting.", field=unknown[0], hint=f"Known: {', '.join(before)}.")
        if "holidays" in changes:
            changes = {**changes, "holidays": read_holidays(changes["holidays"])}
        limits = Limits(**{**before, **changes})
        check_limits(limits)
        for name, value in changes.items():
            setattr(row, name, value)
        row.changed_by, row.changed_at = actor.username, case.now
        case.note(before={name: before[name] for name in changes}, after=dict(changes))
        return limits
