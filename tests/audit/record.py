"""Material of the audit's tests: a signer with its key in the test, and events as the chain reads them."""

import base64
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tre.audit import Actor, service, use_case
from tre.audit.chain import GENESIS, event_digest
from tre.store import Database

EVE = Actor("eve", frozenset({"administrator"}), "cli")


class KeySigner:
    """Signs as the secrets server does (`vault:v1:<base64>`); the real one is asked in test_transit."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()

    def sign(self, message: bytes) -> str:
        return "vault:v1:" + base64.b64encode(self.key.sign(message)).decode()

    def public_key(self) -> str:
        return base64.b64encode(self.key.public_key().public_bytes_raw()).decode()


def write(db: Database, count: int, actor: Actor = EVE) -> None:
    for number in range(count):
        with use_case(db, actor, "thing.do", f"thing:{number}") as case:
            case.note(number=number, text="ünï \N{SNOWMAN}", nested={"b": [1, None, True], "a": "x"})


def export(db: Database, path: Path, key: str) -> list[str]:
    with db.read() as session:
        lines = list(service.export_lines(session, key))
    path.write_text("\n".join(lines) + "\n")
    return lines


def chain_of(details: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A whole chain with these details."""
    previous, events = GENESIS, []
    for number, detail in enumerate(details, 1):
        event = {
            "seq": number,
            "at": f"2026-06-01T12:00:{number % 60:02}.000000+00:00",
            "actor": "eve",
            "via": "cli",
            "action": "thing.do",
            "subject": f"thing:{number}",
            "outcome": "done",
            "detail": detail,
            "previous": previous,
        }
        previous = event["digest"] = event_digest(event)
        events.append(event)
    return events
