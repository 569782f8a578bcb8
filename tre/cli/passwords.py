"""How a command gets a password that is being chosen: from a file or a descriptor, or twice from a prompt."""

from __future__ import annotations

from typing import IO

import click


def new_password(file: IO[str] | None) -> str:
    if file:
        return file.read().rstrip("\n")
    answer: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return answer
