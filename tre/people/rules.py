"""May this person? Pure questions about roles, names and standings; `check_x` raises, `can_x` asks.

Decides who may grant which role to whom and which combinations are never allowed. Leaves to projects and outputs who
takes part in what; they ask `check_no_conflict` with what the service found.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime

from tre.audit import Actor
from tre.errors import Forbidden, InvalidInput
from tre.people.model import Role, Standing, StandingHeld

USERNAME = re.compile(r"[a-z][a-z0-9]{1,30}")
SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
# What an interest may touch; an object spelled otherwise would silently protect nothing.
INTEREST = re.compile(rf"(project|organisation):({SLUG.pattern})")
# Overrides of direction make a text look like another one.
_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
MINIMUM_PASSWORD = 12
MAXIMUM_PASSWORD = 256


@dataclass(frozen=True)
class Obstacle:
    """One reason why a gate is closed, and what opens it."""

    code: str
    message: str
    remedy: str


def has_role(actor: Actor, *roles: Role) -> bool:
    return any(role in actor.roles for role in roles)


def check_role(actor: Actor, *roles: Role) -> None:
    """Raises `Forbidden` unless the actor holds one of the roles."""
    if not has_role(actor, *roles):
        wanted = " or ".join(roles)
        raise Forbidden(
            f"This needs the role {wanted}.",
            hint=f"Ask somebody who is {wanted}, or an administrator for the role.",
        )


def check_can_read_everything(actor: Actor) -> None:
    check_role(actor, Role.administrator, Role.auditor)


def check_grant_role(actor: Actor, username: str, role: Role, organisation: str | None) -> None:
    """Administrators give and take roles, never their own: nobody can widen their own rights."""
    check_role(actor, Role.administrator)
    if actor.username == username:
        raise Forbidden("Nobody changes their own roles.", hint="Ask another administrator.", code="own_rights")
    if (role is Role.custodian) != (organisation is not None):
        raise InvalidInput("A custodian, and only a custodian, answers for an organisation.", field="organisation")


def check_record_standing(actor: Actor, username: str) -> None:
    check_role(actor, Role.administrator)
    if actor.username == username:
        raise Forbidden("Nobody records their own training.", hint="Ask another administrator.", code="own_rights")


def check_renew(actor: Actor, username: str) -> None:
    """Administrators replace what others sign in with. Their own they change like everybody, with the old in hand."""
    check_role(actor, Role.administrator)
    if actor.username == username:
        raise Forbidden(
            "Nobody renews their own sign-in.",
            hint="`tre person password` changes your password; for a new secret ask another administrator.",
            code="own_rights",
        )


def check_username(username: str) -> str:
    if not USERNAME.fullmatch(username):
        raise InvalidInput(
            "A user name is 2 to 31 lower-case letters and digits and begins with a letter.", field="username"
        )
    return username


def check_slug(slug: str, *, field: str, longest: int = 30) -> str:
    """The spelling that the Hub, the secrets server and Kubernetes all accept. Raises `InvalidInput`."""
    if len(slug) > longest or not SLUG.fullmatch(slug):
        raise InvalidInput(
            f"Use at most {longest} lower-case letters, digits and single hyphens, beginning with a letter.",
            field=field,
        )
    return slug


def check_password(password: str, username: str, *, field: str = "password") -> None:
    """Length over composition (NIST SP 800-63B section 5.1.1): 12 to 256 characters, and not the user name."""
    if not MINIMUM_PASSWORD <= len(password) <= MAXIMUM_PASSWORD:
        raise InvalidInput(f"A password has {MINIMUM_PASSWORD} to {MAXIMUM_PASSWORD} characters.", field=field)
    if any(unicodedata.category(character) == "Cs" for character in password):
        raise InvalidInput("The password holds half a character.", field=field)
    if username.casefold() in password.casefold():
        raise InvalidInput("A password does not hold the user name.", field=field)


def check_text(value: str, *, field: str, longest: int = 4000) -> str:
    """Free text that a person must write: something visible, no control characters but line ends and tabs, no
    overrides of direction. Returns it trimmed.
    """
    trimmed = value.strip()
    if not any(character.isprintable() and not character.isspace() for character in trimmed):
        raise InvalidInput("This must be filled in.", field=field)
    if len(trimmed) > longest:
        raise InvalidInput(f"At most {longest} characters.", field=field)
    if any(_is_hostile(character) for character in trimmed):
        raise InvalidInput("Control characters are not allowed.", field=field)
    return trimmed


def check_line(value: str, *, field: str, longest: int = 200) -> str:
    """The same for a text of one line: a name or a title."""
    line = check_text(value, field=field, longest=longest)
    if any(character in "\n\t\u2028\u2029" for character in line):
        raise InvalidInput("This is one line.", field=field)
    return line


def _is_hostile(character: str) -> bool:
    return character in _OVERRIDES or (unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t")


def check_interest(object: str) -> tuple[str, str]:
    """("project" or "organisation", its name)."""
    found = INTEREST.fullmatch(object)
    if not found:
        raise InvalidInput("Write project:NAME or organisation:NAME.", field="object")
    return found[1], found[2]


def standing_obstacles(username: str, standings: Iterable[StandingHeld], today: date) -> list[Obstacle]:
    """Accreditation and training must both hold today; a standing holds from the day of award to the day of expiry,
    both included.
    """
    held = list(standings)
    obstacles = []
    for kind in Standing:
        of_kind = [standing for standing in held if standing.kind == kind and standing.awarded_on <= today]
        if any(today <= standing.expires_on for standing in of_kind):
            continue
        last = max((standing.expires_on for standing in of_kind), default=None)
        message = f"{username}'s {kind} expired on {last}." if last else f"{username} has no {kind} on record."
        obstacles.append(
            Obstacle(f"{kind}_expired" if last else f"{kind}_missing", message, f"Record a current {kind}.")
        )
    return obstacles


def check_identity(issuer: str, subject: str) -> None:
    """The exact spelling counts: nothing is trimmed. OpenID Connect Core, section 2: a subject has at most 255
    characters of ASCII.
    """
    if not issuer.startswith(("https://", "http://")) or not _is_visible(issuer, 500):
        raise InvalidInput("An issuer is an address, spelled as the provider's tokens spell it.", field="issuer")
    if not _is_visible(subject, 255):
        raise InvalidInput("A subject is 1 to 255 characters of ASCII without blanks around it.", field="subject")


def _is_visible(value: str, longest: int) -> bool:
    return 0 < len(value) <= longest and value.isascii() and value.isprintable() and value == value.strip()


def may_enter(username: str, confirmed_until: datetime | None, note: str, now: datetime) -> list[Obstacle]:
    """Where an identity provider's word is needed, it must hold now."""
    if confirmed_until is None or now < confirmed_until:
        return []
    why = note or "The identity provider was not asked again."
    message = f"{username}'s sign-in held until {confirmed_until:%Y-%m-%d %H:%M} UTC. {why}"
    return [Obstacle("sign_in_lapsed", message, "Sign in again.")]


def check_no_conflict(username: str, objects: Collection[str], declared: Collection[str]) -> None:
    """Raises `Forbidden` when a declared interest touches one of the objects decided on."""
    touched = sorted(set(objects) & set(declared))
    if touched:
        raise Forbidden(
            f"{username} declared a conflict of interest with {', '.join(touched)}.",
            hint="Somebody without that interest must decide.",
            code="conflict_of_interest",
        )
