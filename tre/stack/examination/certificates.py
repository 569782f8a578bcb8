"""A server's certificate: how long it holds, whom it names, and whether its authority is one that we believe.

Decides from when on its end is near. The certificate is looked at twice: as a client that believes the given authority,
which tells why it is refused, and without any belief, which tells what is in it all the same.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from tre.stack.examination.finding import Finding, doubtful, right, wrong

SECONDS = 5.0
#: A month is what a person on holiday needs.
SOON = timedelta(days=30)
#: PostgreSQL's own question before a handshake (protocol 3.0, section SSLRequest).
SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"

Preface = Callable[[socket.socket], None]


@dataclass(frozen=True)
class Certificate:
    since: datetime
    until: datetime
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shown:
    """`away`: nobody answered; `refused`: why a client of ours does not believe it. Both empty: it is believed."""

    certificate: Certificate | None = None
    away: str = ""
    refused: str = ""


def plain(connection: socket.socket) -> None:
    """A server that begins with the handshake."""


def postgres(connection: socket.socket) -> None:
    """Raises OSError where the server has no TLS."""
    connection.sendall(SSL_REQUEST)
    if connection.recv(1) != b"S":
        raise OSError("the server has no TLS")


def look(host: str, port: int, ca: str = "", preface: Preface = plain) -> Shown:
    """What a server shows at this address. `ca` is a PEM file; without, the machine's authorities."""
    try:
        trusting = ssl.create_default_context(cafile=ca or None)
    except OSError as error:
        return Shown(refused=f"the authority in {ca} cannot be read: {error.strerror or 'it is no PEM file'}")
    try:
        return Shown(_read(_handshake(host, port, trusting, preface)))
    except ssl.SSLCertVerificationError as error:
        return Shown(_unbelieved(host, port, preface), refused=error.verify_message)
    except OSError as error:
        return Shown(away=words(error))


def _unbelieved(host: str, port: int, preface: Preface) -> Certificate | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        return _read(_handshake(host, port, context, preface))
    except OSError:
        return None


def _handshake(host: str, port: int, context: ssl.SSLContext, preface: Preface) -> bytes:
    with socket.create_connection((host, port), SECONDS) as connection:
        preface(connection)
        with context.wrap_socket(connection, server_hostname=host) as secured:
            return secured.getpeercert(binary_form=True) or b""


def _read(encoded: bytes) -> Certificate:
    found = x509.load_der_x509_certificate(encoded)
    return of(found)


def of(found: x509.Certificate) -> Certificate:
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        listed = (*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress)))
    except x509.ExtensionNotFound:
        listed = ()
    return Certificate(found.not_valid_before_utc, found.not_valid_after_utc, listed)


def in_file(path: Path) -> Certificate | None:
    """The first one of a PEM file; None where there is none that can be read."""
    try:
        return of(x509.load_pem_x509_certificate(path.read_bytes()))
    except (OSError, ValueError):
        return None


def words(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "there is no such name"
    if isinstance(error, TimeoutError):
        return f"nobody answered within {SECONDS:.0f} s"
    if isinstance(error, ssl.SSLError):
        return f"it does not speak TLS as we do ({error.reason})"
    return (error.strerror or str(error)).lower()


def judge(name: str, value: str, ca_value: str, shown: Shown, now: datetime) -> Finding:
    """Of a server that answered. `value` names it, `ca_value` the authority that we believe."""
    held = shown.certificate
    if held and held.until <= now:
        days = (now - held.until).days
        return wrong(
            name, value, f"Its certificate expired {days} days ago ({held.until:%Y-%m-%d}).", "Renew it at the server."
        )
    if held and held.since > now:
        return wrong(
            name,
            value,
            f"Its certificate holds only from {held.since:%Y-%m-%d %H:%M} UTC on.",
            "Compare the clocks of both sides.",
        )
    if shown.refused:
        return wrong(name, *_unbelievable(value, ca_value, shown))
    if held is None:
        return doubtful(name, value, "It shows no certificate.", "Let it speak TLS.")
    days = (held.until - now).days
    told = f"Its certificate holds for {days} more days ({held.until:%Y-%m-%d})."
    if held.until - now < SOON:
        return doubtful(name, value, told, "Renew it at the server before then.")
    return right(name, value, told)


def _unbelievable(value: str, ca_value: str, shown: Shown) -> tuple[str, str, str]:
    """(value, what was found, remedy) where the certificate holds and is not believed."""
    lowered = shown.refused.lower()
    if "mismatch" in lowered or "not valid for" in lowered:
        names = ", ".join(shown.certificate.names) if shown.certificate else ""
        return value, f"Its certificate is of another name: {names or 'none'}.", "Name the server as it does."
    if "authority in" in lowered:
        return ca_value, f"{shown.refused[0].upper()}{shown.refused[1:]}.", "Give the PEM file of its authority."
    return (
        ca_value,
        f"Its certificate is not believed: {shown.refused}.",
        "Name a ConfigMap with its authority as ca.pem.",
    )
