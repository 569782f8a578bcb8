"""What the journey shows to be refused from inside a workspace, and that nothing of it is left after it stopped."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import psutil

from tre.demo.analysis import Analysis, printed
from tre.demo.browser import Browser
from tre.demo.stage import Stage, Unexpected

INSIDE = """
import os, pathlib, socket, psycopg
def refused(what):
    try:
        return "REACHED: %r" % (what(),)
    except Exception as error:
        return type(error).__name__
def dial(host, port):
    with socket.create_connection((host, port), timeout=3): return "connected"
def ask(**changed):
    with psycopg.connect("service=project", **changed) as connection:
        return connection.execute("select current_user, current_database()").fetchone()
found = {
    "another project's data": refused(lambda: os.listdir("/data/rossi")),
    "another project's database": refused(lambda: ask(dbname="datasets")),
    "the server's own superuser": refused(lambda: ask(user="postgres", password="postgres", dbname="postgres")),
    "writing to the data": refused(lambda: pathlib.Path("/data/rand-hie/mine").write_text("x")),
    "the platform's own port": refused(lambda: dial("127.0.0.1", PORT)),
    "an outside host": refused(lambda: dial("192.0.2.1", 443)),
    "a name outside": refused(lambda: socket.getaddrinfo("example.org", 443)),
    "the host's passwords": refused(lambda: pathlib.Path("/etc/shadow").read_text()),
    "the platform's folder": refused(lambda: os.listdir(STATE)),
}
print(found)
"""
SESSION = "held = psycopg.connect('service=project', autocommit=True); print({'held': held.execute('select 1').fetchone()[0]})"


@dataclass
class Walls:
    stage: Stage
    analysis: Analysis
    browsers: dict[str, Browser]

    def inside(self) -> str:
        """From inside the other project's workspace: data, databases, network, the machine."""
        settings = self.stage.settings
        code = INSIDE.replace("PORT", str(settings.port)).replace("STATE", repr(str(settings.state)))
        found = printed(self.analysis.kernels["otto"].must(code).text)
        if reached := {what: how for what, how in found.items() if how.startswith("REACHED")}:
            raise Unexpected(f"a wall is open: {reached}")
        return f"refused: {', '.join(found)}"

    def guard(self) -> str:
        """Jupyter's ways to fetch a file, in several spellings, through the guard."""
        browser, base = self.browsers["rhea"], self.analysis.kernels["rhea"].base
        paths = (
            "files/health.csv",
            "%66iles/health.csv",
            "nbconvert/csv/x.ipynb",
            "view/health.csv",
            "FILES/health.csv",
        )
        more = (
            "kernelspecs/python3/logo.svg/..%2f..%2fx",
            "lab/extensions/x/y",
            "proxy/8000/",
            "api/terminals",
            "terminals/1",
        )
        open_ones = [p for p in (*paths, *more) if browser.http.get(base + p).status_code == 200]
        if open_ones:
            raise Unexpected(f"the guard lets through {open_ones}")
        return f"{len(paths) + len(more)} ways to download, all refused"

    def stop(self) -> str:
        """The lease is revoked, the open database session ends, the sandbox is gone."""
        rhea = self.analysis.kernels["rhea"]
        rhea.must(SESSION)
        live = self.stage.tre("ada", "workspace", "list", "--live")
        mine = next(workspace for workspace in live if workspace["username"] == "rhea")
        inside = self._processes(mine["id"])
        start = time.monotonic()
        self.stage.tre("rhea-cli", "workspace", "stop", mine["id"]) if False else self.stage.tre(
            "ada", "workspace", "stop", mine["id"], "--reason", "End of the analysis."
        )
        ended = self._wait_for_session_end(mine["id"], start)
        until = time.monotonic() + 10
        while self._processes(mine["id"]) and time.monotonic() < until:
            time.sleep(0.1)
        if left := self._processes(mine["id"]):
            raise Unexpected(f"processes are left: {left}")
        shown = self.stage.tre("ada", "workspace", "show", mine["id"])
        if shown["credential"] != "revoked":
            raise Unexpected(f"the login was not revoked: {json.dumps(shown)}")
        return f"login revoked, session ended after {ended:.1f} s, {len(inside)} processes gone"

    def _wait_for_session_end(self, workspace: str, start: float) -> float:
        import psycopg

        question = "select count(*) from pg_stat_activity where usename like 'w\\_%%' and datname = any(%s)"
        with psycopg.connect(self.stage.settings.data_conninfo("tre_admin"), autocommit=True) as connection:
            names = "select datname from pg_database where datname like 'p\\_%'"
            databases = [name for (name,) in connection.execute(names).fetchall()]
            while time.monotonic() - start < 5:
                if connection.execute(question, [databases]).fetchone() == (0,):
                    return time.monotonic() - start
                time.sleep(0.05)
        raise Unexpected("the open database session did not end within 5 s")

    def _processes(self, workspace: str) -> list[int]:
        """Processes of the platform's user that carry the workspace's name or run in its sandbox's session."""
        found = []
        for process in psutil.process_iter(["pid", "cwd", "cmdline"]):
            if any(workspace in part for part in process.info["cmdline"] or []):
                found.append(process.info["pid"])
        return found
