"""Export and offline verification, against somebody who holds the file, and against somebody who holds the database."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select

from tests.audit.record import KeySigner, chain_of, export, write
from tests.fixtures.database import Clock
from tests.fixtures.postgres import StateDatabase
from tre.audit import service
from tre.audit.chain import event_digest
from tre.audit.model import AuditHead
from tre.audit.service import head_statement, sign_head, verify_database, verify_file
from tre.audit.signature import check_with
from tre.errors import InvalidInput
from tre.store import Database


@pytest.fixture
def signer() -> KeySigner:
    return KeySigner()


@pytest.fixture
def exported(db: Database, signer: KeySigner, tmp_path: Path, clock: Clock) -> list[dict[str, Any]]:
    """Header, five events, heads at 3 and 5; as parsed lines."""
    write(db, 3)
    sign_head(db, signer)
    clock.advance(minutes=1)
    write(db, 2)
    sign_head(db, signer)
    return [json.loads(line) for line in export(db, tmp_path / "export", signer.public_key())]


def verify(lines: list[dict[str, Any]], folder: Path, key: str) -> service.Verification:
    path = folder / "copy"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return verify_file(path, check_with(key))


def test_an_export_is_verified_offline(exported: list[dict[str, Any]], tmp_path: Path, signer: KeySigner):
    result = verify_file(tmp_path / "export", check_with(signer.public_key()))
    assert result == service.Verification(True, 5, exported[5]["event"]["digest"], 5, ())


@pytest.mark.parametrize("name", ["seq", "at", "actor", "via", "action", "subject", "outcome", "detail"])
@pytest.mark.parametrize("place", [1, 3, 5])
def test_a_tampered_copy_is_found(
    exported: list[dict[str, Any]], tmp_path: Path, signer: KeySigner, name: str, place: int
):
    exported[place]["event"][name] = 77 if name == "seq" else {} if name == "detail" else "other"
    result = verify(exported, tmp_path, signer.public_key())
    assert not result.ok
    assert result.problems[0].startswith(f"Event {place} ")


def test_a_chain_rewritten_from_an_event_on_is_found_by_the_heads(
    exported: list[dict[str, Any]], tmp_path: Path, signer: KeySigner
):
    previous = exported[1]["event"]["digest"]
    for line in exported[2:6]:
        line["event"].update(actor="mallory", previous=previous)
        previous = line["event"]["digest"] = event_digest(line["event"])
    result = verify(exported, tmp_path, signer.public_key())
    assert result.problems == (
        "Event 3 was signed with another content, or is missing.",
        "Event 5 was signed with another content, or is missing.",
        "No signature covers the events after 0.",
    )


def test_a_truncated_tail_is_found_through_the_signed_head(
    exported: list[dict[str, Any]], tmp_path: Path, signer: KeySigner
):
    del exported[5]
    assert verify(exported, tmp_path, signer.public_key()).problems == (
        "Event 5 was signed with another content, or is missing.",
        "No signature covers the events after 3.",
    )


def test_events_forged_behind_the_last_head_are_found(
    exported: list[dict[str, Any]], tmp_path: Path, signer: KeySigner
):
    forged = {**exported[5]["event"], "seq": 6, "actor": "bob", "previous": exported[5]["event"]["digest"]}
    forged["digest"] = event_digest(forged)
    exported.insert(6, {"event": forged})
    result = verify(exported, tmp_path, signer.public_key())
    assert (result.ok, result.problems) == (False, ("No signature covers the events after 5.",))


def test_a_swapped_key_in_the_header_does_not_help(tmp_path: Path, exported: list[dict[str, Any]], signer: KeySigner):
    mallory = KeySigner()
    events = [{"event": event} for event in chain_of([{}, {}])]
    last = events[-1]["event"]
    at = "2026-06-01T12:00:00.000000+00:00"
    signature = mallory.sign(head_statement(2, at, last["digest"]))
    head = {"head": {"seq": 2, "at": at, "digest": last["digest"], "signature": signature}}
    forged = [{"format": service.FORMAT, "public_key": mallory.public_key()}, *events, head]
    assert verify(forged, tmp_path, mallory.public_key()).ok
    assert (
        verify(forged, tmp_path, signer.public_key()).problems[0] == "The signature of the head at event 2 is not ours."
    )


@pytest.mark.parametrize(
    ("name", "value"), [("seq", 4), ("at", "2020"), ("digest", "0" * 64), ("signature", "vault:v1:!")]
)
def test_an_altered_head_is_found(
    exported: list[dict[str, Any]], tmp_path: Path, signer: KeySigner, name: str, value: Any
):
    exported[-1]["head"][name] = value
    assert not verify(exported, tmp_path, signer.public_key()).ok


def test_an_export_without_any_head_proves_nothing(exported: list[dict[str, Any]], tmp_path: Path, signer: KeySigner):
    result = verify(exported[:6], tmp_path, signer.public_key())
    assert result.problems == ("No signed head: nothing proves that the record is complete.",)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"{}\n",
        b"[]\n",
        b"null\n",
        b'{"format": "tre-audit/2"}\n',
        b"\xff\xfe\n",
        b"PK\x03\x04",
        b'{"format": "tre-audit/1"}\n{"event": {"seq"',
        b'{"format": "tre-audit/1"}\n{"event": []}\n',
        b'{"format": "tre-audit/1"}\n{"event": {"seq": [], "digest": ""}}\n',
        b'{"format": "tre-audit/1"}\n{"event": {"seq": "1", "digest": ""}}\n{"event": {"seq": 1, "digest": ""}}\n',
        b'{"format": "tre-audit/1"}\n{"event": {"seq": 1, "digest": ""}, "head": {}}\n',
        b'{"format": "tre-audit/1"}\n{"event": {"seq": 1, "digest": "", "actor": "a", "actor": "b"}}\n',
        b'{"format": "tre-audit/1"}\n{"head": {"seq": 1}}\n',
        b'{"format": "tre-audit/1"}\n{"head": {"seq": 1, "at": "", "digest": "", "signature": 5}}\n',
        b'{"format": "tre-audit/1"}\n{"head": {"seq": 1, "at": "\\ud800", "digest": "", "signature": ""}}\n',
        b'{"format": "tre-audit/1"}\n{"head": {"seq": 1, "at": "", "digest": "", "signature": "", "more": 1}}\n',
        b'{"format": "tre-audit/1"}\n{"comment": 1}\n',
        b'{"format": "tre-audit/1"}\n{"event": ' + b'{"a":' * 100_000,
    ],
)
def test_a_file_that_is_no_export_is_refused_in_words(tmp_path: Path, signer: KeySigner, content: bytes):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InvalidInput) as refused:
        verify_file(path, check_with(signer.public_key()))
    assert refused.value.field == "file"


def test_a_missing_file_is_refused_in_words(tmp_path: Path, signer: KeySigner):
    with pytest.raises(InvalidInput):
        verify_file(tmp_path / "none", check_with(signer.public_key()))


@pytest.mark.parametrize("key", ["", "AAAA", "not base64", "ü"])
def test_a_key_that_is_none_is_refused(key: str):
    with pytest.raises(InvalidInput) as refused:
        check_with(key)
    assert refused.value.field == "public-key"


def test_the_database_is_verified_while_others_write_and_sign(
    db: Database, signer: KeySigner, at_once: Callable[..., list[object]]
):
    write(db, 1)
    sign_head(db, signer)

    def check() -> list[bool]:
        found = []
        for _ in range(10):
            with db.read() as session:
                found.append(verify_database(session, check_with(signer.public_key())).ok)
        return found

    def work() -> None:
        for _ in range(10):
            write(db, 1)
            sign_head(db, signer)

    assert at_once(check, work, work, check)[0::3] == [[True] * 10, [True] * 10]


def test_two_who_sign_at_once_make_one_head(db: Database, signer: KeySigner, at_once: Callable[..., list[object]]):
    write(db, 1)
    results = at_once(*[lambda: sign_head(db, signer)] * 6)
    assert sum(isinstance(result, AuditHead) for result in results) == 1
    assert results.count(None) == 5
    with db.read() as session:
        assert session.scalar(select(func.count()).select_from(AuditHead)) == 1


def test_an_empty_record_has_nothing_to_sign(db: Database, signer: KeySigner):
    assert sign_head(db, signer) is None


def test_a_superuser_who_alters_the_database_is_found(db: Database, migrated_db: StateDatabase, signer: KeySigner):
    write(db, 3)
    sign_head(db, signer)
    with psycopg.connect(migrated_db.owner_conninfo) as owner:
        owner.execute("ALTER TABLE audit_event DISABLE TRIGGER only_grows")
        owner.execute("UPDATE audit_event SET detail = '{}' WHERE seq = 2")
    with db.read() as session:
        result = verify_database(session, check_with(signer.public_key()))
    assert result.problems == ("Event 2 was altered after it was written.",)


def test_a_superuser_who_cuts_the_tail_is_found(db: Database, migrated_db: StateDatabase, signer: KeySigner):
    write(db, 3)
    sign_head(db, signer)
    with psycopg.connect(migrated_db.owner_conninfo) as owner:
        owner.execute("ALTER TABLE audit_event DISABLE TRIGGER only_grows")
        owner.execute("DELETE FROM audit_event WHERE seq = 3")
    with db.read() as session:
        result = verify_database(session, check_with(signer.public_key()))
    assert result.problems == ("Event 3 was signed with another content, or is missing.",)
