"""What goes wrong with a submission, in words: what, which field, and what to do."""

from __future__ import annotations

from typing import Any


class ReleaseError(Exception):
    """`code` is stable, `field` names the input, `hint` says what to do next."""

    def __init__(self, message: str, *, code: str = "invalid", field: str = "", hint: str = "") -> None:
        self.message, self.code, self.field, self.hint = message, code, field, hint
        super().__init__(": ".join(part for part in (field, message) if part) + (f" — {hint}" if hint else ""))


class PreflightFailed(ReleaseError):
    """The check before submitting found cells that would not be released. `findings` lists them as plain dicts."""

    def __init__(self, message: str, *, findings: list[dict[str, Any]], field: str) -> None:
        self.findings = findings
        hint = "Apply the remedy and write the file again, or pass despite_findings=True to let the checkers decide."
        super().__init__(message, code="preflight", field=field, hint=hint)
