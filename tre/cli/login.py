"""Signing in from a terminal, over SSH as well: no browser needed. The token lives hours and can be revoked."""

from __future__ import annotations

from typing import Any

import click

from tre.cli.client import SavedToken, call, check_url, load_token, part, save_token, token_file
from tre.cli.show import shown
from tre.settings import Settings


@click.command()
@click.option("--url", default="", help="Address of the platform; by default the one on this machine.")
@click.option("--username", prompt="User name")
@click.option("--password-file", type=click.File(), help="Read the password from a file or a descriptor, not a prompt.")
@click.option("--totp", default="", help="One-time code; asked for when missing.")
@click.option("--read-only", is_flag=True, help="A token that may look but change nothing.")
@shown()
def login(url: str, username: str, password_file: Any, totp: str, read_only: bool) -> dict[str, Any]:
    """Sign in and keep a short-lived token in a file that only you can read."""
    base = check_url(url or f"http://127.0.0.1:{Settings.load().port}")
    password = password_file.read().rstrip("\n") if password_file else click.prompt("Password", hide_input=True)
    code = totp or click.prompt("One-time code")
    body = {"username": username, "password": password, "totp": code, "read_only": read_only}
    answer = call("POST", "/sign-in", url=base, json=body)
    save_token(SavedToken(base, answer["token"], answer["username"]))
    return {"signed_in": answer["username"], "roles": answer["roles"], "until": answer["expires_at"]}


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
