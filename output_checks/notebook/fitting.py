"""Models in the notebook: fitted by statsmodels as usual, with a verdict attached as `result.verdict`.

Decides how formulas are fitted and which records a unit belongs to. Leaves judging to `models`.
"""

from __future__ import annotations

from typing import Any

from output_checks.appetites import Profile
from output_checks.errors import BadInput
from output_checks.rules.models import check_model


def ols(formula: str, data: Any, **options: Any) -> Any:
    """Least squares: `ols("y ~ x", data)`. Options: profile, unit (name of a column), and what the fit takes. Raises as
    `fit` does.
    """
    return fit("ols", formula, data, **options)


def logit(formula: str, data: Any, **options: Any) -> Any:
    """Logistic regression; options as for `ols`. Raises as `fit` does."""
    return fit("logit", formula, data, disp=0, **options)


def probit(formula: str, data: Any, **options: Any) -> Any:
    """Probit regression; options as for `ols`. Raises as `fit` does."""
    return fit("probit", formula, data, disp=0, **options)


def poisson(formula: str, data: Any, **options: Any) -> Any:
    """Poisson regression; options as for `ols`. Raises as `fit` does."""
    return fit("poisson", formula, data, disp=0, **options)


def fit(
    kind: str, formula: str, data: Any, *, profile: str | Profile = "sacro", unit: str | None = None, **how: Any
) -> Any:
    """A fitted statsmodels result with `.verdict`. Raises BadInput for an unknown kind of model or unit."""
    import statsmodels.formula.api as api

    from output_checks.notebook.frames import pandas_frame

    data = pandas_frame(data)
    if not hasattr(api, kind):
        raise BadInput(f"{kind!r} is not known.", field="model", remedy="Use ols, logit, probit or poisson.")
    model = getattr(api, kind)(formula, data)
    result = model.fit(**how)
    units = None
    if unit is not None:
        if unit not in data:
            raise BadInput(f"the data has no column {unit!r}.", field="unit", remedy="Name a column.")
        units = data.loc[model.data.row_labels, unit]
    result.verdict = check_model(result, unit=units, profile=profile)
    return result
