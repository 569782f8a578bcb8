"""One spelling per value, whatever the order in which it was built."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tre.store.canonical import canonical_json, digest_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
)


def test_the_spelling():
    assert canonical_json({"b": [1, None, True], "a": "ü\n"}) == '{"a":"ü\\n","b":[1,null,true]}'.encode()
    assert digest_of({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@given(VALUES)
def test_what_is_read_back_is_spelled_the_same(value: object):
    assert canonical_json(json.loads(canonical_json(value))) == canonical_json(value)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.integers(), max_size=5))
def test_the_order_of_names_does_not_matter(value: dict[str, int]):
    assert digest_of(dict(reversed(value.items()))) == digest_of(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": -float("inf")}])
def test_what_is_no_number_is_refused(value: object):
    with pytest.raises(ValueError):
        canonical_json(value)


def test_what_json_does_not_know_is_refused():
    with pytest.raises(TypeError):
        canonical_json({"a": object()})
