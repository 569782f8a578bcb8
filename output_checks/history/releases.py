"""What is remembered of a table that leaves: its specification and its published values.

Decides the form of a release and of a store. Leaves what several releases give away to `differencing` and `joint`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from output_checks.errors import Unreadable
from output_checks.evidence.layout import label_text
from output_checks.rules.judgement import Judgement

if TYPE_CHECKING:
    from output_checks.mitigation.mitigate import Mitigated


@dataclass(frozen=True)
class Release:
    """An earlier table: its specification, labels of cells, published values (None: suppressed) and an id for
    people.
    """

    id: str
    spec: dict[str, Any]
    cells: tuple[tuple[tuple[str, ...], float | None], ...]
    context: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        cells = [[list(labels), value] for labels, value in self.cells]
        return {"id": self.id, "spec": self.spec, "cells": cells, "context": self.context}

    @classmethod
    def from_dict(cls, body: dict[str, Any]) -> Release:
        cells = tuple((tuple(map(str, labels)), None if v is None else float(v)) for labels, v in body["cells"])
        return cls(str(body["id"]), dict(body["spec"]), cells, dict(body.get("context", {})))


class Store(Protocol):
    """Where earlier releases are kept: read all, add one."""

    def releases(self) -> Iterable[Release]: ...

    def add(self, release: Release) -> None: ...


class JsonLines:
    """A store in one file, a release per line. A line that cannot be read blocks: what was released is then
    not known.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def releases(self) -> Iterator[Release]:
        if not self.path.exists():
            return
        for number, line in enumerate(self.path.read_bytes().splitlines(), start=1):
            if line.strip():
                try:
                    yield Release.from_dict(json.loads(line))
                except (ValueError, KeyError, TypeError):
                    raise Unreadable(
                        f"line {number} of the store cannot be read.",
                        field="store",
                        remedy="Restore it from its backup.",
                    ) from None

    def add(self, release: Release) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(release.to_dict()) + "\n")
            file.flush()
            os.fsync(file.fileno())


def release_of(table: Mitigated | Judgement, *, context: dict[str, Any] | None = None) -> Release:
    """What is to be remembered of a table that leaves."""
    report = table if isinstance(table, Judgement) else table.report
    values = [c.value for c in report.cells] if isinstance(table, Judgement) else table.values()
    labels = [tuple(label_text(text) for text in cell.labels.values()) for cell in report.cells]
    numbers = [float(v) if isinstance(v, int | float) else None for v in values]
    cells = tuple(zip(labels, numbers, strict=True))
    text = json.dumps([report.spec.to_dict(), [[list(a), b] for a, b in cells]], sort_keys=True, default=str)
    return Release(hashlib.sha256(text.encode()).hexdigest()[:16], report.spec.to_dict(), cells, context or {})


def remember(table: Mitigated | Judgement, store: Store, *, context: dict[str, Any] | None = None) -> Release:
    """Adds a table that leaves to the store, with a context of one's own. Raises what the store raises."""
    release = release_of(table, context=context)
    store.add(release)
    return release
