"""The head signed by the secrets server's own key, which it never shows, and verified offline with the public one."""

from pathlib import Path

from tests.audit.record import KeySigner, export, write
from tre.audit.service import sign_head, verify_database, verify_file
from tre.audit.signature import check_with
from tre.credentials import Secrets
from tre.credentials.uses import SigningKey
from tre.store import Database


def test_a_head_signed_by_the_secrets_server_is_verified_offline(db: Database, secrets: Secrets, tmp_path: Path):
    key = SigningKey(secrets, "audit")
    write(db, 3)
    assert sign_head(db, key) is not None
    export(db, tmp_path / "export", key.public_key())
    assert verify_file(tmp_path / "export", check_with(key.public_key())).ok
    assert not verify_file(tmp_path / "export", check_with(KeySigner().public_key())).ok
    assert not verify_file(tmp_path / "export", check_with(SigningKey(secrets, "release").public_key())).ok
    with db.read() as session:
        assert verify_database(session, key.verify).ok
        assert not verify_database(session, SigningKey(secrets, "release").verify).ok
