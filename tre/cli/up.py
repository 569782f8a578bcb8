"""`tre up`, `tre status`, `tre doctor`: the platform on this machine."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from tre.cli.show import shown
from tre.settings import Settings

if TYPE_CHECKING:
    from tre.stack.status import PartStatus


@click.command()
@click.option("--demo", is_flag=True, help="With the demonstration's people and data; prints the accounts.")
def up(demo: bool) -> None:
    """Start the platform and keep it running; Ctrl-C stops it."""
    from tre.stack.ordinary import ensure_ordinary

    ensure_ordinary(["-m", "tre.cli.main", "up", *(["--demo"] if demo else [])])
    from tre.stack.platform import run_platform

    settings = Settings.load()
    screen = Screen()

    def ready() -> None:
        screen.say(f"The platform is ready: http://127.0.0.1:{settings.port}/tre/")
        if demo:
            from tre.demo.resident import settle_in_background

            settle_in_background(settings, screen.say)

    run_platform(settings, ready, screen.part)


class Screen:
    """What a person sees while the platform runs: each change once. A terminal that is closed breaks nothing off."""

    def __init__(self) -> None:
        self.lines: dict[str, str] = {}

    def say(self, text: str) -> None:
        with contextlib.suppress(OSError):
            click.echo(text)

    def part(self, part: PartStatus) -> None:
        line = f"{part.name}: {part.state} {part.reason}".rstrip()
        if self.lines.get(part.name) != line:
            self.lines[part.name] = line
            self.say(line)


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
