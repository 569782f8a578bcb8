"""A report as a table that people read: unsafe cells marked, the reason on hover and as text below.

Decides the HTML. Everything from the data is escaped; colour is never the only sign. Leaves words to `rules`.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from output_checks.rules.judgement import Judgement

STYLE = {
    "fail": "background:#f8d7da;color:#5c0a14;font-weight:bold",
    "review": "background:#fff3cd;color:#4d3b00",
    "pass": "",
}
SIGN = {"fail": "✗ ", "review": "? ", "pass": ""}
WORDS = {"pass": "nothing found", "review": "a checker must look", "fail": "not for release as it is"}


def html(report: Judgement, limit: int = 400) -> str:
    """The long or wide table (whichever fits) with reasons, followed by the findings as text."""
    cells = report.cells[:limit]
    reasons = _reasons(report)
    head = f"<p><strong>{report.status}</strong>: {WORDS[report.status]} ({escape(report.profile.title)})</p>"
    sides: dict[tuple[str, ...], None] = {}
    lines: dict[tuple[str, ...], dict[tuple[str, ...], str]] = {}
    for cell in cells:
        row, column = tuple(map(str, cell.row.values())), tuple(map(str, cell.column.values()))
        sides[column] = None
        why = reasons.get((*row, *column), "")
        value = "" if cell.value is None else f"{cell.value:.6g}" if isinstance(cell.value, float) else str(cell.value)
        lines.setdefault(row, {})[column] = (
            f'<td style="{STYLE[cell.status]}" title="{escape(why, quote=True)}">'
            f"{SIGN[cell.status]}{escape(value)}</td>"
        )
    top = "".join(f'<th scope="col">{escape(" / ".join(side) or report.spec.statistic)}</th>' for side in sides)
    names = escape(" / ".join(report.spec.rows))
    body = "".join(
        f'<tr><th scope="row">{escape(" / ".join(row))}</th>'
        + "".join(of.get(side, "<td></td>") for side in sides)
        + "</tr>"
        for row, of in lines.items()
    )
    more = f"<p>{len(report.cells) - limit} more cells are not shown.</p>" if len(report.cells) > limit else ""
    table = f'<table><thead><tr><th scope="col">{names}</th>{top}</tr></thead><tbody>{body}</tbody></table>'
    return head + table + more + f"<pre>{escape(report.text(12))}</pre>"


def _reasons(report: Judgement) -> dict[tuple[str, ...], str]:
    out: dict[tuple[str, ...], str] = {}
    for finding in report.findings:
        key = tuple(map(str, finding.cell.values()))
        out[key] = f"{out[key]} {finding.why}" if key in out else finding.why
    return out
