"""A proposal's form read into a proposal, with everything that is wrong with it at once.

The rules are those of `tre.projects` and `tre.data`; here they are only asked one after the other.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from output_checks.evidence.where import COMPARISONS
from tre.data.model import Dataset, Variable
from tre.errors import InvalidInput
from tre.people.rules import check_line, check_slug, check_text, check_username
from tre.projects.rules import check_asks, check_end_date
from tre.projects.service import Ask, Proposal
from tre.web.form import Form, Problems

#: Operator → how a page says it. All of them compare with one value.
OPERATORS = {
    "==": "is",
    "!=": "is not",
    "<": "is less than",
    "<=": "is at most",
    ">": "is more than",
    ">=": "is at least",
}
assert OPERATORS.keys() == COMPARISONS.keys()
TRUTHS = {"true": True, "yes": True, "false": False, "no": False}


def read_proposal(form: Form, datasets: list[Dataset], today: date, problems: Problems) -> Proposal:
    """What was filled in; `problems` gathers every rule that it breaks, in the order of the page."""

    def words(name: str) -> str:
        return problems.attempt(lambda: check_text(form.text(name), field=name), "")

    title = problems.attempt(lambda: check_line(form.text("title"), field="title", longest=300), "")
    slug = problems.attempt(lambda: check_slug(form.text("slug"), field="slug"), "")
    purpose, benefit, basis = words("purpose"), words("public_benefit"), words("legal_basis")
    asks = tuple(read_ask(form, dataset, number, problems) for number, dataset in enumerate(datasets))
    if not datasets:
        problems.found.append(InvalidInput("Ask for at least one dataset.", field="datasets"))
    risk, cost = words("risk_of_sharing"), words("cost_of_withholding")
    end = problems.attempt(lambda: form.day("end_date"), today)
    if end != today:
        problems.attempt(lambda: check_end_date(end, today), None)
    nobody: tuple[str, ...] = ()
    team = problems.attempt(lambda: read_team(form.text("team")), nobody)
    return Proposal(slug, title, purpose, benefit, basis, risk, cost, end, asks, team)


def read_ask(form: Form, dataset: Dataset, number: int, problems: Problems) -> Ask:
    """The columns ticked for one dataset, and its one condition on rows if there is one."""
    columns = form.all(f"columns:{dataset.slug}")
    if not columns:
        text = f"Choose at least one column of {dataset.title}."
        problems.found.append(InvalidInput(text, field=f"datasets.{number}.columns"))
    else:
        problems.attempt(lambda: check_asks([(dataset.slug, columns)]), None)
    return Ask(dataset.slug, columns, problems.attempt(lambda: read_rows(form, dataset, number), None))


def read_rows(form: Form, dataset: Dataset, number: int) -> dict[str, Any] | None:
    column, operator, value = (form.text(f"{part}:{dataset.slug}") for part in ("row_column", "row_op", "row_value"))
    field = f"datasets.{number}.rows"
    if not column and not value:
        return None
    variable = next((variable for variable in dataset.variables if variable.name == column), None)
    if variable is None:
        raise InvalidInput("Choose the column that the condition is about.", field=field)
    if operator not in OPERATORS:
        raise InvalidInput("Choose how the column is compared.", field=field)
    return {"column": column, "op": operator, "value": constant(variable, value, field)}


def constant(variable: Variable, value: str, field: str) -> str | int | float | bool:
    """The value as the column's kind has it; dates stay text, which the filter itself checks."""
    try:
        if variable.kind == "int":
            return int(value)
        if variable.kind == "float":
            return float(value)
    except ValueError:
        raise InvalidInput(f"{variable.name} is compared with a number.", field=field) from None
    if variable.kind == "bool":
        if value.casefold() not in TRUTHS:
            raise InvalidInput(f"{variable.name} is true or false.", field=field)
        return TRUTHS[value.casefold()]
    if not value:
        raise InvalidInput("Say what the column is compared with.", field=field)
    return value


def read_team(text: str) -> tuple[str, ...]:
    """User names, separated by blanks, commas or lines."""
    names = text.replace(",", " ").split()
    try:
        return tuple(dict.fromkeys(check_username(name) for name in names))
    except InvalidInput as error:
        raise InvalidInput(error.message, field="team") from None


def rows_in_words(rows: dict[str, Any] | None) -> str:
    """A filter as a sentence, whoever made it."""
    if not rows:
        return "all rows"
    if "all" in rows or "any" in rows:
        joint = " and " if "all" in rows else " or "
        return joint.join(f"({rows_in_words(part)})" for part in rows.get("all") or rows.get("any") or ())
    if "not" in rows:
        return f"not ({rows_in_words(rows['not'])})"
    operator = str(rows.get("op", ""))
    words = OPERATORS.get(operator, operator.replace("_", " "))
    value = rows.get("value")
    shown = ", ".join(str(part) for part in value) if isinstance(value, list) else "" if value is None else str(value)
    return f"{rows.get('column')} {words} {shown}".strip()
