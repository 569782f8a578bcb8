"""`tre up`, `tre status`, `tre doctor`: the platform on this machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from tre.cli.show import shown
from tre.settings import Settings


@click.command()
@click.option("--demo", is_flag=True, help="With the demonstration's people and data; prints the accounts.")
def up(demo: bool) -> None:
    """Start the platform and keep it running; Ctrl-C stops it."""
    from tre.stack.ordinary import ensure_ordinary

    ensure_ordinary(["-m", "tre.cli.main", "up", *(["--demo"] if demo else [])])
    from tre.stack.platform import run_platform

    settings = Settings.load()

    def ready() -> None:
        click.echo(f"The platform is ready: http://127.0.0.1:{settings.port}/tre/")
        if demo:
            from tre.demo.resident import settle_in_background

            settle_in_background(settings)

    run_platform(settings, ready, lambda part: click.echo(f"{part.name}: {part.state} {part.reason}".rstrip()))


@click.command()
@shown("name", "state", "pid", "since", "memory", "reason")
def status() -> Any:
    """The parts of the platform on this machine, with their memory."""
    from tre.stack.ordinary import ensure_ordinary

    ensure_ordinary(["-m", "tre.cli.main", *_rest()])
    from tre.stack.platform import read_status

    return [asdict(part) for part in read_status(Settings.load())]


@click.command()
@shown("name", "ok", "found", "remedy")
def doctor() -> Any:
    """What this machine lacks for running tre, and how to mend each."""
    from tre.stack.doctor import examine

    return [asdict(finding) for finding in examine(Settings.load())]


def _rest() -> list[str]:
    import sys

    return sys.argv[1:]
