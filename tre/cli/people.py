"""`tre person …` and `tre organisation …`."""

from __future__ import annotations

from typing import Any

import click

from tre.cli.client import call, part, token_file
from tre.cli.passwords import new_password
from tre.cli.show import shown
from tre.errors import InvalidInput
from tre.people.words import ROLES, STANDINGS


@click.group()
def organisation() -> None:
    """Organisations that people and datasets belong to."""


@organisation.command("list")
@shown("slug", "name")
def list_organisations() -> Any:
    """Every organisation."""
    return call("GET", "/organisations")


@organisation.command("add")
@click.argument("slug")
@click.option("--name", required=True)
@shown()
def add_organisation(slug: str, name: str) -> Any:
    """Add an organisation under a short name."""
    return call("POST", "/organisations", json={"slug": slug, "name": name})


@click.group()
def person() -> None:
    """Accounts, roles, accreditation and training."""


@person.command("list")
@shown("username", "name", "organisation", "active", "roles")
def list_people() -> Any:
    """Everybody, with roles; for administrators and auditors."""
    return call("GET", "/people")


@person.command("show")
@click.argument("username")
@shown()
def show_person(username: str) -> Any:
    """A person's roles, accreditation and training; anybody's own."""
    return call("GET", f"/people/{part(username)}")


@person.command("add")
@click.argument("username")
@click.option("--name", required=True)
@click.option("--organisation", required=True)
@click.option("--password-file", type=click.File(), help="Read the password from a file or a descriptor, not a prompt.")
@click.option("--without-password", is_flag=True, help="Signs in through the identity provider alone.")
@shown()
def add_person(username: str, name: str, organisation: str, password_file: Any, without_password: bool) -> Any:
    """Make an account without any role; prints the secret for the person's authenticator app, once."""
    if without_password and password_file:
        raise InvalidInput("With a password or without one.", field="--without-password")
    password = None if without_password else new_password(password_file)
    body = {"name": name, "organisation": organisation, "password": password}
    return call("POST", "/people", json={"username": username, **body})


@person.command("password")
@shown()
def change_password() -> Any:
    """Change your own password, with the old one and a one-time code; signs you out everywhere."""
    old, code = click.prompt("Password of now", hide_input=True), click.prompt("One-time code")
    new = click.prompt("New password", hide_input=True, confirmation_prompt=True)
    answer = call("POST", "/me/password", json={"password": old, "totp": code, "new": new})
    token_file().unlink(missing_ok=True)
    return answer


@person.command("renew")
@click.argument("username")
@click.option("--reason", required=True, help="Why, and how you made sure who asks.")
@click.option("--password-file", type=click.File(), help="Read the password from a file or a descriptor, not a prompt.")
@shown()
def renew(username: str, reason: str, password_file: Any) -> Any:
    """For who lost their password or telephone: a new password and a new secret, printed once; never your own."""
    body = {"password": new_password(password_file), "reason": reason}
    return call("POST", f"/people/{part(username)}/renew", json=body)


@person.group("identity")
def identity() -> None:
    """Who a person is at the identity provider."""


@identity.command("list")
@click.argument("username")
@shown("issuer", "subject", "linked_by", "linked_at")
def list_identities(username: str) -> Any:
    """A person's identities; anybody's own."""
    return call("GET", f"/people/{part(username)}/identities")


@identity.command("add")
@click.argument("username")
@click.option("--issuer", required=True, help="As the provider's tokens spell it.")
@click.option("--subject", required=True, help="The provider's own, lasting name for the person (`sub`).")
@shown()
def add_identity(username: str, issuer: str, subject: str) -> Any:
    """Link a person with an identity."""
    return call("POST", f"/people/{part(username)}/identities", json={"issuer": issuer, "subject": subject})


@identity.command("invite")
@click.argument("username")
@shown()
def invite(username: str) -> Any:
    """A code, shown once: the person signs in at the provider, then shows it. Hand it over in person."""
    return call("POST", f"/people/{part(username)}/identities/invite")


@identity.command("remove")
@click.argument("username")
@click.option("--issuer", required=True)
@click.option("--subject", required=True)
@shown()
def remove_identity(username: str, issuer: str, subject: str) -> Any:
    """Take an identity away; what the person has open ends."""
    return call("POST", f"/people/{part(username)}/identities/remove", json={"issuer": issuer, "subject": subject})


@person.command("role")
@click.argument("username")
@click.argument("role", type=click.Choice(ROLES))
@click.option("--organisation", help="Whose data a custodian answers for.")
@click.option("--take", is_flag=True, help="Take the role away.")
@shown()
def role(username: str, role: str, organisation: str | None, take: bool) -> Any:
    """Give or take a role; never your own."""
    path = f"/people/{part(username)}/roles" + ("/take" if take else "")
    return call("POST", path, json={"role": role, "organisation": organisation})


@person.command("standing")
@click.argument("username")
@click.argument("kind", type=click.Choice(STANDINGS))
@click.option("--title", required=True)
@click.option("--provider", required=True)
@click.option("--awarded-on", required=True, metavar="YYYY-MM-DD")
@click.option("--expires-on", required=True, metavar="YYYY-MM-DD")
@click.option("--reference", default="")
@shown()
def standing(username: str, kind: str, **values: str) -> Any:
    """Record an accreditation or a training with its expiry."""
    return call("POST", f"/people/{part(username)}/standings", json={"kind": kind, **values})


@person.command("end-standing")
@click.argument("username")
@click.argument("kind", type=click.Choice(STANDINGS))
@click.option("--on", required=True, metavar="YYYY-MM-DD")
@shown()
def end_standing(username: str, kind: str, on: str) -> Any:
    """End every accreditation or training of a kind; running workspaces end within seconds."""
    return call("POST", f"/people/{part(username)}/standings/end", json={"kind": kind, "on": on})


@person.command("sign-out")
@click.argument("username")
@shown()
def sign_out(username: str) -> Any:
    """End every session and token of a person, on whatever computer: your own, or for administrators anybody's."""
    return call("POST", f"/people/{part(username)}/sign-out")


@person.command("end")
@click.argument("username")
@click.option("--reason", required=True)
@shown()
def end(username: str, reason: str) -> Any:
    """End an account and everything it has open."""
    return call("POST", f"/people/{part(username)}/end", json={"reason": reason})


@person.command("interest")
@click.argument("object")
@click.option("--statement", required=True)
@shown()
def interest(object: str, statement: str) -> Any:
    """Declare a conflict of interest of your own: project:SLUG or organisation:SLUG."""
    return call("POST", "/me/interests", json={"object": object, "statement": statement})
