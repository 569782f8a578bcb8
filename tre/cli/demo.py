"""`tre demo`: the journey, live."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import click


@click.command()
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Steps with ok and seconds.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Keep the platform's folder here.")
@click.option("--on", type=click.Choice(("machine", "kubernetes")), default="machine", help="Where; a new release.")
@click.option("--namespace", default="tre-system", help="The release's, on kubernetes; KUBECONFIG names the cluster.")
def demo(json_file: Path | None, keep: Path | None, on: str, namespace: str) -> None:
    """The whole journey on real parts, with everything that must be refused. Exit 0 only if every step behaved."""
    if on == "machine" and os.geteuid() == 0:
        sys.exit(_as_ordinary(json_file, keep))
    from tre.demo import journey

    for number in (signal.SIGTERM, signal.SIGHUP):
        # What was started ends with it, as after Ctrl-C; what nohup ignores stays ignored.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda *_: sys.exit(1))
    kubeconfig = os.environ.get("KUBECONFIG")
    release = (namespace, Path(kubeconfig) if kubeconfig else None)
    report = journey.play(keep) if on == "machine" else journey.play_on_release(*release)
    report.table()
    if json_file:
        report.write(json_file)
    sys.exit(0 if report.ok else 1)


def _as_ordinary(json_file: Path | None, keep: Path | None) -> int:
    """Root's files lie outside the ordinary user's view: what it writes is carried over afterwards."""
    from tre.stack.ordinary import CHECKOUT, run_as_root
    from tre.stack.view import ORDINARY_UID

    written = CHECKOUT / "build" / f"demo-{os.getpid()}"
    arguments = ["--json", str(written / "steps.json"), *(["--keep", str(written / "kept")] if keep else [])]
    written.mkdir(parents=True)
    os.chown(written, ORDINARY_UID, ORDINARY_UID)
    try:
        code = run_as_root([sys.executable, "-m", "tre.cli.main", "demo", *arguments])
        if json_file and (written / "steps.json").exists():
            shutil.copyfile(written / "steps.json", json_file)
        if keep:
            shutil.copytree(written / "kept", keep, dirs_exist_ok=True)
        return code
    finally:
        shutil.rmtree(written, ignore_errors=True)
