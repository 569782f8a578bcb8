"""The short way of most requests: a plain GET on a connection that is kept, answered in one piece, without a task.

Decides only when the short way is open; who may ask what was decided before by the same rules as ever. Whatever turns
out not to be plain (a long answer, a lost connection, an account to be settled) goes on as `forward` has it, with what
is under way already.
"""

from __future__ import annotations

from tre.door.guard.forward import API_HEADERS, asked_head, is_sound
from tre.door.guard.messages import Answer, Request
from tre.door.guard.paths import Admitted
from tre.door.guard.upstream import Connection
from tre.door.guard.workspace import Workspace


class Fetch:
    """One request under way to its workspace, of which the connection tells every change."""

    __slots__ = ("_connection", "_request", "_workspace")

    def __init__(self, request: Request, workspace: Workspace, connection: Connection, head: bytes) -> None:
        self._request = request
        self._workspace = workspace
        self._connection = connection
        connection.on_change = self._look
        request.under_way = self
        connection.send(head)

    def too_late(self) -> None:
        """The answer took too long: there is none."""
        self._connection.too_late()

    def _look(self) -> None:
        connection = self._connection
        if not (connection.done or connection.closed or connection.is_full):
            return
        self._stop()
        if self._is_plain(connection):
            self._request.under_way = None
            answer = Answer(connection.status, API_HEADERS, connection.whole() or b"")
            self._workspace.upstream.give_back(connection)
            self._request.browser.answer(self._request, answer)
        else:
            self._request.browser.go_on(self._request)

    def _is_plain(self, connection: Connection) -> bool:
        """Whether all of a sound answer is here, and booked."""
        if connection.closed or not connection.done or not is_sound(connection):
            return False
        meter, size = self._workspace.meter, connection.buffered
        return size <= meter.limits.response_bytes and meter.pass_at_once(out_bytes=size)

    def take(self, workspace: Workspace) -> Connection | None:
        """The connection, for whoever goes on with the request and gives it back. None where the workspace that is
        served at this address is another by now.
        """
        if workspace is not self._workspace:
            self.leave()
            return None
        self._request.under_way = None
        return self._connection

    def leave(self) -> None:
        """Nobody waits for the answer any more."""
        self._stop()
        self._request.under_way = None
        self._workspace.upstream.give_back(self._connection)

    def _stop(self) -> None:
        self._connection.on_change = None


def fetch(request: Request, admitted: Admitted, workspace: Workspace) -> bool:
    """Send an admitted GET on its way, if that is possible without waiting for anything."""
    if request.has_body or request.has(b"content-encoding") or admitted.path.startswith("api/kernelspecs"):
        return False
    connection = workspace.upstream.take_kept() if workspace.meter.is_open else None
    if connection is None:
        return False
    Fetch(request, workspace, connection, asked_head(request, admitted, workspace, None))
    return True
