"""The command line, for any language.

Decides commands, exit codes and what is printed. Exit 0 pass, 10 review, 11 fail, 2 bad input (field and
remedy named, nothing written). Leaves all judging to the library.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from output_checks.errors import BadInput, OutputCheckError

EXIT = {"pass": 0, "review": 10, "fail": 11}


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        return code
    except OutputCheckError as problem:
        if getattr(options, "json", False):
            print(json.dumps(problem.to_dict()))
        print(f"output-checks: {problem}", file=sys.stderr)
        return problem.exit_code
    except BrokenPipeError:
        return 2
    except Exception as problem:  # whatever went wrong, it is no verdict
        print(f"output-checks: could not finish ({type(problem).__name__}: {problem})", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="output-checks", description="Disclosure control for tables.")
    commands = parser.add_subparsers(dest="command", required=True)
    _check(_command(commands, "check", "judge a table on data", _run_check))
    _audit(_command(commands, "audit", "attack published long tables", _run_audit))
    _protect(_command(commands, "protect", "write a table whose gaps are proven", _run_protect))
    _compare(_command(commands, "compare", "look for differencing with earlier releases", _run_compare))
    _published(_command(commands, "published", "a written table against the data", _run_published))
    verify = _command(commands, "verify", "check a certificate by adding up", _run_verify)
    verify.add_argument("certificate")
    verify.add_argument("tables", nargs="+")
    _hierarchies(verify)
    verify.add_argument("--required", type=float, default=0.0, help="range that every cell must have at least")
    _command(commands, "profiles", "the shipped risk appetites", _run_profiles)
    return parser


def _command(commands: Any, name: str, words: str, run: Callable[[Any], int]) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=words, description=words)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)
    return parser


def _data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", help="JSON file with the table specification")
    parser.add_argument("data", help="Parquet or CSV")
    parser.add_argument("--profile", default="sacro", help="name of a profile or path of a TOML file")


def _check(parser: argparse.ArgumentParser) -> None:
    _data(parser)


def _published(parser: argparse.ArgumentParser) -> None:
    _data(parser)
    parser.add_argument("table", help="CSV, long or wide")


def _audit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tables", nargs="+", help="long CSV: a column per dimension, then the value")
    parser.add_argument("--total", default="Total", help="the word for totals")
    parser.add_argument("--width", type=float, default=3.0, help="counts known to less than this many are reported")
    parser.add_argument("--close", type=float, default=0.05, help="sums known to within this share are reported")
    parser.add_argument("--rounding", default="", help="what was done to the values: round:5 or midpoint:6")
    parser.add_argument("--totals", default="true", choices=["true", "shown"], help="shown: totals of what is shown")
    parser.add_argument("--decimal", action="store_true", help="cells need not be whole numbers")
    parser.add_argument("--no-intervals", action="store_true", help="equations only")
    parser.add_argument("--negative", action="store_true", help="cells may be negative")
    _hierarchies(parser)


def _hierarchies(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--hierarchies", help="JSON file: dimension → {parent: [children]} or lengths of prefixes")


def _protect(parser: argparse.ArgumentParser) -> None:
    _data(parser)
    parser.add_argument("-o", "--output", required=True, help="the long CSV to write")
    parser.add_argument("--range", type=float, default=0.3, help="share of the threshold that a cell stays free by")
    parser.add_argument("--seconds", type=float, default=10.0, help="time for improvement; the answer is always safe")
    parser.add_argument("--certificate", help="where to write the proof (default: beside the table)")


def _compare(parser: argparse.ArgumentParser) -> None:
    _data(parser)
    parser.add_argument("--store", required=True, help="JSON Lines file with earlier releases")
    parser.add_argument("--add", action="store_true", help="remember this table if it passes")


def _show(body: dict[str, Any], text: str, options: Any) -> int:
    print(json.dumps(body) if options.json else text)
    return EXIT[body["status"]]


def _run_check(options: Any) -> int:
    from output_checks.evidence.spec import TableSpec
    from output_checks.mitigation.report import check

    report = check(TableSpec.read(options.spec), options.data, options.profile)
    return _show(report.to_dict(), report.text(), options)


def _run_published(options: Any) -> int:
    from output_checks.evidence.spec import TableSpec
    from output_checks.mitigation.report import compare_published

    report = compare_published(TableSpec.read(options.spec), options.data, Path(options.table), options.profile)
    return _show(report.to_dict(), report.text(), options)


def _run_audit(options: Any) -> int:
    from output_checks.attack.auditing import audit

    found = audit(
        *options.tables, total=options.total, width=options.width, intervals=not options.no_intervals,
        negative=options.negative, parents=_parents(options.hierarchies), rounding=options.rounding,
        totals=options.totals, whole=not options.decimal, close=options.close,
    )  # fmt: skip
    lines = [f"{found.status}: {len(found.names)} of {found.cells} cells are suppressed"]
    lines += [f"  {f.severity} {f.rule} {f.cell}: {f.why}" for f in found.findings]
    return _show(found.to_dict(), "\n".join(lines), options)


def _parents(path: str | None) -> dict[str, Any] | None:
    """Trees as a specification writes them: children of each parent, or lengths of prefixes."""
    if path is None:
        return None
    from output_checks.evidence.spec import TableSpec

    try:
        body = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        remedy = 'Write {"region": {"north": ["a", "b"]}} or {"nace": [1, 3]}.'
        raise BadInput(f"could not be read ({problem}).", field="hierarchies", remedy=remedy) from None
    trees = TableSpec(rows=tuple(body) if isinstance(body, dict) else ("-",), hierarchies=body).hierarchies
    return {
        name: tree if isinstance(tree, list) else {child: top for top, children in tree.items() for child in children}
        for name, tree in trees.items()
    }


def _run_protect(options: Any) -> int:
    from output_checks.evidence.spec import TableSpec
    from output_checks.mitigation.delivery import deliver
    from output_checks.mitigation.report import protect

    out = Path(options.output)
    beside = Path(options.certificate or out.with_suffix(".certificate.json"))
    for name, path in (("output", out), ("certificate", beside)):
        if path.is_dir() or not path.parent.is_dir():
            raise BadInput(
                f"{str(path)!r} cannot be written.", field=name, remedy="Name a file in a folder that exists."
            )
    if not options.seconds >= 0:
        raise BadInput(f"{options.seconds} is no time.", field="seconds", remedy="Give a number from 0.")
    table = protect(
        TableSpec.read(options.spec), options.data, options.profile, range=options.range, seconds=options.seconds
    )
    proof = json.dumps(table.certificate())
    deliver(beside, proof.encode())
    table.write_csv(out)
    body = {**table.to_dict(), "status": "pass", "output": str(out), "certificate": str(beside)}
    return _show(body, f"{table.what}\n{out}\n{beside}", options)


def _run_compare(options: Any) -> int:
    from output_checks.evidence.spec import TableSpec
    from output_checks.history.differencing import compare
    from output_checks.history.releases import JsonLines, remember
    from output_checks.mitigation.report import check

    spec, store = TableSpec.read(options.spec), JsonLines(options.store)
    verdict = compare(spec, options.data, store, profile=options.profile)
    if options.add and verdict.status == "pass":
        remember(check(spec, options.data, options.profile).suppress(), store)
    return _show(verdict.to_dict(), verdict.text(), options)


def _run_verify(options: Any) -> int:
    from output_checks.protection.certificates import verify

    known = _parents(options.hierarchies)
    verdict = verify(options.certificate, *options.tables, required=options.required, parents=known)
    return _show(verdict.to_dict(), verdict.text(), options)


def _run_profiles(options: Any) -> int:
    from output_checks.appetites import profiles

    shipped = {name: profile.to_dict() for name, profile in profiles().items()}
    lines = [f"{name:22} {profile['title']} (version {profile['version']})" for name, profile in shipped.items()]
    return _show({"status": "pass", "profiles": shipped}, "\n".join(lines), options)


if __name__ == "__main__":
    sys.exit(main())
