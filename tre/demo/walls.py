"""What the journey shows to be refused from inside a workspace, and that nothing of it is left after it stopped."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from tre.demo.analysis import Analysis, printed
from tre.demo.browser import Browser
from tre.demo.machine import wait_until_none
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
    "another project's database": refused(lambda: ask(dbname=OTHER)),
    "the controllers' database": refused(lambda: ask(dbname="datasets")),
    "the server's own superuser": refused(lambda: ask(user="postgres", password="postgres", dbname="postgres")),
    "writing to the data": refused(lambda: pathlib.Path("/data/rand-hie/mine").write_text("x")),
    "the platform's own port": refused(lambda: dial(HOST, PORT)),
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
SESSION_SECONDS = 5.0
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
        host, port, folder = self.stage.machine.inside()
        other = printed(self.analysis.kernels["rhea"].must(DATABASE).text)["database"]
        values = {"HOST": repr(host), "PORT": str(port), "STATE": repr(folder), "OTHER": repr(other)}
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
        fewest, report = self.stage.machine.verify(otto)
        names = {probe["name"] for probe in report["probes"]}
        if not report["ok"] or report["left_out"] or len(names) < fewest:
            raise Unexpected(f"{len(names)} kinds of attempts; left out: {report['left_out']}")
        return f"{len(names)} kinds of attempts, {len(report['probes'])} in all, every one refused"

    def stop(self) -> str:
        """The lease is revoked, the open database session ends, the sandbox is gone, what was read in it is void."""
        login = printed(self.analysis.kernels["rhea"].must(SESSION).text)["login"]
        live = self.stage.tre("ada", "workspace", "list", "--live")
        mine = next(workspace["id"] for workspace in live if workspace["username"] == "rhea")
        machine = self.stage.machine
        held, start = machine.hold(mine), time.monotonic()
        self.stage.tre("ada", "workspace", "stop", mine, "--reason", "End of the analysis.")
        ended = wait_until_none(machine, start, SESSION_SECONDS)
        if ended is None:
            raise Unexpected(f"the open database session did not end within {SESSION_SECONDS:g} s")
        if (left := machine.left(seconds=10)) or not held:
            raise Unexpected(f"of the workspace {held} ran, and there is left: {left}")
        shown = self.stage.tre("ada", "workspace", "show", mine)
        if shown["credential"] != "revoked":
            raise Unexpected(f"the login was not revoked: {json.dumps(shown)}")
        if machine.login_works(login):
            raise Unexpected("the login still opens the project's database")
        return f"login revoked, session ended within {ended:.1f} s, all {held} processes gone"
