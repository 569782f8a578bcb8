"""Risk appetites: the thresholds of a house, versioned, in TOML, each saying whether its limit itself is safe.

Decides what parameters exist, how a profile is read and how a specification may differ from it. Leaves judging
cells to `rules`. One TOML file here is one shipped profile; `load` also takes the path of one's own.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from output_checks.errors import BadInput

HERE = Path(__file__).parent
SEVERITIES = ("fail", "review", "note", "off")


@dataclass(frozen=True)
class Limit:
    """A threshold and whether a value exactly at it is safe."""

    limit: float
    safe_at_limit: bool

    @property
    def words(self) -> str:
        return f"{self.limit:g}"


@dataclass(frozen=True)
class Dominance:
    """nk rule: unsafe when the n largest contributors hold the share k of the cell (or more than it, if k
    itself is safe).
    """

    n: int
    k: float
    safe_at_limit: bool


@dataclass(frozen=True)
class Profile:
    """A house's risk appetite. `None` or "off" means that the house has no such rule.

    threshold     smallest number of units of a cell          dof        residual degrees of freedom, or n - 1
    p             (sum - x1 - x2) / x1 must reach this share  class_share largest share of a row or column total
    mode_share    largest share of one value                  hhi        largest Herfindahl index
    survival      events behind one step of a survival curve  round_base, midpoint_base  what rounding the
                  house accepts
    """

    id: str
    version: str
    title: str
    source: str
    threshold: Limit
    dof: Limit | None = None
    p: Limit | None = None
    nk: tuple[Dominance, ...] = ()
    class_share: Limit | None = None
    mode_share: Limit | None = None
    survival: Limit | None = None
    zeros_are_disclosive: bool = True
    all_same: str = "fail"
    extreme: str = "fail"
    side_count: str = "fail"
    negatives: str = "review"
    missing_values: str = "off"
    rounding_required: bool = False
    round_base: int | None = None
    midpoint_base: int | None = None
    max_rows: int | None = None
    blocked_extensions: tuple[str, ...] = ()
    loosened: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """The profile as `output-checks profiles --json` shows it."""
        from dataclasses import asdict

        return asdict(self)


LIMITS = ("threshold", "dof", "p", "class_share", "mode_share", "survival")
FLAGS = ("zeros_are_disclosive", "rounding_required")
LEVELS = ("all_same", "extreme", "side_count", "negatives", "missing_values")
WHOLE = ("round_base", "midpoint_base", "max_rows")
PARAMETERS = (*LIMITS, "nk_n", "nk_k", *FLAGS, *LEVELS)


def parse(body: dict[str, Any], where: str) -> Profile:
    """A profile from the values of a TOML file. Raises BadInput naming the key."""
    known = {"id", "version", "title", "source", "nk", "blocked_extensions", *LIMITS, *FLAGS, *LEVELS, *WHOLE}
    for key in body:
        if key not in known:
            raise BadInput("is not a known key.", field=f"{where}.{key}", remedy=f"Known: {', '.join(sorted(known))}.")
    for key in ("id", "version", "title", "source", "threshold"):
        if key not in body:
            raise BadInput("is missing.", field=f"{where}.{key}", remedy="Every profile says it.")
    values = {key: body[key] for key in known & set(body) if key not in (*LIMITS, "nk", "blocked_extensions")}
    for key in LEVELS:
        _one_of(values.get(key, "off"), SEVERITIES, f"{where}.{key}")
    for key in LIMITS:
        if key in body:
            values[key] = _limit(body[key], f"{where}.{key}")
    values["nk"] = tuple(_dominance(item, f"{where}.nk") for item in body.get("nk", ()))
    values["blocked_extensions"] = tuple(body.get("blocked_extensions", ()))
    return Profile(**values)


def _limit(body: Any, where: str) -> Limit:
    if not isinstance(body, dict) or set(body) != {"limit", "safe_at_limit"}:
        raise BadInput("is no limit.", field=where, remedy="Write { limit = 10, safe_at_limit = true }.")
    if type(body["safe_at_limit"]) is not bool:
        raise BadInput("is not true or false.", field=f"{where}.safe_at_limit", remedy="Say it explicitly.")
    return Limit(_number(body["limit"], f"{where}.limit"), body["safe_at_limit"])


def _dominance(body: Any, where: str) -> Dominance:
    if (
        not isinstance(body, dict)
        or set(body) != {"n", "k", "safe_at_limit"}
        or type(body["safe_at_limit"]) is not bool
    ):
        raise BadInput("is no dominance rule.", field=where, remedy="Write { n = 2, k = 0.9, safe_at_limit = false }.")
    return Dominance(_whole(body["n"], f"{where}.n", 1), _share(body["k"], f"{where}.k"), body["safe_at_limit"])


@cache
def _shipped() -> dict[str, Profile]:
    found = (parse(tomllib.loads(path.read_text(encoding="utf-8")), path.stem) for path in sorted(HERE.glob("*.toml")))
    return {profile.id: profile for profile in found}


def profiles() -> dict[str, Profile]:
    """The shipped profiles by name. Raises nothing."""
    return dict(_shipped())


def load(profile: str | Path | Profile) -> Profile:
    """A profile by name, by the path of a TOML file, or as it is. Unknown means refused."""
    if isinstance(profile, Profile):
        return profile
    if str(profile) in _shipped():
        return _shipped()[str(profile)]
    path = Path(profile)
    if path.suffix == ".toml":
        try:
            return parse(tomllib.loads(path.read_text(encoding="utf-8")), path.name)
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
            raise BadInput(f"could not be read ({problem}).", field="profile", remedy="Give a TOML file.") from None
    raise BadInput(
        f"{str(profile)!r} is not known.",
        field="profile",
        remedy=f"Use one of {', '.join(_shipped())} or the path of a TOML file.",
    )


def check_parameters(parameters: dict[str, Any]) -> None:
    """Raises BadInput for a parameter that does not exist or whose value makes no sense."""
    _changes(parameters, _shipped()["sacro"])


def adapt(profile: Profile, parameters: dict[str, Any], *, may_loosen: bool = True) -> Profile:
    """The profile with a specification's own parameters.

    What is looser than the house is listed in `loosened`; with `may_loosen=False` (the house checks what
    somebody else specified) such a parameter is ignored, still listed.
    """
    changes = _changes(parameters, profile)
    looser = tuple(key for key, value in changes.items() if _looser(key, getattr(profile, key), value))
    if not may_loosen:
        changes = {key: value for key, value in changes.items() if key not in looser}
    return replace(profile, **changes, loosened=looser)


def _changes(parameters: dict[str, Any], profile: Profile) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for key, value in parameters.items():
        where = f"parameters.{key}"
        if key not in PARAMETERS:
            raise BadInput("is not a known parameter.", field=where, remedy=f"Known: {', '.join(PARAMETERS)}.")
        if key in FLAGS:
            changes[key] = _one_of(value, (True, False), where)
        elif key in LEVELS:
            changes[key] = _one_of(value, SEVERITIES, where)
        elif key in LIMITS:
            changes[key] = _parameter_limit(key, value, profile, where)
    if "nk_n" in parameters or "nk_k" in parameters:
        changes["nk"] = _parameter_nk(parameters, profile)
    return changes


def _parameter_limit(key: str, value: Any, profile: Profile, where: str) -> Limit | None:
    if value is None:
        if key == "threshold":
            raise BadInput("cannot be switched off.", field=where, remedy="Give a whole number of at least 1.")
        return None
    if key in ("threshold", "survival", "dof"):
        limit = float(_whole(value, where, 1))
    else:
        limit = _share(value, where, top=10 if key == "p" else 1)
    old = getattr(profile, key)
    return Limit(limit, old.safe_at_limit if old else True)


def _parameter_nk(parameters: dict[str, Any], profile: Profile) -> tuple[Dominance, ...]:
    if parameters.get("nk_k", 0) is None:
        return ()
    old = profile.nk[0] if profile.nk else Dominance(2, 0.9, False)
    n = _whole(parameters.get("nk_n", old.n), "parameters.nk_n", 1)
    k = _share(parameters.get("nk_k", old.k), "parameters.nk_k")
    return (Dominance(n, k, old.safe_at_limit),)


def _looser(key: str, old: Any, new: Any) -> bool:
    """Whether `new` lets through what `old` stops; in doubt it does."""
    if old == new or old in (None, (), False, "off"):
        return False
    if new in (None, (), False):
        return True
    if isinstance(old, Limit):
        return bool(new.limit > old.limit if key in ("class_share", "mode_share") else new.limit < old.limit)
    if isinstance(old, tuple):
        return not all(any(n.n >= o.n and n.k <= o.k for n in new) for o in old)
    if isinstance(old, str):
        return SEVERITIES.index(new) > SEVERITIES.index(old)
    return False


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
        raise BadInput(f"{value!r} is not a number from 0.", field=where, remedy="Give a plain number.")
    return float(value)


def _whole(value: Any, where: str, least: int) -> int:
    if type(value) is not int or value < least:
        raise BadInput(f"{value!r} is not a whole number from {least}.", field=where, remedy="Give such a number.")
    return value


def _share(value: Any, where: str, top: float = 1) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= top:
        raise BadInput(f"{value!r} is not a share.", field=where, remedy="Give a share such as 0.1, not a percentage.")
    return float(value)


def _one_of(value: Any, choices: tuple[Any, ...], where: str) -> Any:
    if not any(value == choice and type(value) is type(choice) for choice in choices):
        raise BadInput(f"{value!r} is not known.", field=where, remedy=f"Use one of {', '.join(map(str, choices))}.")
    return value
