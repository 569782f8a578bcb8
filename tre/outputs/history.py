"""Release memory: which earlier tables count against what wants to go out.

Decides that every released table on the same dataset does, whichever project it is of, recalled ones too: what the
world has seen it keeps. Leaves holding them against each other to `recomputing.memory`, in the sandbox.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tre.outputs.model import ReleasedTable


@dataclass(frozen=True)
class KeptTable:
    """A table that is out, under a name for people; `cells` are rows of texts, header first."""

    name: str
    spec: dict[str, Any]
    cells: list[list[str]]


def recall_memory(session: Session, datasets: Iterable[str]) -> dict[str, list[KeptTable]]:
    """Every released table by dataset, oldest first."""
    found: dict[str, list[KeptTable]] = {dataset: [] for dataset in datasets}
    query = select(ReleasedTable).where(ReleasedTable.dataset.in_(list(found))).order_by(ReleasedTable.id)
    for kept in session.scalars(query):
        found[kept.dataset].append(KeptTable(f"request {kept.request_id}", kept.spec, kept.cells))
    return found
