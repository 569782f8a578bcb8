"""What a runtime orders from a keeper, as it travels over standard input. It holds the plan, and so its secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tre.workspaces.plan import LaunchPlan
from tre.workspaces.sandbox.arguments import Image


@dataclass(frozen=True)
class Order:
    """What `runtime` asks of a keeper: the plan, the workspace's folder, our own files, the control groups handed
    over."""

    plan: LaunchPlan
    folder: Path
    secrets: Path
    environment: Path
    image: Image
    groups: Mapping[str, str]

    def to_json(self) -> str:
        """For the keeper's standard input."""
        image = [self.image.start, self.image.ipython, list(self.image.packages)]
        paths = {name: str(getattr(self, name)) for name in ("folder", "secrets", "environment")}
        parts = {**paths, "image": image}
        return json.dumps(parts | {"groups": dict(self.groups), "plan": json.loads(self.plan.to_json())})

    @classmethod
    def from_json(cls, text: str) -> Order:
        """The order from `to_json`'s text."""
        parts = json.loads(text)
        start, ipython, packages = parts["image"]
        image = Image(start, ipython, tuple((name, folder) for name, folder in packages))
        plan = LaunchPlan.from_dict(parts["plan"])
        folder, secrets, environment = (Path(parts[name]) for name in ("folder", "secrets", "environment"))
        return cls(plan, folder, secrets, environment, image, parts["groups"])
