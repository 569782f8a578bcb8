"""Tries the walls of the workspaces that somebody asked about, one after another, as long as this controller leads.

Decides what becomes of each: a report, or the reason why there is none; what was broken off is cleaned up and tried
again. Converging goes on beside it, and knows the one pod that may live meanwhile (`verifications.guests`). Leaves the
states to `tre.workspaces.verifications`, pods and attempts to `verification`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tre.errors import Conflict, NotFound, TreError
from tre.store import Database
from tre.workspaces import verifications
from tre.workspaces.kubernetes.aims import Surroundings
from tre.workspaces.kubernetes.api import Api
from tre.workspaces.kubernetes.cluster import Cluster
from tre.workspaces.kubernetes.content import POD
from tre.workspaces.kubernetes.controller import GoesOn
from tre.workspaces.kubernetes.names import namespace_of, workspace_of
from tre.workspaces.kubernetes.verification import BrokenOff, Intake, Login, Trial, verify
from tre.workspaces.verifications import Task

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Verifier:
    """`around`, `intake` and `login` say what only the caller knows: of the platform's servers, tokens (of a workspace,
    and of who tries), and a login to a project's database (for who tries, as long as they do).
    """

    db: Database
    api: Api
    cluster: Cluster
    around: Callable[[], Surroundings]
    intake: Callable[[str, str], Intake | None]
    login: Callable[[str, str], AbstractContextManager[Login | None]]

    def verify(self, goes_on: GoesOn) -> int:
        """One look; returns how many verifications came to a report."""
        task = verifications.take(self.db)
        return 0 if task is None else self._tried(task, goes_on)

    def _tried(self, task: Task, goes_on: GoesOn) -> bool:
        try:
            if task.former:
                self._end(task.project, task.former)
            with self.login(task.project, task.probe) as login:
                report = verify(self.cluster, self.api, self._trial(task, login, goes_on))
            verifications.done(self.db, task, report)
        except BrokenOff as left:
            # It stays as it is: whoever leads next takes it up.
            log.warning("verification %s: %s", task.number, left.message)
            return False
        except TreError as error:
            self._fail(task, error.message)
            return False
        except Exception as error:
            log.error("verification %s: %s", task.number, type(error).__name__, exc_info=True)
            self._fail(task, f"An unexpected error ({type(error).__name__}); the controller's log says more.")
            return False
        return True

    def _trial(self, task: Task, login: Login | None, goes_on: GoesOn) -> Trial:
        return Trial(
            task.project,
            task.probe,
            self.around(),
            self.intake(task.workspace_id, task.probe),
            login,
            lambda how: verifications.says(self.db, task, how),
            lambda uid: verifications.shows(self.db, task, uid),
            goes_on,
        )

    def _fail(self, task: Task, reason: str) -> None:
        log.warning("verification %s: %s", task.number, reason)
        try:
            verifications.fail(self.db, task, reason)
        except Conflict:
            # In other hands, or given up: whoever has it says what becomes of it.
            log.warning("verification %s is no longer ours", task.number)

    def _end(self, project: str, probe: str) -> None:
        space, name = namespace_of(self.cluster.control_namespace, project), workspace_of(probe)
        try:
            pod = self.api.ask("GET", POD.path(space, name), {})
        except NotFound:
            return
        self.api.delete(POD, space, name, uid=pod["metadata"]["uid"])
