"""`python -m tre.stack.controller`: keeps the cluster's projects as the database says, until it is told to end.

Decides only what it is wired to and its own name among several controllers: the pod's. Leaves everything else to
`tre.workspaces.kubernetes.controller`.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading

from tre.errors import InvalidInput, TreError
from tre.settings import Settings
from tre.store import Database
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.controller import keep
from tre.workspaces.kubernetes.installation import cluster_of

IDENTITY = "POD_NAME"


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    leave = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leave.set())
    try:
        settings = Settings.load()
        identity = os.environ.get(IDENTITY, "")
        if not identity:
            raise InvalidInput("It is not set.", field=IDENTITY, hint="Set it to the pod's own name.")
        keep(Database(settings.state_url("tre_app")), cluster_of(settings), Api.connect(), identity, leave)
    except TreError as error:
        print(f"{error.field}: {error.message} {error.hint}".strip(": "), file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
