"""What the platform's worker does for the data room, one small thing at a time."""

from __future__ import annotations

from typing import Protocol

from tre.data import erasure, extracts, removal
from tre.data.sources import Places
from tre.store import Database


class Secrets(extracts.Secrets, removal.Databases, erasure.Keys, Protocol):
    """`tre.credentials.Secrets` is one."""


def step(db: Database, places: Places, secrets: Secrets) -> bool:
    """Removes one extract that must go, else erases what a closed project leaves, else builds one; False when there was
    nothing to do. Removal comes first: what nobody may see any more does not wait behind a long build.
    """
    return (
        removal.remove_one(db, places, secrets) or erasure.erase_one(db, secrets) or extracts.step(db, places, secrets)
    )


def tidy(db: Database, places: Places) -> int:
    """For a quiet moment, and after a start: folders that a killed worker left behind. Returns how many."""
    return removal.prune(db, places)
