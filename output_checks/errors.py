"""What output_checks raises.

Decides how a failure names its field and its remedy and which exit code the command line gives. Leaves
disclosure risks to findings: an exception here means that no verdict could be reached at all, and the caller
must treat that as blocked.

    OutputCheckError
    ├── BadInput        a specification, profile or argument is wrong; names the field and the remedy (exit 2)
    ├── Unreadable      data or a published file could not be read; blocked until it can (exit 2)
    └── Unsafe          what was about to be handed over did not survive its own audit (exit 11)
"""

from __future__ import annotations

from typing import Any, ClassVar


class OutputCheckError(Exception):
    """A failure with a sentence for people, the field it is about and what would put it right."""

    code: ClassVar[str] = "output_check"
    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, *, field: str = "", remedy: str = "") -> None:
        self.message, self.field, self.remedy = message, field, remedy
        where = f"{field}: " if field else ""
        then = f" {remedy}" if remedy else ""
        super().__init__(f"{where}{message}{then}")

    def to_dict(self) -> dict[str, Any]:
        """The error as the command line prints it with `--json`."""
        return {"error": {"code": self.code, "field": self.field, "message": self.message, "remedy": self.remedy}}


class BadInput(OutputCheckError):
    """A specification, profile or argument is wrong."""

    code = "bad_input"


class Unreadable(OutputCheckError):
    """Data or a published file could not be read; blocked until it can."""

    code = "unreadable"


class Unsafe(OutputCheckError):
    """Carries the findings of the audit that refused, in `findings`."""

    code = "unsafe"
    exit_code = 11

    def __init__(self, message: str, *, findings: tuple[Any, ...] = (), remedy: str = "") -> None:
        self.findings = findings
        super().__init__(message, remedy=remedy)
