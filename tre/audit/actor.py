"""Who does something. Built by an edge after authentication, or `SYSTEM` for the platform's own steps; never from a
caller's word.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Actor:
    """`roles` are the names of `tre.people.model.Role`; `via` is the edge: web, cli, notebook, machine or system."""

    username: str
    roles: frozenset[str] = frozenset()
    via: str = "system"


SYSTEM = Actor(username="system")
