"""A new password, and a new secret for one-time codes.

Decides who may replace what a person signs in with: the person their password, with the old one and a code in hand; an
administrator anybody else's password and secret; whoever owns the machine those of anybody, so that a platform whose
only administrator lost a telephone is not lost. Everything that was signed in with the old ones ends. Leaves judging a
password or a code to `signin`.
"""

from __future__ import annotations

from tre.audit import Actor, UseCase, use_case
from tre.errors import Forbidden, InvalidInput
from tre.people import passwords, rules
from tre.people.model import Person, Role
from tre.people.service import Enrolment, check_still_administrator, get_person
from tre.people.signin import TOTP_CONTEXT, Sealer, end_sessions, proven
from tre.store import Database


def change_password(db: Database, sealer: Sealer, actor: Actor, *, password: str, totp: str, new: str) -> None:
    """One's own. Counts as an attempt to sign in and raises what `signin.sign_in` raises, or `InvalidInput`."""
    with use_case(db, actor, "person.change_password", f"person:{actor.username}") as case:
        rules.check_password(new, actor.username, field="new")
        if new == password:
            raise InvalidInput("This is the password of now.", field="new", hint="Choose another.")
        hashed = passwords.hash_password(new)
        person = proven(db, case, sealer, password=password, totp=totp)
        person.password_hash = hashed
        end_sessions(case, person)


def renew(db: Database, sealer: Sealer, actor: Actor, *, username: str, password: str, reason: str) -> Enrolment:
    """Somebody else's, by an administrator who made sure who asks. Raises `Forbidden`, `NotFound`, `InvalidInput`."""
    with use_case(db, actor, "person.renew", f"person:{username}") as case:
        rules.check_renew(actor, username)
        check_still_administrator(case)
        return _renewed(case, sealer, username, password, reason)


def renew_on_the_machine(db: Database, sealer: Sealer, *, username: str, password: str, reason: str) -> Enrolment:
    """An administrator's, by whoever can read the platform's own secrets: they could do anything else as well."""
    with use_case(db, Actor("machine", via="machine"), "person.renew", f"person:{username}") as case:
        if not any(held.role == Role.administrator for held in get_person(case.session, username).roles):
            raise Forbidden(f"{username} is no administrator.", hint="An administrator renews it: `tre person renew`.")
        return _renewed(case, sealer, username, password, reason)


def _renewed(case: UseCase, sealer: Sealer, username: str, password: str, reason: str) -> Enrolment:
    person = get_person(case.session, username)
    if not person.active:
        raise Forbidden("This account has ended.", hint="Make another.", code="account_ended")
    rules.check_password(password, username)
    case.note(reason=rules.check_text(reason, field="reason", longest=500))
    secret = _new_secret(sealer, person)
    person.password_hash = passwords.hash_password(password)
    end_sessions(case, person)
    return Enrolment(username, secret, passwords.enrolment_uri(username, secret))


def _new_secret(sealer: Sealer, person: Person) -> str:
    secret = passwords.new_totp_secret()
    person.sealed_totp = sealer.seal(TOTP_CONTEXT, secret.encode())
    return secret
