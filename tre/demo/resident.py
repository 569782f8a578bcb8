"""`tre up --demo`: a platform that stays, with the demonstration's people, data and two approved projects.

Decides what is there on the first start and prints the accounts; on later starts the people are there already, and
their accounts lie in a 0600 file of the state folder.
"""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import click

from tre.credentials.files import write_secret
from tre.demo.governance import Governance
from tre.demo.stage import Stage
from tre.errors import TreError
from tre.settings import Settings, make_private_folder


def settle_in_background(settings: Settings) -> None:
    """Begins in a thread of its own: the platform that it speaks to runs in this process's main thread."""
    threading.Thread(target=settle, args=(settings,), daemon=True, name="demo").start()


def settle(settings: Settings) -> None:
    accounts = settings.state / "demo-accounts.txt"
    if accounts.exists():
        click.echo(f"The demonstration's accounts are in {accounts}.")
        return
    folder = settings.state / "demo"
    make_private_folder(folder)
    stage = Stage(settings, folder=folder)
    governance = Governance(stage, {})
    steps = ("bootstrap", "standings", "register", "propose", "decide", "extract", "agree")
    try:
        for name in steps:
            click.echo(f"demo: {getattr(governance, name)()}")
    except TreError as error:
        click.echo(f"demo: {error.message}", err=True)
        return
    finally:
        for browser in governance.browsers.values():
            browser.close()
    lines = [
        f"{a.part.username:6} {a.part.role:14} password {a.password}  authenticator secret {a.totp_secret}"
        for a in stage.accounts.values()
    ]
    write_secret(accounts, "\n".join(lines) + "\n")
    _forget_tokens(stage)
    click.echo("\n".join(["People of the demonstration (also in " + str(accounts) + "):", *lines]))


def _forget_tokens(stage: Stage) -> None:
    """The tokens that were used to settle in are not left lying about."""
    for username in stage.accounts:
        token = Path(stage.environment(username)["TRE_TOKEN_FILE"])
        if token.exists():
            with contextlib.suppress(TreError):
                stage.tre(username, "logout")
