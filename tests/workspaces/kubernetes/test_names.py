"""Nothing that a person writes breaks out of a name or a label, and no two people or projects share one."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.workspaces.kubernetes.house import CONTROL, EVERYTHING
from tre.errors import InvalidInput
from tre.workspaces.kubernetes import names, namespace

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
HOSTILE = [
    "",
    "-",
    "a-",
    "-a",
    "A",
    "a_b",
    "a.b",
    "a/b",
    "../kube-system",
    "a b",
    "a\n",
    "a\nkind: Secret",
    "a\x00",
    "kube--system",
    '"},"x":{"',
    "{{ .Values }}",
    "$(TRE_PROJECT)",
    "é",
    "x" * 31,
    "1a",
    "system ",
]


@pytest.mark.parametrize("slug", HOSTILE)
def test_a_slug_that_is_none_names_no_namespace(slug: str):
    with pytest.raises(InvalidInput) as refused:
        names.namespace_of(CONTROL, slug)
    assert refused.value.field == "project"
    with pytest.raises(InvalidInput):
        namespace.namespace(EVERYTHING, slug)


def test_a_project_cannot_be_named_like_our_own_namespace():
    with pytest.raises(InvalidInput, match="platform's own namespace tre-system"):
        names.namespace_of("tre-system", "system")
    assert names.namespace_of("platform", "system") == "tre-system"


@pytest.mark.parametrize("slug", ["a", "rand-cost", "x" * 30])
def test_a_slug_becomes_a_namespace(slug: str):
    assert names.namespace_of(CONTROL, slug) == f"tre-{slug}"


@given(st.text(max_size=80), st.text(max_size=80))
@example("Bob_X", "bob-x")
@example("Bob_X", names.dns_label("Bob_X"))
@example("a" * 51, "a" * 52)
@example("\ud800", "")
def test_any_text_becomes_a_label_of_its_own(one: str, other: str):
    made = names.dns_label(one)
    assert LABEL.fullmatch(made)
    # A name that a person may have: two never meet, whatever the first one tries.
    if re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", other) and one != other:
        assert made != names.dns_label(other)
    for name in (names.home_of(one), names.workspace_of(one)):
        assert len(name) <= 253
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name)
    labels = names.labels(CONTROL, "cost", "home", person=one)
    assert all(LABEL.fullmatch(value) for value in labels.values())


@pytest.mark.parametrize("name", ["", "-", "A", "a.b", "x" * 64, "a\n"])
def test_what_is_no_dns_label_is_refused_by_its_field(name: str):
    with pytest.raises(InvalidInput) as refused:
        names.check_dns_label(name, field="hub_account")
    assert refused.value.field == "hub_account"
