"""`tre inbox`: whose turn it is, if it is yours."""

from __future__ import annotations

from typing import Any

import click

from tre.cli.client import call
from tre.cli.show import shown


@click.command()
@shown("text", "since", "due", "due_in", "page")
def inbox() -> Any:
    """What waits for you: decisions, reviews, releases, and what was returned to you. `due in` counts working days."""
    return call("GET", "/inbox")["tasks"]
