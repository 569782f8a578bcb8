"""Regression models: what coefficients could say about single people.

Decides from the design matrix, the outcome and the fitted values whether coefficients are safe: degrees of
freedom, saturated and perfect fits, dummies that pick out few units, designs that are a table of means in
disguise. Reads results of statsmodels, of lifelines and of scikit-learn (the last two with the data that they
were fitted on). Sources: SDC Handbook on regression, SACRO's minimum degrees of freedom, DwB guidelines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from output_checks.appetites import Profile, load
from output_checks.errors import Unreadable
from output_checks.rules.findings import Finding
from output_checks.rules.tables import below_limit
from output_checks.rules.verdict import Verdict

if TYPE_CHECKING:
    import numpy as np

EXACT = 1e-9


@dataclass(frozen=True)
class Fit:
    """A fitted model in plain arrays: design (n × k, constant included), outcome and fitted values (n),
    residual dof; of a mixed model the group of each record and the number of random effects per group.
    """

    kind: str
    names: tuple[str, ...]
    design: np.ndarray
    outcome: np.ndarray | None
    fitted: np.ndarray | None
    residual_dof: float
    units: np.ndarray | None = None
    events: int | None = None
    groups: np.ndarray | None = None
    random: int = 0


def check_model(
    result: Any,
    *,
    x: Any = None,
    y: Any = None,
    unit: Any = None,
    profile: str | Profile = "sacro",
) -> Verdict:
    """Judges a fitted model: a statsmodels result (OLS, logit, probit, Poisson, mixed, PHReg), or any other
    with `x` and `y`.

    x, y    the design (records × columns) and the outcome it was fitted on
    unit    one identifier per record: dummies and n then count different units
    What cannot be read is a failing finding. Source: SACRO statbarn 3, SDC Handbook (dummies, saturated and single-unit
    designs). Raises BadInput for a profile that is not known.
    """
    house = load(profile)
    try:
        fit = read_model(result, x=x, y=y, unit=unit)
    except Unreadable as problem:
        return Verdict(type(result).__name__, (_blocked(problem),), house.id)
    evidence = {"n": _count(fit, None), "parameters": fit.design.shape[1], "residual_dof": fit.residual_dof}
    return Verdict(fit.kind, tuple(_judge(fit, house)), house.id, evidence)


def read_model(result: Any, *, x: Any = None, y: Any = None, unit: Any = None) -> Fit:
    """The arrays of a fitted model. Raises Unreadable for a model whose design is not known."""
    import numpy as np

    model = getattr(result, "model", None)
    exog = getattr(model, "exog", None)
    design = x if exog is None else exog
    if design is None:
        raise Unreadable(
            f"the design of {type(result).__name__} is not known.",
            field="model",
            remedy="Give the data it was fitted on: check_model(model, x=X, y=y).",
        )
    try:
        matrix = np.asarray(design, dtype=float)
        matrix = matrix.reshape(len(matrix), -1)
        outcome = getattr(model, "endog", None) if exog is not None else y
        outcome = None if outcome is None else np.asarray(outcome, dtype=float).reshape(len(matrix), -1)[:, 0]
        fitted = _fitted(result, matrix, exog is not None, x)
        units = None if unit is None else np.asarray(unit)
    except (TypeError, ValueError) as problem:
        raise Unreadable(
            f"the design is not numeric ({problem}).", field="model", remedy="Encode categories."
        ) from None
    if units is not None and len(units) != len(matrix):
        raise Unreadable("units and records differ in number.", field="unit", remedy="Drop incomplete records first.")
    if not np.isfinite(matrix).all():
        raise Unreadable("the design holds missing or infinite values.", field="model", remedy="Drop them before.")
    given = getattr(model, "exog_names", None) if exog is not None else getattr(design, "columns", None)
    names = range(matrix.shape[1]) if given is None else given
    kind = type(model).__name__.lower() if exog is not None else type(result).__name__.lower()
    constant = 0 if exog is not None or not hasattr(result, "intercept_") else 1
    dof = float(len(matrix) - np.linalg.matrix_rank(matrix) - constant)
    groups, random = _groups(model, len(matrix))
    return Fit(
        kind, tuple(map(str, names)), matrix, outcome, fitted, dof, units, _events(result, model), groups, random
    )


def _groups(model: Any, records: int) -> tuple[Any, int]:
    """Group of each record and number of random effects of a mixed model (statsmodels' MixedLM), else None and 0."""
    import numpy as np

    design = getattr(model, "exog_re", None)
    if design is None:
        return None, 0
    groups = np.asarray(getattr(model, "groups", None))
    if groups.shape[:1] != (records,):
        raise Unreadable("the groups of the random part are not known.", field="model", remedy="Use MixedLM.")
    return np.unique(groups.astype(str), return_inverse=True)[1].ravel(), int(np.shape(design)[1])


def _events(result: Any, model: Any) -> int | None:
    """Observed events of a survival model (statsmodels' PHReg, lifelines), else None."""
    import numpy as np

    observed = getattr(model, "status", None)
    observed = getattr(result, "event_observed", None) if observed is None else observed
    return None if observed is None else int(np.asarray(observed).astype(bool).sum())


def _fitted(result: Any, matrix: Any, statsmodels: bool, x: Any) -> Any:
    import numpy as np

    try:
        values = result.predict() if statsmodels else result.predict(x)
        flat = np.asarray(values, dtype=float).ravel()
    except Exception:  # a model without predictions (Cox) is judged by its design alone
        return None
    return flat if len(flat) == len(matrix) else None


def _judge(fit: Fit, house: Profile) -> Iterator[Finding]:
    n = _count(fit, None)
    if house.dof is not None and below_limit(fit.residual_dof, house.dof):
        yield Finding(
            "dof", "fail", f"{fit.residual_dof:g} residual degrees of freedom; the house asks for {house.dof.words}.",
            "Use more records or fewer parameters.", evidence={"residual_dof": fit.residual_dof},
        )  # fmt: skip
    if below_limit(n, house.threshold):
        yield Finding(
            "threshold", "fail", f"The model rests on {n} units only.", "Use more records.", evidence={"n": n}
        )
    if fit.residual_dof <= 0:
        yield Finding(
            "saturated", "fail", "As many parameters as records: the coefficients are the data in another form.",
            "Leave out interactions or dummies.", evidence={"residual_dof": fit.residual_dof},
        )  # fmt: skip
    if fit.events is not None and below_limit(fit.events, house.threshold):
        why = f"The model rests on {fit.events} events only."
        yield Finding("events", "fail", why, "Use more records.", evidence={"events": fit.events})
    yield from _exact_fit(fit)
    yield from _dummies(fit, house)
    yield from _isolated(fit, house)
    yield from _means_in_disguise(fit, house)
    yield from _random_part(fit, house)


def _exact_fit(fit: Fit) -> Iterator[Finding]:
    import numpy as np

    if fit.outcome is None or fit.fitted is None:
        return
    spread = float(np.abs(fit.outcome - fit.outcome.mean()).max()) if len(fit.outcome) else 0.0
    error = float(np.abs(fit.outcome - fit.fitted).max()) if len(fit.outcome) else 0.0
    if spread == 0 or error <= 1e-7 * max(spread, EXACT):
        yield Finding(
            "perfect_fit", "fail", "The model reproduces every outcome, so the regressors tell the outcome.",
            "Do not release the coefficients.", evidence={"largest_residual": error},
        )  # fmt: skip


def _dummies(fit: Fit, house: Profile) -> Iterator[Finding]:
    """Columns with two values of which one belongs to few units."""
    import numpy as np

    for j, name in enumerate(fit.names):
        values, counts = np.unique(fit.design[:, j], return_counts=True)
        if len(values) != 2:
            continue
        for value in values[np.argsort(counts)]:
            few = _count(fit, fit.design[:, j] == value)
            if below_limit(few, house.threshold):
                yield Finding(
                    "dummy", "fail", f"{name} = {value:g} for {few} units only; its coefficient describes them.",
                    "Merge the category with another or leave it out.", cell={"variable": name},
                    evidence={"units": few},
                )  # fmt: skip
                break


def _isolated(fit: Fit, house: Profile) -> Iterator[Finding]:
    """Records with leverage one: a parameter of their own fits them exactly."""
    import numpy as np

    basis, singular, _ = np.linalg.svd(fit.design, full_matrices=False)
    basis = basis[:, singular > singular.max(initial=0) * 1e-10]
    alone = int(((basis**2).sum(axis=1) > 1 - EXACT).sum())
    if alone and fit.residual_dof > 0:
        yield Finding(
            "single_unit", "fail", f"{alone} records are fitted by a parameter of their own.",
            "Leave out the dummies that single them out.", evidence={"records": alone},
        )  # fmt: skip


def _means_in_disguise(fit: Fit, house: Profile) -> Iterator[Finding]:
    """Only categorical regressors: the coefficients are a table of means whose cells must be large enough."""
    import numpy as np

    if any(len(np.unique(fit.design[:, j])) > 2 for j in range(fit.design.shape[1])):
        return
    patterns, where = np.unique(fit.design, axis=0, return_inverse=True)
    where = where.ravel()
    smallest = min((_count(fit, where == k) for k in range(len(patterns))), default=0)
    full = np.linalg.matrix_rank(fit.design) == len(patterns)
    severity = "fail" if full and below_limit(smallest, house.threshold) else "review"
    yield Finding(
        "means_table", severity,
        f"All regressors are categories: the coefficients are means of {len(patterns)} groups, the smallest with "
        f"{smallest} units.",
        "Check it as a table of means.", evidence={"groups": len(patterns), "smallest": smallest},
    )  # fmt: skip


def _random_part(fit: Fit, house: Profile) -> Iterator[Finding]:
    """Variances between groups rest on the number of groups; a random effect is one value for each group."""
    if fit.groups is None:
        return
    sizes = [_count(fit, fit.groups == k) for k in range(int(fit.groups.max()) + 1)]
    dof = len(sizes) - fit.random
    if house.dof is not None and below_limit(dof, house.dof):
        why = f"The variance between groups rests on {len(sizes)} groups; they can be worked out from it."
        yield Finding("random_dof", "fail", why, "Use fixed effects, or more groups.", evidence={"groups": len(sizes)})
    small = [n for n in sizes if below_limit(n, house.threshold)]
    if small:
        why = f"{len(small)} groups have too few units (least {min(small)}); their random effects describe them."
        remedy = "Publish variances only, no predicted random effects, and say so."
        yield Finding("random_effects", "review", why, remedy, evidence={"groups": len(small), "least": min(small)})


def _count(fit: Fit, mask: Any) -> int:
    import numpy as np

    if fit.units is None:
        return len(fit.design) if mask is None else int(mask.sum())
    return len(np.unique(fit.units if mask is None else fit.units[mask]))


def _blocked(problem: Unreadable) -> Finding:
    return Finding("unreadable", "fail", problem.message[0].upper() + problem.message[1:], problem.remedy)
