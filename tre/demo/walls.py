"""What the journey shows to be refused from inside a workspace, and that nothing of it is left after it stopped."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import psutil

from tre.demo.analysis import Analysis, printed
from tre.demo.browser import Browser
from tre.demo.stage import Stage, Unexpected
from tre.door.places import ROOT, Places
from tre.workspaces.runtime import SandboxRuntime

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
    "another project's database": refused(lambda: ask(dbname=OTHER)),
    "the controllers' database": refused(lambda: ask(dbname="datasets")),
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
DATABASE = """
with psycopg.connect("service=project") as connection:
    print({"database": connection.execute("select current_database()").fetchone()[0]})
"""
# As many kinds of attempts as there must be at least.
FEWEST_PROBES = 100
SESSION = """
held = psycopg.connect("service=project", autocommit=True)
lines = [line.split("=", 1) for line in open("/run/tre/pg_service.conf").read().splitlines() if "=" in line]
print({"held": held.execute("select 1").fetchone()[0], "login": dict(lines)})
"""


@dataclass
class Walls:
    stage: Stage
    analysis: Analysis
    browsers: dict[str, Browser]

    def inside(self) -> str:
        """From inside the other project's workspace: data, databases, network, the machine."""
        settings = self.stage.settings
        other = printed(self.analysis.kernels["rhea"].must(DATABASE).text)["database"]
        values = {"PORT": str(settings.port), "STATE": repr(str(settings.state)), "OTHER": repr(other)}
        code = "".join(f"{name} = {value}\n" for name, value in values.items()) + INSIDE
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

    def verify(self) -> str:
        """Every way out of otto's workspace, with rhea's beside it: from inside, by filling up, through the guard."""
        live = self.stage.tre("ada", "workspace", "list", "--live")
        otto = next(workspace["id"] for workspace in live if workspace["username"] == "otto")
        report = self.stage.tre("machine", "verify", otto)
        names = {probe["name"] for probe in report["probes"]}
        if not report["ok"] or report["left_out"] or len(names) < FEWEST_PROBES:
            raise Unexpected(f"{len(names)} kinds of attempts; left out: {report['left_out']}")
        return f"{len(names)} kinds of attempts, {len(report['probes'])} in all, every one refused"

    def stop(self) -> str:
        """The lease is revoked, the open database session ends, the sandbox is gone, what was read in it is void."""
        login = printed(self.analysis.kernels["rhea"].must(SESSION).text)["login"]
        live = self.stage.tre("ada", "workspace", "list", "--live")
        mine = next(workspace["id"] for workspace in live if workspace["username"] == "rhea")
        inside = self._processes(mine)
        start = time.monotonic()
        self.stage.tre("ada", "workspace", "stop", mine, "--reason", "End of the analysis.")
        ended = self._wait_for_session_end(start)
        _, left = psutil.wait_procs(inside, timeout=10)
        if left or not inside:
            raise Unexpected(f"processes are left: {left}")
        shown = self.stage.tre("ada", "workspace", "show", mine)
        if shown["credential"] != "revoked":
            raise Unexpected(f"the login was not revoked: {json.dumps(shown)}")
        self._login_is_void(login)
        return f"login revoked, session ended within {ended:.1f} s, all {len(inside)} processes gone"

    def _login_is_void(self, login: dict[str, str]) -> None:
        """The login that was read inside, tried from where the server's socket is in reach."""
        import psycopg
        from psycopg.conninfo import make_conninfo

        try:
            psycopg.connect(make_conninfo(**{**login, "host": str(self.stage.settings.data_database)})).close()
        except psycopg.OperationalError as error:
            if "authentication failed" in str(error):
                return
            raise
        raise Unexpected("the login still opens the project's database")

    def _wait_for_session_end(self, start: float) -> float:
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

    def _processes(self, workspace: str) -> list[psutil.Process]:
        """The workspace's keeper and everything below it, sandbox included, as this machine sees them."""
        runtime = SandboxRuntime(Places(self.stage.settings).workspaces, ROOT / ".workspace-env")
        status = runtime.status({"workspace_id": workspace})
        if status is None:
            return []
        keeper = psutil.Process(status.pid)
        return [keeper, *keeper.children(recursive=True)]
