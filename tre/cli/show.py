"""How an answer is shown: a table for people, JSON for machines. `@shown` gives every command its `--json`."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

Answer = Any
#: A moment as the API writes it: machines get it whole (`--json`), people to the second.
MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z", re.ASCII)


def shown(*columns: str) -> Callable[[Callable[..., Answer]], Callable[..., None]]:
    """Shows what the command returns. `columns` chooses and orders the columns of a list; without, all of the first
    row.
    """

    def decorate(command: Callable[..., Answer]) -> Callable[..., None]:
        @click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
        @functools.wraps(command)
        def run(*arguments: Any, as_json: bool, **options: Any) -> None:
            present(command(*arguments, **options), as_json, columns)

        return run

    return decorate


def present(answer: Answer, as_json: bool, columns: Sequence[str] = ()) -> None:
    if as_json:
        click.echo(as_line(answer))
    else:
        show(answer, columns)


def as_line(answer: Answer) -> str:
    """One line of JSON; what a terminal would obey instead of showing is escaped."""
    line = json.dumps(answer, ensure_ascii=False, default=str)
    return "".join(character if character.isprintable() else json.dumps(character)[1:-1] for character in line)


def show(answer: Answer, columns: Sequence[str] = ()) -> None:
    if isinstance(answer, Mapping):
        _pairs(answer)
    elif isinstance(answer, Sequence) and not isinstance(answer, str):
        _table(answer, columns)
    elif answer is not None:
        click.echo(text(answer))


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        click.echo("Nothing to show.")
        return
    names = list(columns) or list(rows[0])
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(text(name).replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*[text(row.get(name)) for name in names])
    Console(markup=False, emoji=False).print(table)


def _pairs(answer: Mapping[str, Any]) -> None:
    width = max((len(name) for name in answer), default=0)
    for name, value in answer.items():
        label = text(name).replace("_", " ").ljust(width)
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            click.echo(f"{label}")
            _table(value, ())
        else:
            # Lines of others are moved in, so that none looks like one of ours.
            click.echo(f"{label}  {text(value)}".replace("\n", "\n" + " " * (width + 2)))


def text(value: Any) -> str:
    """One value for people: no control characters of others reach the terminal."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        there = {key: inner for key, inner in value.items() if inner not in (None, "")}
        return ", ".join(f"{text(key)}: {text(inner)}" for key, inner in there.items()) or "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(text(inner) for inner in value) or "-"
    if moment := MOMENT.fullmatch(str(value)):
        return f"{moment[1]} {moment[2]} UTC"
    return "".join(
        character if character.isprintable() or character == "\n" else "\N{REPLACEMENT CHARACTER}"
        for character in str(value)
    )
