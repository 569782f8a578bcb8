"""What docs/helm.md has an administrator do beside the institution's own servers, taken from there to the letter."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tests.cluster.machine.place import CHECKOUT

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _blocks(kind: str) -> list[str]:
    text = (CHECKOUT / "docs" / "helm.md").read_text()
    _, _, rest = text.partition("<!-- carried out: begin -->")
    carried, _, _ = rest.partition("<!-- carried out: end -->")
    return [block for found, block in _BLOCK.findall(carried) if found == kind]


def values() -> dict[str, Any]:
    (text,) = _blocks("yaml")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def commands(beginning: str) -> str:
    """The block in which a line begins so."""
    (found,) = [block for block in _blocks("sh") if re.search(rf"^{re.escape(beginning)}", block, re.MULTILINE)]
    return found
