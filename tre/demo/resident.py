"""`tre up --demo`: a platform that stays, with the demonstration's people, data and two approved projects.

Decides what is there on the first start, and how its people sign in: their passwords and authenticator secrets lie in a
0600 file of the state folder, and `python -m tre.demo.resident NAME` stands in for an authenticator app; the file says
which codes were given out, so that none is given twice. On later starts everybody is there already.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tre.credentials.files import write_secret
from tre.demo.cast import ADMINISTRATOR, CAST, TYPING_SECONDS, Account
from tre.demo.governance import Governance
from tre.demo.stage import Stage
from tre.errors import InvalidInput, TreError
from tre.settings import Settings, make_private_folder

ACCOUNTS = "demo-accounts.json"
STEPS = ("bootstrap", "standings", "register", "propose", "decide", "extract", "agree")
BROKEN_OFF = "demo: it was broken off when its people and data were made. Stop, remove {state} and start again."


def settle_in_background(settings: Settings, say: Callable[[str], None]) -> None:
    """Begins in a thread of its own: the platform that it speaks to runs in this process's main thread."""
    threading.Thread(target=settle, args=(settings, say), daemon=True, name="demo").start()


def settle(settings: Settings, say: Callable[[str], None]) -> None:
    """Makes people and data unless they are there; says how to sign in."""
    folder = settings.state / "demo"
    if not (settings.state / ACCOUNTS).exists():
        if folder.exists():
            say(BROKEN_OFF.format(state=settings.state))
            return
        make_private_folder(folder)
        if not _settled(Stage(settings, folder=folder), say):
            return
    say(welcome(settings))


def _settled(stage: Stage, say: Callable[[str], None]) -> bool:
    governance = Governance(stage, {})
    try:
        for number, name in enumerate(STEPS, 1):
            say(f"demo {number}/{len(STEPS)}: {getattr(governance, name)()}")
    except Exception as error:
        # Also where the platform was stopped meanwhile: words, not a traceback, end this thread.
        say(f"demo: {error.message if isinstance(error, TreError) else type(error).__name__}")
        return False
    finally:
        for browser in governance.browsers.values():
            browser.close()
    _forget_tokens(stage)
    _keep(stage.settings, stage.accounts)
    return True


def _keep(settings: Settings, accounts: Mapping[str, Account]) -> None:
    fields = ("password", "totp_secret", "last_step")
    kept = {name: {field: getattr(one, field) for field in fields} for name, one in accounts.items()}
    write_secret(settings.state / ACCOUNTS, json.dumps(kept, indent=1) + "\n")


def _forget_tokens(stage: Stage) -> None:
    """The tokens that were used to settle in are not left lying about."""
    for username in stage.accounts:
        token = Path(stage.environment(username)["TRE_TOKEN_FILE"])
        if token.exists():
            with contextlib.suppress(TreError):
                stage.tre(username, "logout")


def read_accounts(settings: Settings) -> dict[str, Account]:
    """The demonstration's people by name. Raises `InvalidInput` where `tre up --demo` has not made them."""
    try:
        kept = json.loads((settings.state / ACCOUNTS).read_text())
    except FileNotFoundError:
        message = f"There is no demonstration in {settings.state}."
        raise InvalidInput(message, field="TRE_STATE", hint="Run `make up` first.") from None
    return {part.username: Account(part, **kept[part.username]) for part in (ADMINISTRATOR, *CAST)}


MAY = {
    "administrator": "decide on projects, by command: tre login, tre project list",
    "custodian": "decide on their organisation's data, by command or on the pages",
    "researcher": "open their project's workspace, submit outputs",
    "checker": "review release requests",
    "auditor": "read and verify the record: tre audit verify",
}


def welcome(settings: Settings) -> str:
    """Address, people, and how to sign in, for a terminal."""
    table = Table("name", "password", "role", "may", box=None, pad_edge=False, header_style="bold")
    for name, account in read_accounts(settings).items():
        table.add_row(name, account.password, account.part.role, MAY[account.part.role])
    console = Console(markup=False, emoji=False, highlight=False, width=120)
    with console.capture() as people:
        console.print(table)
    return (
        f"\nOpen http://127.0.0.1:{settings.port}/tre/ and sign in as one of these people:\n\n{people.get()}\n"
        "The one-time code of each, in place of an authenticator app (a code counts once, half a minute at least):\n"
        f"  {command(settings)} NAME\n"
        f"Passwords and authenticator secrets are in {settings.state / ACCOUNTS}.\nCtrl-C stops the platform."
    )


def command(settings: Settings) -> str:
    """What prints a code, as it is typed here."""
    usual = Settings.load({name: value for name, value in os.environ.items() if not name.startswith("TRE_")})
    prefix = "" if settings.state == usual.state else f"TRE_STATE={settings.state} "
    return f"{prefix}{sys.executable} -m tre.demo.resident"


def main() -> None:
    """Prints the one-time code of NAME."""
    settings = Settings.load()
    try:
        accounts = read_accounts(settings)
    except TreError as error:
        sys.exit(f"{error.message} {error.hint}")
    if len(sys.argv) != 2 or sys.argv[1] not in accounts:
        sys.exit(f"usage: python -m tre.demo.resident {{{','.join(accounts)}}}")
    code = accounts[sys.argv[1]].next_code(TYPING_SECONDS)
    _keep(settings, accounts)
    click.echo(code)


if __name__ == "__main__":
    main()
