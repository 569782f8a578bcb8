"""`tre audit …`. Verifying a file needs no platform, only the public key that one trusts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from tre.cli.client import call, call_bytes
from tre.cli.show import shown
from tre.errors import Broken, InvalidInput


@click.group()
def audit() -> None:
    """The hash-chained record of every change and every refusal."""


@audit.command("list")
@click.option("--subject", default="", help="For example project:rand-cost.")
@click.option("--by", default="", help="A user name.")
@click.option("--action", default="", help="The beginning of an action, for example workspace.")
@click.option("--limit", default=50)
@shown("seq", "at", "actor", "action", "subject", "outcome", "detail")
def list_events(subject: str, by: str, action: str, limit: int) -> Any:
    """The latest events, newest first."""
    return call("GET", "/audit/events", params={"subject": subject, "by": by, "action": action, "limit": limit})


@audit.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@shown()
def export(file: Path) -> Any:
    """Write the whole record, with its signed heads, as JSON Lines."""
    content = call_bytes("POST", "/audit/export")
    try:
        file.write_bytes(content)
    except OSError as error:
        raise InvalidInput(f"The file cannot be written: {error.strerror}.", field="file") from error
    return {"file": str(file), "bytes": len(content)}


@audit.command("public-key")
@shown()
def public_key() -> Any:
    """The key that verifies exports and release crates; keep it somewhere else."""
    return call("GET", "/audit/public-key")


@audit.command("verify")
@click.option(
    "--file", type=click.Path(path_type=Path, dir_okay=False), help="Verify an export instead of the platform."
)
@click.option("--public-key", "key", default="", help="The key you trust; without, the platform is asked for it.")
@shown()
def verify(file: Path | None, key: str) -> Any:
    """Check the chain and the signed head. Exit code 20 when anything was altered or is missing."""
    result = _verify_file(file, key) if file else call("POST", "/audit/verify")
    if not result["ok"]:
        raise Broken("The audit record does not hold: " + " ".join(result["problems"]))
    return result


def _verify_file(file: Path, key: str) -> dict[str, Any]:
    from tre.audit.service import verify_file
    from tre.audit.signature import check_with

    trusted = key or call("GET", "/audit/public-key")["public_key"]
    if not trusted:
        raise InvalidInput("A public key is needed.", field="public-key")
    return asdict(verify_file(file, check_with(trusted)))
