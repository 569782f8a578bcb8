"""Values that an institution would give, over the chart's own."""

from __future__ import annotations

import copy
from typing import Any

import yaml

from tests.cluster.chart import rendering
from tre.stack.examination.installation import CHART, Installation, merged

OUTSIDE: dict[str, Any] = merged(
    rendering.OUTSIDE,
    {
        "images": {"registry": "registry.example/tre", "tag": "1.0"},
        "postgresql": {"ca": "pg-ca"},
        "oidc": {"ca": None},
        "kubernetes": {"cidr": "10.0.0.0/30"},
    },
)


def installation(*, installed: bool = False, **changes: Any) -> Installation:
    """`content__accessMode="ReadWriteOnce"` changes content.accessMode."""
    values = merged(yaml.safe_load((CHART / "values.yaml").read_text()), copy.deepcopy(OUTSIDE))
    for key, value in changes.items():
        *folders, last = key.split("__")
        place = values
        for folder in folders:
            place = place[folder]
        place[last] = value
    return Installation("tre-system", values, "0.1.0", installed)
