"""output_checks: disclosure control for tables, models and figures.

Stand-alone: imports nothing of the platform. Everything is loaded when first used, so that importing costs
next to nothing. In a notebook the engine is loaded at once, so that the first table does not wait for it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from output_checks import published as published
    from output_checks.acro import read_acro as read_acro
    from output_checks.acro import write_acro as write_acro
    from output_checks.against import compare_published as compare_published
    from output_checks.appetites import Profile as Profile
    from output_checks.appetites import profiles as profiles
    from output_checks.auditing import Audit as Audit
    from output_checks.auditing import audit as audit
    from output_checks.certificates import verify as verify
    from output_checks.coarsen import coding_limits as coding_limits
    from output_checks.coarsen import finest_quantiles as finest_quantiles
    from output_checks.coarsen import propose_merge as propose_merge
    from output_checks.differencing import compare as compare
    from output_checks.engine import check as check
    from output_checks.errors import BadInput as BadInput
    from output_checks.errors import OutputCheckError as OutputCheckError
    from output_checks.errors import Unreadable as Unreadable
    from output_checks.errors import Unsafe as Unsafe
    from output_checks.figures import check_figure as check_figure
    from output_checks.findings import Finding as Finding
    from output_checks.fitting import fit as fit
    from output_checks.fitting import logit as logit
    from output_checks.fitting import ols as ols
    from output_checks.fitting import poisson as poisson
    from output_checks.fitting import probit as probit
    from output_checks.histogram import hist as hist
    from output_checks.kinds import check_clusters as check_clusters
    from output_checks.kinds import check_components as check_components
    from output_checks.kinds import check_concentration as check_concentration
    from output_checks.kinds import check_correlation as check_correlation
    from output_checks.kinds import check_lorenz as check_lorenz
    from output_checks.kinds import check_test as check_test
    from output_checks.linked import Linked as Linked
    from output_checks.linked import protect_linked as protect_linked
    from output_checks.mitigate import Mitigated as Mitigated
    from output_checks.models import check_model as check_model
    from output_checks.notebook import crosstab as crosstab
    from output_checks.notebook import groupby as groupby
    from output_checks.notebook import pivot_table as pivot_table
    from output_checks.protecting import protect as protect
    from output_checks.ratios import check_implied as check_implied
    from output_checks.ratios import check_ratio as check_ratio
    from output_checks.releases import JsonLines as JsonLines
    from output_checks.releases import Release as Release
    from output_checks.releases import remember as remember
    from output_checks.report import Report as Report
    from output_checks.session import Session as Session
    from output_checks.spec import TableSpec as TableSpec
    from output_checks.survival import check_life_table as check_life_table
    from output_checks.survival import check_survival as check_survival
    from output_checks.survival import coarse_survival as coarse_survival
    from output_checks.texts import check_text as check_text
    from output_checks.verdict import Verdict as Verdict
    from output_checks.where import col as col

_HOME = {
    "finest_quantiles": "coarsen",
    "coding_limits": "coarsen",
    "propose_merge": "coarsen",
    "read_acro": "acro",
    "write_acro": "acro",
    "check_survival": "survival",
    "coarse_survival": "survival",
    "check_life_table": "survival",
    "check_ratio": "ratios",
    "check_implied": "ratios",
    "check_concentration": "kinds",
    "check_lorenz": "kinds",
    "check_correlation": "kinds",
    "check_test": "kinds",
    "check_clusters": "kinds",
    "check_components": "kinds",
    "check_text": "texts",
    "crosstab": "notebook",
    "pivot_table": "notebook",
    "groupby": "notebook",
    "ols": "fitting",
    "logit": "fitting",
    "probit": "fitting",
    "poisson": "fitting",
    "fit": "fitting",
    "hist": "histogram",
    "Session": "session",
    "Audit": "auditing",
    "BadInput": "errors",
    "Finding": "findings",
    "Linked": "linked",
    "JsonLines": "releases",
    "Mitigated": "mitigate",
    "OutputCheckError": "errors",
    "Profile": "appetites",
    "Release": "releases",
    "Report": "report",
    "TableSpec": "spec",
    "Unreadable": "errors",
    "Unsafe": "errors",
    "Verdict": "verdict",
    "audit": "auditing",
    "check": "engine",
    "check_figure": "figures",
    "check_model": "models",
    "compare": "differencing",
    "compare_published": "against",
    "col": "where",
    "profiles": "appetites",
    "protect": "protecting",
    "protect_linked": "linked",
    "remember": "releases",
    "verify": "certificates",
}
_MODULES = ("published",)
__all__ = sorted([*_HOME, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"output_checks.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'output_checks' has no attribute {name!r}")
    return getattr(import_module(f"output_checks.{_HOME[name]}"), name)


if "IPython" in sys.modules:
    import_module("output_checks.engine")
    import_module("output_checks.sources").warm()


def __dir__() -> list[str]:
    return __all__
