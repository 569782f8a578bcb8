"""Values that an institution would give, over the chart's own."""

from __future__ import annotations

import copy
from typing import Any

import yaml

from tre.stack.examination.installation import CHART, Installation, merged

OUTSIDE: dict[str, Any] = {
    "url": "https://tre.example",
    "images": {"registry": "registry.example/tre", "tag": "1.0"},
    "postgresql": {
        "state": {"host": "pg.example", "cidr": "10.0.5.7/32"},
        "data": {"host": "data.example", "cidr": "10.0.5.8/32"},
        "logins": "tre-logins",
        "ca": "pg-ca",
    },
    "openbao": {"url": "https://bao.example:8200", "cidr": "10.0.5.9/32"},
    "oidc": {
        "issuer": "https://id.example/realms/uni",
        "clientId": "tre",
        "clientSecret": "tre-oidc",
        "cidr": "10.0.5.10/32",
        "amr": ["mfa"],
    },
    "kubernetes": {"cidr": "10.0.0.0/30"},
    "intake": {"clusterIP": "10.96.0.77"},
    "dns": {"clusterIP": "10.96.0.78", "hosts": {"data.example": "10.0.5.8"}},
}


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
