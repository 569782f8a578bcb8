"""`tre up`, `tre status`, `tre doctor`: the platform on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tre.cli.show import present, shown, text
from tre.settings import Settings

if TYPE_CHECKING:
    from tre.stack.examination.finding import Finding
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
        try:
            click.echo(text)
        except OSError:
            # What could not be written is kept, and would fail the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

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
@click.option("--cluster", is_flag=True, help="The cluster, its servers and the installation there instead.")
@click.option("--namespace", default="tre-system", show_default=True, help="Of the release, with --cluster.")
@click.option(
    "--values",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Values of an installation that is to be, with --cluster; several as for helm.",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def doctor(cluster: bool, namespace: str, files: tuple[Path, ...], as_json: bool) -> None:
    """What is lacking for running tre, and how to mend each: on this machine, or with --cluster on a cluster.

    With --cluster the exit code is that of the first thing that is wrong, 0 where nothing is.
    """
    if not cluster:
        if files:
            raise click.UsageError("--values goes with --cluster.")
        from tre.stack.doctor import examine

        found = [asdict(finding) for finding in examine(Settings.load())]
        present(found, as_json, ("name", "ok", "found", "remedy"))
        return
    from tre.stack.examination.finding import exit_code
    from tre.stack.examination.whole import examine_from_here

    findings = examine_from_here(Settings.load(), namespace, files)
    if as_json:
        present([one.as_dict() for one in findings], as_json)
    else:
        click.echo("\n".join(lines(findings)))
    if code := exit_code(findings):
        sys.exit(code)


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """What is right takes one line; else what was found follows with its value, and how to mend it."""
    for one in findings:
        if one.level == "ok":
            yield f"ok       {text(one.name)}: {text(one.found)}"
        else:
            yield f"{one.level:<8} {text(one.name)}"
            yield f"         {text(one.value)}: {text(one.found)}"
            yield f"         {text(one.remedy)}"
    counts = [sum(one.level == level for one in findings) for level in ("fail", "warning", "ok")]
    yield "{} to mend, {} to look at, {} as they should be.".format(*counts)


def _rest() -> list[str]:
    return sys.argv[1:]
