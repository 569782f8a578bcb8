"""The documentation's examples run, its tables are complete, and the tutorial notebook runs."""

import json
import re
import types
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import output_checks as oc
from output_checks.rules.tables import RULES

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "output-checks.md").read_text(encoding="utf-8")


def test_examples_run_one_after_the_other():
    namespace = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(block, "docs/output-checks.md", "exec"), namespace)
    assert namespace["session"].questions() == []


def test_every_rule_key_and_statistic_is_documented():
    for rule in RULES:
        assert f"`{rule.id}`" in PAGE
    for key in oc.TableSpec(rows="a").__dataclass_fields__:
        assert f"`{key}`" in PAGE or key == "total"


def test_every_rule_of_every_kind_of_output_is_documented():
    """Whatever a finding may be called, anywhere in the package."""
    sources = [path.read_text(encoding="utf-8") for path in Path(oc.__file__).parent.rglob("*.py")]
    found = {rule for text in sources for rule in re.findall(r"Finding\(\s*(?:rule=)?\"(\w+)\"", text)}
    assert {"means_table", "implied_table", "survival_tail", "empty"} <= found
    assert {rule for rule in found if f"`{rule}`" not in PAGE} == set()


def test_every_public_name_has_a_docstring():
    """What functions raise is said, and what the rules of a kind of output rest on."""
    for name in oc.__all__:
        thing = getattr(oc, name)
        words = (thing.__doc__ or "").strip()
        assert words, name
        if isinstance(thing, types.FunctionType):
            assert "Raises" in words, name
        if name.startswith("check_"):
            assert "Source: " in words, name


def test_the_tutorial_runs():
    notebook = json.loads((DOCS / "output-checks-tutorial.ipynb").read_text(encoding="utf-8"))
    namespace = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), "tutorial", "exec"), namespace)
    assert namespace["session"].questions() == []
