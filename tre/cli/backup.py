"""`tre backup …`: the whole platform as one file, and back, on the machine itself while the platform is stopped.

Root's file is opened by root and handed on: the ordinary user that root becomes sees neither its folder nor its name.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tre.cli.show import as_line, text
from tre.errors import InvalidInput
from tre.settings import Settings

FILE = click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
STREAM = Path("-")


@click.group()
def backup() -> None:
    """The whole platform, stopped, as one file, and back."""


@backup.command()
@FILE
@AS_JSON
def save(file: Path, as_json: bool) -> None:
    """Write everything into a new FILE, or to standard output for `-`. It holds every secret: encrypt it."""
    if file == STREAM:
        if sys.stdout.isatty():
            raise InvalidInput("A backup is not for a terminal.", field="file", hint="Name a file, or use a pipe.")
        tell(_save(1), as_json, err=True)
        return
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InvalidInput(
            f"The file cannot be written: {error.strerror}.", field="file", hint="Name a new file, where you may write."
        ) from error
    try:
        told = _save(descriptor)
        os.fsync(descriptor)
    except BaseException:
        file.unlink()
        raise
    finally:
        os.close(descriptor)
    tell({"file": str(file), "bytes": file.stat().st_size, **told}, as_json)


@backup.command()
@FILE
@AS_JSON
def load(file: Path, as_json: bool) -> None:
    """Restore from FILE, or from standard input for `-`, into an empty state folder; whole or not at all."""
    try:
        descriptor = 0 if file == STREAM else os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidInput(f"The file cannot be read: {error.strerror}.", field="file") from error
    if os.geteuid() == 0:
        _as_ordinary("load", descriptor, 0)
        told = {}
    else:
        from tre.stack.backup import restore

        with open(descriptor, "rb", closefd=False) as source:
            told = {"entries": len(restore(Settings.load(), source))}
    tell({"state": str(Settings.load().state), **told}, as_json)


def _save(descriptor: int) -> dict[str, Any]:
    if os.geteuid() == 0:
        _as_ordinary("save", descriptor, 1)
        return {}
    from tre.stack.backup import backup as write

    with open(descriptor, "wb", closefd=False) as output:
        saved = write(Settings.load(), output)
    if saved.left_out:
        first = text(saved.left_out[0][:200])
        words = f"Left out, since their paths are too long: {len(saved.left_out)}, the first {first}."
        click.echo(words, err=True)
    return {"entries": len(saved.entries), "left_out": len(saved.left_out)}


def _as_ordinary(verb: str, descriptor: int, stream: int) -> None:
    """The same command over a standard stream, as the ordinary user; leaves with its exit code where it fails."""
    from tre.stack.ordinary import run_as_root

    with _as_stream(descriptor, stream):
        code = run_as_root([sys.executable, "-m", "tre.cli.main", "backup", verb, "-"])
    if code:
        raise SystemExit(code)


@contextlib.contextmanager
def _as_stream(descriptor: int, stream: int) -> Iterator[None]:
    """Standard input or output is this descriptor for a while."""
    kept = os.dup(stream)
    try:
        os.dup2(descriptor, stream)
        yield
    finally:
        os.dup2(kept, stream)
        os.close(kept)


def tell(answer: dict[str, Any], as_json: bool, *, err: bool = False) -> None:
    words = ", ".join(f"{name} {value}" for name, value in answer.items())
    click.echo(as_line(answer) if as_json else words, err=err)
