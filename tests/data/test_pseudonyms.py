"""Pseudonyms: RFC 2104's HMAC, one spelling per identifier, nothing in common between two projects."""

import hmac

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tre.data.pseudonyms import CANONICAL, PseudonymKey, pseudonym, pseudonyms, scheme_of, translation

KEY, OTHER = PseudonymKey(bytes(range(32))), PseudonymKey(bytes(32))
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=60)


@given(st.binary(min_size=32, max_size=32), names, names)
def test_many_at_once_are_the_definition(secret, scheme, identifier):
    key = PseudonymKey(secret)
    expected = hmac.new(secret, f"tre-pseudonym/1\x1f{scheme}\x1f{identifier}".encode(), "sha256").hexdigest()[:32]
    assert pseudonym(key, scheme, identifier) == expected
    assert pseudonyms(key, scheme, [identifier.encode()]).hex() == expected


def test_the_definition_does_not_change():
    """A known answer: a change here would break every pinned snapshot's comparability."""
    assert pseudonym(KEY, "scheme\x1fnhs-number", "4000000004") == "fef4dae9a0b65007607fe36ca992cf70"


@given(st.lists(names, unique=True, max_size=50))
def test_a_translation_is_in_the_order_of_the_pseudonyms(identifiers):
    raw = pa.array(identifiers, type=pa.string())
    table = translation(KEY, "s", pa.table({"raw": raw, "canonical": raw.cast(pa.binary())}))
    made = table["pseudonym"].to_pylist()
    assert made == sorted(made)
    assert table["raw"].to_pylist() == sorted(identifiers, key=lambda name: pseudonym(KEY, "s", name))
    assert made == [pseudonym(KEY, "s", name) for name in table["raw"].to_pylist()]


def test_projects_and_schemes_share_nothing():
    made = {pseudonym(key, scheme, str(i)) for key in (KEY, OTHER) for scheme in "ab" for i in range(1000)}
    assert len(made) == 4000


def test_a_scheme_joins_columns_and_a_column_alone_joins_nothing():
    assert scheme_of("a", "nhs", "nhs-number") == scheme_of("b", "number", "nhs-number")
    assert (
        len({scheme_of("a", "nhs", ""), scheme_of("b", "nhs", ""), scheme_of("a", "n", ""), scheme_of("", "", "a")})
        == 4
    )


def test_the_key_is_never_shown():
    assert KEY.secret.hex() not in repr(KEY)
    assert repr(KEY.secret) not in repr(KEY)
    assert KEY.id != OTHER.id
    with pytest.raises(ValueError):
        PseudonymKey(b"short")


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [(" 400 ", "400"), ("\t4\n", "4"), ("e\u0301", "\u00e9"), ("", None), ("  ", None), (None, None), ("007", "007")],
)
def test_one_spelling_per_identifier(raw, canonical):
    import duckdb

    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT {CANONICAL.format(column='x')} FROM (SELECT $x::VARCHAR AS x)", {"x": raw})
        assert found.fetchone()[0] == canonical


def test_whole_numbers_are_spelled_in_decimal_digits():
    import duckdb

    with duckdb.connect() as connection:
        assert connection.execute(f"SELECT {CANONICAL.format(column='x')} FROM (SELECT 7 AS x)").fetchone()[0] == "7"
