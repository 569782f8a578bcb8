"""What a pod says first: which of its servers is not as it must be, by the value that says so and how to mend it.

Decides what a process waits for: the database that it works with, and its schema. Without the others it can begin,
since workspaces go on while the secrets server is sealed, and the identity provider or the object storage away; that is
said all the same.
Leaves looking to the rest of this room.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from tre.settings import SecretsServer, Settings
from tre.stack.examination import servers
from tre.stack.examination.finding import Finding, failures

#: Shorter than the startup probe, so that the process ends with its own words.
PATIENCE, PAUSE = 100.0, 2.0
SIGNS_IN = frozenset({"api", "worker", "controller"})
#: Ends where something is wrong, and is started again by its Job.
IMPATIENT = frozenset({"migrate"})

Say = Callable[[str], None]


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def await_servers(process: str, settings: Settings, say: Say = say, patience: float = PATIENCE) -> None:
    """Returns when the process can begin. Says each thing that is wrong once, when it is seen first; raises the first
    one's error when it was wrong for too long.
    """
    _leave_at_once()
    said: set[str] = set()
    until = time.monotonic() + (0.0 if process in IMPATIENT else patience)
    others = False
    while True:
        lacks = _needed(settings)
        found = lacks if others else [*lacks, *_more(process, settings)]
        others = True
        for one in found:
            if one.line not in said:
                said.add(one.line)
                say(one.line)
        if not lacks:
            return
        if time.monotonic() >= until:
            raise lacks[0].error()
        time.sleep(PAUSE)


def _leave_at_once() -> None:
    """The first process of a pod ignores a signal that nobody handles."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))


def _needed(settings: Settings) -> list[Finding]:
    """What is wrong with the database without which it cannot work, in whichever role."""
    return _databases(settings, servers.STATE)


def _databases(settings: Settings, value: str) -> list[Finding]:
    asked = [login for login in servers.logins(settings) if login.value == value]
    return failures(servers.examine_databases(settings, asked, datetime.now(UTC), canary=False))


def _more(process: str, settings: Settings) -> list[Finding]:
    now = datetime.now(UTC)
    found = _databases(settings, servers.DATA)
    if process in SIGNS_IN and isinstance(settings.openbao, SecretsServer):
        found += servers.examine_secrets_server(settings.openbao, now, sign_in=True)
    if process == "hub" and settings.identity_provider:
        found += servers.examine_provider(settings.identity_provider, now)
    if bucket := servers.asks_storage(settings):
        found += servers.examine_storage(settings, bucket, now, writes=False)
    return failures(found)
