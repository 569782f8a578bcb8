"""Certificates: proof that a protected table gives nothing away, checked with additions only.

Decides the form of the proof and how it is verified. For every suppressed cell the certificate names two
complete fillings of the table, non-negative (whole numbers for counts), that agree with everything published
and differ in that cell by the required range. Whoever can add can check it: no data, no solver, no trust in
whoever made it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from output_checks.attack.longtable import Trees, read_long
from output_checks.attack.systems import System, link
from output_checks.errors import BadInput, OutputCheckError, Unsafe
from output_checks.reading.published import published_bytes
from output_checks.rules.findings import Finding
from output_checks.rules.verdict import Verdict

if TYPE_CHECKING:
    import numpy as np

    from output_checks.protection.protecting import Proof

VERSION = 1
KEYS = {"version", "kind", "total", "parents", "tables", "cells", "required", "fillings", "witnesses"}


def certify(
    proof: Proof, raws: Sequence[bytes], *, total: str, parents: dict[str, dict[str, str]] | None = None
) -> dict[str, Any]:
    """The certificate of protected tables as written in `raws` (long CSV). Raises Unsafe if no proof is found."""
    import numpy as np

    problem, pattern = proof.problem, proof.pattern
    where = np.flatnonzero(pattern.suppressed)
    need = problem.needed[where]
    chosen, pairs = choose(exact_fillings(problem, where, pattern.fillings, need), need)
    shown = np.flatnonzero(~problem.hidden[where])
    body = {
        "version": VERSION,
        "kind": "whole" if problem.whole else "decimal",
        "total": total,
        "parents": parents or {},
        "tables": [hashlib.sha256(raw).hexdigest() for raw in raws],
        "cells": [proof.names[i] for i in where[shown].tolist()],
        "required": [_plain(n, problem.whole) for n in need[shown].tolist()],
        "fillings": [[_plain(v, problem.whole) for v in filling[shown].tolist()] for filling in chosen],
        "witnesses": [pairs[i] for i in shown.tolist()],
    }
    verdict = verify(body, *raws)
    if verdict.status != "pass":
        raise Unsafe(f"No proof was found: {verdict.findings[0].why}", findings=verdict.findings)
    return body


def exact_fillings(
    problem: Any, where: np.ndarray, found: tuple[np.ndarray, ...], need: np.ndarray
) -> list[np.ndarray]:
    """Fillings that add up exactly: vertices in whole numbers as they are, the others again as integer programs."""
    import numpy as np

    matrix = problem.matrix[:, where]
    right = np.asarray(matrix @ problem.value[where]).ravel()
    fillings = [problem.value[where]]
    for filling in found:
        near = np.round(filling) if problem.whole else np.maximum(filling, 0)
        slack = 0.0 if problem.whole else 1e-6 * max(1.0, float(np.abs(right).max(initial=0)))
        if (np.abs(matrix @ near - right) <= slack).all() and (near >= 0).all() and np.abs(near - filling).max() < 1e-3:
            fillings.append(near)
    if problem.whole:
        fillings += _integer_fillings(matrix, right, fillings, need)
    return fillings


def _integer_fillings(matrix: Any, right: Any, fillings: list[Any], need: Any) -> list[Any]:
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp

    known, out = np.stack(fillings), []
    least, most = known.min(axis=0), known.max(axis=0)
    for cell in np.flatnonzero(most - least < need).tolist():
        for sign in (-1.0, 1.0):
            if most[cell] - least[cell] >= need[cell]:
                break
            cost = np.zeros(len(need))
            cost[cell] = sign
            answer = milp(
                cost,
                constraints=LinearConstraint(matrix, right, right),
                integrality=np.ones(len(need)),
                bounds=Bounds(0, np.inf),
            )
            if answer.x is not None:
                filling = np.round(answer.x)
                out.append(filling)
                least, most = np.minimum(least, filling), np.maximum(most, filling)
    return out


def choose(fillings: list[np.ndarray], need: np.ndarray) -> tuple[list[np.ndarray], list[list[int]]]:
    """Few fillings that between them give every cell its pair; pairs are [low, high] numbers of fillings."""
    import numpy as np

    known = np.stack(fillings)
    used = [0]
    least, most = known[0].copy(), known[0].copy()
    while ((most - least) < need).any():
        open_cells = (most - least) < need
        gain = [((np.maximum(most, f) - np.minimum(least, f) >= need) & open_cells).sum() for f in known]
        spread = [(np.maximum(most, f) - np.minimum(least, f) - (most - least))[open_cells].sum() for f in known]
        best = max(range(len(known)), key=lambda k: (gain[k], spread[k]))
        if gain[best] == 0 and spread[best] <= 0:
            break
        used.append(best)
        least, most = np.minimum(least, known[best]), np.maximum(most, known[best])
    chosen = [known[k] for k in used]
    stack = np.stack(chosen)
    pairs = [[int(lo), int(hi)] for lo, hi in zip(stack.argmin(axis=0), stack.argmax(axis=0), strict=True)]
    return chosen, pairs


def verify(
    certificate: Any, *tables: str | Path | bytes, required: float = 0.0, parents: Trees | None = None
) -> Verdict:
    """Checks a certificate against the published tables by adding up. Anything wrong, missing or unknown is a
    failing finding. Raises BadInput or Unreadable for files that are not there.

    required   a range that every cell must have at least, beyond what the certificate says of itself
    parents    what the reader knows of hierarchies, as for `audit`; otherwise the certificate's own are used
    """
    raw = _raw(certificate)
    raws = [t if isinstance(t, bytes) else published_bytes(Path(t)) for t in tables]
    try:
        findings = list(_problems(_load(raw), raws, required, parents))
    except OutputCheckError as problem:
        findings = [_refused(problem.message)]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as problem:
        findings = [_refused(f"The certificate is malformed ({type(problem).__name__}).")]
    return Verdict("certificate", tuple(findings), "none")


def _problems(body: dict[str, Any], raws: list[bytes], required: float, known: Trees | None) -> Any:
    if set(body) != KEYS:
        yield _refused(f"The certificate lacks keys, or has others: {', '.join(sorted(set(body) ^ KEYS))}.")
        return
    if body["version"] != VERSION or body["kind"] not in ("whole", "decimal"):
        yield _refused("The certificate's version or kind is not known.")
        return
    if sorted(hashlib.sha256(raw).hexdigest() for raw in raws) != sorted(body["tables"]):
        yield _refused("The certificate is about other tables (their digests differ).")
        return
    parents = body["parents"] if known is None else known
    system = link([read_long(raw, total=body["total"], parents=parents) for raw in raws])
    if system.conflicts:
        yield _refused("The tables contradict one another.")
        return
    yield from _incomplete(body, system)
    yield from _unbalanced(body, system)
    yield from _too_narrow(body, required)


def _incomplete(body: dict[str, Any], system: System) -> Any:
    """Every gap of the tables is named once, and every filling fills each of them."""
    import numpy as np

    gaps = {system.names[i] for i in np.flatnonzero(system.unknown & system.shown).tolist()}
    named = [tuple(sorted((str(d), str(t)) for d, t in cell.items())) for cell in body["cells"]]
    if len(set(named)) != len(named) or set(named) != gaps:
        yield _refused(f"{len(gaps ^ set(named))} suppressed cells are not covered, or cells are named that are none.")
    sizes = {len(filling) for filling in body["fillings"]} | {len(body["witnesses"]), len(body["required"])}
    if sizes != {len(named)}:
        yield _refused("A filling is incomplete.")


def _unbalanced(body: dict[str, Any], system: System) -> Any:
    """Every filling is non-negative, whole where it must be, and agrees with every sum."""
    named = [tuple(sorted((str(d), str(t)) for d, t in cell.items())) for cell in body["cells"]]
    at = {name: i for i, name in enumerate(system.names)}
    known = [None if value != value else _number(value) for value in system.values.tolist()]
    tolerance = Fraction(0) if body["kind"] == "whole" else Fraction(1, 10**5)
    for number, filling in enumerate(body["fillings"]):
        values = list(known)
        for name, value in zip(named, filling, strict=False):
            exact = _number(value)
            if exact < 0 or (body["kind"] == "whole" and exact.denominator != 1):
                yield _refused(f"Filling {number} holds a value that cannot be.")
                return
            if name in at:
                values[at[name]] = exact
        wrong = _wrong_sums(system, values, tolerance)
        if wrong:
            yield _refused(f"Filling {number} disagrees with {wrong} published sums.")
            return


def _wrong_sums(system: System, values: list[Any], tolerance: Fraction) -> int:
    matrix, wrong = system.matrix, 0
    start, cells, signs = matrix.indptr.tolist(), matrix.indices.tolist(), matrix.data.tolist()
    _add_unshown(start, cells, signs, values)
    for row in range(matrix.shape[0]):
        total, size = Fraction(0), Fraction(1)
        for k in range(start[row], start[row + 1]):
            value = values[cells[k]]
            if value is None:
                return len(start) - 1
            total += value if signs[k] > 0 else -value
            size = max(size, abs(value))
        wrong += abs(total) > tolerance * size
    return wrong


def _add_unshown(start: list[int], cells: list[int], signs: list[float], values: list[Any]) -> None:
    """Totals that no table shows follow from their parts."""
    again = True
    while again:
        again = False
        for row in range(len(start) - 1):
            inside = range(start[row], start[row + 1])
            gaps = [k for k in inside if values[cells[k]] is None]
            if len(gaps) == 1 and signs[gaps[0]] < 0:
                values[cells[gaps[0]]] = sum((values[cells[k]] for k in inside if k != gaps[0]), Fraction(0))
                again = True


def _too_narrow(body: dict[str, Any], required: float) -> Any:
    """The two fillings of every cell differ by its range, which is more than nothing."""
    narrow = 0
    for i, ((low, high), need) in enumerate(zip(body["witnesses"], body["required"], strict=False)):
        if not (type(low) is int and type(high) is int and low >= 0 and high >= 0):
            raise ValueError("witness")
        spread = _number(body["fillings"][high][i]) - _number(body["fillings"][low][i])
        narrow += spread < max(_number(need), _number(required)) or spread <= 0
    if narrow:
        yield _refused(f"{narrow} cells are not free to move by what is asked for.")


def _number(value: Any) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("number")
    return Fraction(str(value)) if not isinstance(value, int) else Fraction(value)


def _plain(value: float, whole: bool) -> Any:
    return int(value) if whole and float(value).is_integer() else value


def _raw(certificate: Any) -> Any:
    """The certificate as it is, or the bytes of its file."""
    if isinstance(certificate, dict | bytes):
        return certificate
    try:
        return Path(certificate).read_bytes()
    except OSError as problem:
        why = f"could not be read ({problem.strerror})."
        raise BadInput(why, field="certificate", remedy="Give its JSON file.") from None


def _load(raw: Any) -> dict[str, Any]:
    body = raw if isinstance(raw, dict) else json.loads(raw)
    if not isinstance(body, dict):
        raise TypeError("object")
    return body


def _refused(why: str) -> Finding:
    return Finding("certificate", "fail", why, "Protect the table again.")
