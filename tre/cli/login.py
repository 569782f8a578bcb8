"""Signing in from a terminal, over SSH as well: by password and code, or by a code that the person types into a page
in a browser on whatever computer. The token lives hours and can be revoked.
"""

from __future__ import annotations

import time
from typing import Any

import click

from tre.cli.client import SavedToken, call, check_url, load_token, part, save_token, token_file
from tre.cli.show import shown
from tre.errors import Conflict, InvalidInput
from tre.settings import Settings

#: Seconds between two questions.
PAUSE = 2


@click.command()
@click.option("--url", default="", help="Address of the platform; by default the one on this machine.")
@click.option("--browser", is_flag=True, help="Say yes in a browser, on any computer, where you are signed in.")
@click.option("--username", default="", help="Asked for when missing.")
@click.option("--password-file", type=click.File(), help="Read the password from a file or a descriptor, not a prompt.")
@click.option("--totp", default="", help="One-time code; asked for when missing.")
@click.option("--read-only", is_flag=True, help="A token that may look but change nothing.")
@shown()
def login(url: str, browser: bool, username: str, password_file: Any, totp: str, read_only: bool) -> dict[str, Any]:
    """Sign in and keep a short-lived token in a file that only you can read."""
    base = check_url(url or f"http://127.0.0.1:{Settings.load().port}")
    if browser and (username or password_file or totp):
        raise InvalidInput("The browser says who you are: leave the rest out.", field="--browser")
    answer = by_browser(base, read_only) if browser else by_password(base, username, password_file, totp, read_only)
    save_token(SavedToken(base, answer["token"], answer["username"]))
    return {"signed_in": answer["username"], "roles": answer["roles"], "until": answer["expires_at"]}


def by_password(base: str, username: str, password_file: Any, totp: str, read_only: bool) -> dict[str, Any]:
    username = username or click.prompt("User name")
    password = password_file.read().rstrip("\n") if password_file else click.prompt("Password", hide_input=True)
    code = totp or click.prompt("One-time code")
    body = {"username": username, "password": password, "totp": code, "read_only": read_only}
    answer: dict[str, Any] = call("POST", "/sign-in", url=base, json=body)
    return answer


def by_browser(base: str, read_only: bool) -> dict[str, Any]:
    """Waits until the person said yes, or the code is too old. Words go to standard error, beside the answer."""
    begun = call("POST", "/sign-in/terminal", url=base, json={"read_only": read_only})
    click.echo(f"Open {base}{begun['page']} in a browser and type this code there:\n\n    {begun['code']}\n", err=True)
    while True:
        time.sleep(PAUSE)
        try:
            answer: dict[str, Any] = call("POST", "/sign-in/terminal/token", url=base, json={"secret": begun["secret"]})
        except Conflict:
            continue
        return answer


@click.command()
@click.option("--all", "everywhere", is_flag=True, help="Your tokens on other computers as well.")
@shown()
def logout(everywhere: bool) -> dict[str, Any]:
    """Revoke the token and forget it."""
    saved = load_token()
    path = f"/people/{part(saved.username)}/sign-out" if everywhere else "/sign-out"
    answer: dict[str, Any] = call("POST", path, saved=saved)
    token_file().unlink(missing_ok=True)
    return answer
