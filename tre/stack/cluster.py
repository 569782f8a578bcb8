"""`python -m tre.stack.cluster PROCESS`: one process of the platform in its pod.

Decides which processes there are and that the pod's secrets become our own 0600 files first: Kubernetes shows them as
root's, which neither libpq nor we accept. Their folder belongs in memory. Then what is wrong with its servers is said.
Leaves that to `examination.start`, and each process to its own module.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tre.credentials.files import write_secret
from tre.door.places import ROOT, Places
from tre.errors import InvalidInput, TreError
from tre.settings import Settings, make_private_folder

#: Where the pod's Secret is mounted.
SECRETS_VARIABLE = "TRE_SECRETS"
SECRETS = "/etc/tre/secrets"
PROCESSES: dict[str, tuple[str, ...]] = {
    "api": ("-m", "tre.stack.serve"),
    "worker": ("-m", "tre.stack.worker"),
    "controller": ("-m", "tre.stack.controller"),
    "hub": ("-m", "jupyterhub", "-f", str(ROOT / "tre/door/hub_config.py")),
    "guard": ("-m", "tre.door.guard"),
    "intake": ("-m", "tre.door.intake"),
    "migrate": ("-m", "tre.store.migrate"),
}
#: They know none but parts of ours.
WITHOUT_SERVERS = frozenset({"guard", "intake"})


def adopt(source: Path, settings: Settings) -> list[str]:
    """Copies every secret of the pod; returns their names. Raises `InvalidInput` where the folder cannot be read."""
    try:
        files = sorted(file for file in source.iterdir() if file.is_file() and not file.name.startswith("."))
        for file in files:
            write_secret(settings.secret_file(file.name), file.read_bytes())
    except OSError as error:
        raise InvalidInput(
            f"the pod's secrets in {source} cannot be read: {error.strerror}",
            field=SECRETS_VARIABLE,
            hint="Mount the Secret there, readable by the pod's group.",
        ) from error
    return [file.name for file in files]


def prepare(settings: Settings) -> None:
    """Folders and secrets of one process. Raises `InvalidInput` where this is no cluster."""
    if settings.cluster is None:
        raise InvalidInput("It names no file.", field="TRE_CLUSTER", hint="On one machine, use `tre up`.")
    for folder in (settings.state, settings.run, Places(settings).folder, settings.secret_file("x").parent):
        make_private_folder(folder)
    adopt(Path(os.environ.get(SECRETS_VARIABLE, SECRETS)), settings)


def main(arguments: list[str]) -> int:
    try:
        if len(arguments) != 1 or arguments[0] not in PROCESSES:
            raise InvalidInput(f"Name one of {', '.join(PROCESSES)}.", field="PROCESS")
        settings = Settings.load()
        prepare(settings)
        if arguments[0] not in WITHOUT_SERVERS:
            # Imported here: the images of these have no way to ask a server, either.
            from tre.stack.examination.start import await_servers

            await_servers(arguments[0], settings)
        os.execv(sys.executable, [sys.executable, *PROCESSES[arguments[0]]])  # noqa: S606
    except TreError as error:
        print(f"{error.field}: {error.message} {error.hint}".strip(), file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
