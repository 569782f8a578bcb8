"""The people of the demonstration, their passwords and one-time codes.

Decides who plays which part. A code is used once only, as the platform demands: `next_code` takes the earliest time
step that is allowed for long enough and unused, and waits when all are used up.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

import pyotp

STEP_SECONDS = 30
# How long a code may be under way on a busy machine, or while a person types it: it must be allowed when it arrives.
UNDER_WAY_SECONDS = 15
TYPING_SECONDS = 30


@dataclass(frozen=True)
class Part:
    """A person: role, organisation, and (for custodians) the organisation whose data they answer for."""

    username: str
    name: str
    organisation: str
    role: str
    answers_for: str = ""


ADMINISTRATOR = Part("ada", "Ada Ridge", "tre-operations", "administrator")
CAST = (
    Part("cora", "Cora Lindqvist", "rand", "custodian", "rand"),
    Part("davin", "Davin Osei", "justice-lab", "custodian", "justice-lab"),
    Part("rhea", "Rhea Santos", "north-university", "researcher"),
    Part("milo", "Milo Brandt", "north-university", "researcher"),
    Part("otto", "Otto Vance", "south-university", "researcher"),
    Part("chen", "Chen Wu", "tre-operations", "checker"),
    Part("dana", "Dana Okafor", "tre-operations", "checker"),
    Part("aude", "Aude Martin", "tre-operations", "auditor"),
)
ORGANISATIONS = {
    "rand": "RAND Health Insurance Experiment archive",
    "justice-lab": "Justice Data Lab",
    "north-university": "University of the North",
    "south-university": "University of the South",
}


@dataclass
class Account:
    """What a person knows: password, and the secret in their authenticator app."""

    part: Part
    #: Digits never hold, by chance, the name of who is called Ada: such a password would be refused.
    password: str = field(default_factory=lambda: f"{secrets.randbelow(10**24):024}", repr=False)
    totp_secret: str = field(default="", repr=False)
    last_step: int = 0

    def next_code(self, under_way: int = UNDER_WAY_SECONDS) -> str:
        step = max(int(time.time() + under_way) // STEP_SECONDS - 1, self.last_step + 1)
        while step > int(time.time()) // STEP_SECONDS + 1:
            time.sleep(0.2)
        self.last_step = step
        return pyotp.TOTP(self.totp_secret).generate_otp(step)
