"""`tre`: the nouns and their commands.

Decides only what is found under which name, and how an error leaves: words on standard error, the exit code of the
error tree. Each noun is imported when it is used, so that `tre --help` answers at once.
"""

from __future__ import annotations

import importlib
import json
import os
import sys

import click

from tre.errors import TreError

NOUNS = {
    "admin": ("tre.cli.admin:admin", "On the machine: the first administrator, or one who is locked out."),
    "audit": ("tre.cli.audit:audit", "The audit record: look, export, verify."),
    "backup": ("tre.cli.backup:backup", "The whole platform as one file, and back."),
    "completion": ("tre.cli.completion:completion", "What a shell needs for completing these commands."),
    "dataset": ("tre.cli.data:dataset", "Datasets of the register: list, show, register."),
    "demo": ("tre.cli.demo:demo", "The whole journey on real parts, refusals included."),
    "doctor": ("tre.cli.up:doctor", "What this machine lacks, and how to mend it."),
    "extract": ("tre.cli.data:extract", "Extracts: what a project's workspaces see."),
    "grant": ("tre.cli.data:grant", "A controller's decision on its own data."),
    "inbox": ("tre.cli.inbox:inbox", "What waits for you."),
    "key": ("tre.cli.key:key", "The platform's signing keys: list, rotate."),
    "login": ("tre.cli.login:login", "Sign in: password and one-time code, or a browser."),
    "logout": ("tre.cli.login:logout", "Revoke the token of this computer."),
    "organisation": ("tre.cli.people:organisation", "Organisations: list, add."),
    "person": ("tre.cli.people:person", "People: accounts, roles, accreditation and training."),
    "prepare": ("tre.cli.prepare:prepare", "An institution's own servers, before an installation on a cluster."),
    "project": ("tre.cli.project:project", "Projects: propose, show, approve, refuse, suspend, close."),
    "request": ("tre.cli.request:request", "Release requests: list, look, vote, download, recall."),
    "status": ("tre.cli.up:status", "The parts of the platform on this machine."),
    "up": ("tre.cli.up:up", "Start the platform on this machine; Ctrl-C stops it."),
    "verify": ("tre.cli.verify:verify", "Prove a running workspace's walls from inside."),
    "workspace": ("tre.cli.workspace:workspace", "Workspaces: list, show, stop."),
}


class Nouns(click.Group):
    """Imports a noun's module when the noun is called; the list of nouns needs no import at all."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in NOUNS:
            return None
        module, _, name = NOUNS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, NOUNS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=Nouns)
@click.version_option(package_name="tre")
def tre() -> None:
    """tre, a secure trusted research environment. Every command takes --json; `tre NOUN --help` says more."""


def main() -> None:
    """Runs the command and leaves with the exit code that the error knows."""
    try:
        tre(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except TreError as error:
        _show(error)
        sys.exit(error.exit_code)
    except Exception as error:
        if os.environ.get("TRE_TRACEBACK"):
            raise
        unexpected = TreError(
            f"Something went wrong here: {type(error).__name__}.", hint="TRE_TRACEBACK=1 shows where."
        )
        _show(unexpected)
        sys.exit(unexpected.exit_code)


def _show(error: TreError) -> None:
    """The words may come from the platform and hold what others wrote there."""
    if "--json" in sys.argv:
        click.echo(json.dumps(error.as_dict()), err=True)
        return
    from tre.cli.show import text

    where = f" ({text(error.field)})" if error.field else ""
    click.echo(f"Error{where}: {text(error.message)}", err=True)
    if error.hint:
        click.echo(f"  {text(error.hint)}", err=True)


if __name__ == "__main__":
    main()
