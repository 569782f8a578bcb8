"""Secrets in files: written whole with mode 0600, refused where someone else could read them.

Decides how a secret lies on disk and how a password is made. Leaves to others which secrets there are.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from tre.errors import Broken, Unavailable

#: PostgreSQL's own default (`scram_iterations`).
SCRAM_ITERATIONS = 4096


def write_secret(path: Path, content: str | bytes) -> None:
    """Replace `path` by `content`, mode 0600, whole or not at all, on disk when this returns."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def read_secret(path: Path) -> str:
    """The text of a secret file.

    Raises Unavailable where it is missing, Broken where its owner or mode lets others read it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise Unavailable(f"the secret file {path} does not exist", hint="Start the platform: `tre up`.") from None
    except OSError as error:
        raise Broken(f"the secret file {path} cannot be opened: {error.strerror}") from error
    with open(descriptor, encoding="utf-8") as file:
        found = os.fstat(file.fileno())
        if found.st_mode & 0o077 or found.st_uid != os.getuid():
            raise Broken(f"the secret file {path} may be read by others (mode {found.st_mode & 0o777:04o})")
        return file.read()


def new_password() -> str:
    """256 random bits in letters and digits, so that no quoting is ever needed."""
    return secrets.token_hex(32)


def pgpass_line(role: str, password: str) -> str:
    """One line of a libpq password file: this role's password, whichever socket and database."""
    return f"*:*:*:{role}:{password}\n"


def scram_verifier(password: str, salt: bytes = b"") -> str:
    """What PostgreSQL stores of a password (RFC 5802, 7677), made here so that no server log can show the password."""
    salt = salt or secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, SCRAM_ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored_key, server_key))
    return f"SCRAM-SHA-256${SCRAM_ITERATIONS}:{salt64}${stored64}:{server64}"
