"""`tre demo`: the journey, live."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False), help="Write every step's name, ok and seconds here."
)
@click.option(
    "--keep", type=click.Path(file_okay=False), help="Keep the platform's folder here instead of a temporary one."
)
def demo(json_file: str | None, keep: str | None) -> None:
    """The whole journey on real parts, with everything that must be refused. Exit 0 only if every step behaved."""
    from tre.stack.ordinary import ensure_ordinary

    ensure_ordinary(["-m", "tre.cli.main", *sys.argv[1:]])
    from tre.demo.journey import play

    report = play(Path(keep) if keep else None)
    report.table()
    if json_file:
        report.write(Path(json_file))
    sys.exit(0 if report.ok else 1)
