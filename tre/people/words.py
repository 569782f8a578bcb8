"""The words of this room without its tables, for edges that must start quickly. A test holds them equal to `model`."""

from __future__ import annotations

ROLES = ("administrator", "custodian", "researcher", "checker", "auditor")
STANDINGS = ("accreditation", "training")
REFUSAL_CODES = (
    "no_public_benefit",
    "legal_basis",
    "not_minimal",
    "risk_too_high",
    "team",
    "incomplete",
    "other",
)
