"""output_checks: disclosure control for tables, models and figures.

Stand-alone: imports nothing of the platform. Everything is loaded when first used, so that importing costs
next to nothing. In a notebook the engine is loaded at once, so that the first table does not wait for it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from output_checks.appetites import Profile as Profile
    from output_checks.appetites import profiles as profiles
    from output_checks.attack.auditing import Audit as Audit
    from output_checks.attack.auditing import audit as audit
    from output_checks.errors import BadInput as BadInput
    from output_checks.errors import OutputCheckError as OutputCheckError
    from output_checks.errors import Unreadable as Unreadable
    from output_checks.errors import Unsafe as Unsafe
    from output_checks.evidence.spec import TableSpec as TableSpec
    from output_checks.evidence.where import col as col
    from output_checks.history.differencing import compare as compare
    from output_checks.history.releases import JsonLines as JsonLines
    from output_checks.history.releases import Release as Release
    from output_checks.history.releases import remember as remember
    from output_checks.mitigation.coarsen import coding_limits as coding_limits
    from output_checks.mitigation.coarsen import finest_quantiles as finest_quantiles
    from output_checks.mitigation.coarsen import propose_merge as propose_merge
    from output_checks.mitigation.linked import Linked as Linked
    from output_checks.mitigation.linked import protect_linked as protect_linked
    from output_checks.mitigation.mitigate import Mitigated as Mitigated
    from output_checks.mitigation.report import Report as Report
    from output_checks.mitigation.report import check as check
    from output_checks.mitigation.report import compare_published as compare_published
    from output_checks.mitigation.report import protect as protect
    from output_checks.notebook.acro import read_acro as read_acro
    from output_checks.notebook.acro import write_acro as write_acro
    from output_checks.notebook.fitting import fit as fit
    from output_checks.notebook.fitting import logit as logit
    from output_checks.notebook.fitting import ols as ols
    from output_checks.notebook.fitting import poisson as poisson
    from output_checks.notebook.fitting import probit as probit
    from output_checks.notebook.histogram import hist as hist
    from output_checks.notebook.session import Session as Session
    from output_checks.notebook.tables import crosstab as crosstab
    from output_checks.notebook.tables import groupby as groupby
    from output_checks.notebook.tables import pivot_table as pivot_table
    from output_checks.protection.certificates import verify as verify
    from output_checks.reading import published as published
    from output_checks.rules.figures import check_figure as check_figure
    from output_checks.rules.findings import Finding as Finding
    from output_checks.rules.kinds import check_clusters as check_clusters
    from output_checks.rules.kinds import check_components as check_components
    from output_checks.rules.kinds import check_concentration as check_concentration
    from output_checks.rules.kinds import check_correlation as check_correlation
    from output_checks.rules.kinds import check_lorenz as check_lorenz
    from output_checks.rules.kinds import check_test as check_test
    from output_checks.rules.models import check_model as check_model
    from output_checks.rules.ratios import check_implied as check_implied
    from output_checks.rules.ratios import check_ratio as check_ratio
    from output_checks.rules.survival import check_life_table as check_life_table
    from output_checks.rules.survival import check_survival as check_survival
    from output_checks.rules.survival import coarse_survival as coarse_survival
    from output_checks.rules.texts import check_text as check_text
    from output_checks.rules.verdict import Verdict as Verdict

_HOME = {
    "finest_quantiles": "mitigation.coarsen",
    "coding_limits": "mitigation.coarsen",
    "propose_merge": "mitigation.coarsen",
    "read_acro": "notebook.acro",
    "write_acro": "notebook.acro",
    "check_survival": "rules.survival",
    "coarse_survival": "rules.survival",
    "check_life_table": "rules.survival",
    "check_ratio": "rules.ratios",
    "check_implied": "rules.ratios",
    "check_concentration": "rules.kinds",
    "check_lorenz": "rules.kinds",
    "check_correlation": "rules.kinds",
    "check_test": "rules.kinds",
    "check_clusters": "rules.kinds",
    "check_components": "rules.kinds",
    "check_text": "rules.texts",
    "crosstab": "notebook.tables",
    "pivot_table": "notebook.tables",
    "groupby": "notebook.tables",
    "ols": "notebook.fitting",
    "logit": "notebook.fitting",
    "probit": "notebook.fitting",
    "poisson": "notebook.fitting",
    "fit": "notebook.fitting",
    "hist": "notebook.histogram",
    "Session": "notebook.session",
    "Audit": "attack.auditing",
    "BadInput": "errors",
    "Finding": "rules.findings",
    "Linked": "mitigation.linked",
    "JsonLines": "history.releases",
    "Mitigated": "mitigation.mitigate",
    "OutputCheckError": "errors",
    "Profile": "appetites",
    "Release": "history.releases",
    "Report": "mitigation.report",
    "TableSpec": "evidence.spec",
    "Unreadable": "errors",
    "Unsafe": "errors",
    "Verdict": "rules.verdict",
    "audit": "attack.auditing",
    "check": "mitigation.report",
    "check_figure": "rules.figures",
    "check_model": "rules.models",
    "compare": "history.differencing",
    "compare_published": "mitigation.report",
    "col": "evidence.where",
    "profiles": "appetites",
    "protect": "mitigation.report",
    "protect_linked": "mitigation.linked",
    "remember": "history.releases",
    "verify": "protection.certificates",
}
_MODULES = {"published": "reading.published"}
__all__ = sorted([*_HOME, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"output_checks.{_MODULES[name]}")
    if name not in _HOME:
        raise AttributeError(f"module 'output_checks' has no attribute {name!r}")
    return getattr(import_module(f"output_checks.{_HOME[name]}"), name)


if "IPython" in sys.modules:
    for _module in ("mitigation.report", "mitigation.readback"):
        import_module(f"output_checks.{_module}")
    import_module("output_checks.appetites").profiles()
    import_module("output_checks.evidence.sources").warm()


def __dir__() -> list[str]:
    return __all__
