"""Passwords (argon2id) and one-time codes (TOTP, RFC 6238: SHA-1, 30 s, 6 digits, one step either side).

Decides whether a password or a code is right, in constant effort whether or not the person exists. Leaves limiting to
`signin`.
"""

from __future__ import annotations

import hmac
import threading
from datetime import datetime

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

STEP_SECONDS = 30
_hasher = PasswordHasher()
# Each verification takes 64 MiB: a flood of guesses waits instead of taking the machine's memory.
_FEW = threading.BoundedSemaphore(4)
# Of 256 random bits that nobody kept, with the same parameters: verified against when there is no such person, so that
# a wrong name costs as much time as a wrong password.
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$NE24kocAfeZnBvTxI9aOFw$18cqzx4vOOGLjrb8tieRl2QDglJHCXTOw86Da3Hv9oM"


def hash_password(password: str) -> str:
    return _hasher.hash(password)


def password_matches(stored: str | None, password: str) -> bool:
    try:
        with _FEW:
            return _hasher.verify(stored or _NOBODY, password) and stored is not None
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False


def new_totp_secret() -> str:
    return pyotp.random_base32()


def totp_step(secret: str, code: str, now: datetime, last_step: int) -> int | None:
    """The time step whose code this is, or None. A step at or before `last_step` is used up: no code works twice."""
    totp = pyotp.TOTP(secret)
    given = code.encode(errors="replace")
    present = int(now.timestamp()) // STEP_SECONDS
    for step in (present, present - 1, present + 1):
        if step > last_step and hmac.compare_digest(totp.generate_otp(step).encode(), given):
            return step
    return None


def enrolment_uri(username: str, secret: str) -> str:
    """The otpauth:// address that an authenticator app reads."""
    return pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name="tre")
