"""The real Jupyter server and a real kernel, inside a real sandbox, over the socket that was opened outside."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.workspaces.conftest import ENVIRONMENT, LIMITS, make_plan, new_folder, stop_all
from tests.workspaces.jupyter import Client, Kernel
from tre.workspaces.plan import LaunchPlan
from tre.workspaces.runtime import SandboxRuntime

Served = tuple[SandboxRuntime, dict[str, Any], LaunchPlan, Client]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    folder = new_folder()
    runtime = SandboxRuntime(folder / "run", ENVIRONMENT)
    plan = make_plan(folder, "one", limits=replace(LIMITS, memory_bytes=2 << 30))
    state = runtime.start(plan)
    yield runtime, state, plan, Client(runtime.jupyter_socket(state), plan)
    stop_all(runtime)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def kernel(served: Served) -> Kernel:
    return served[3].kernel()


def test_a_cell_runs(kernel: Kernel) -> None:
    assert kernel.run("print('hello'); 6 * 7") == "hello\n42"


def test_where_a_kernel_is(kernel: Kernel) -> None:
    assert kernel.run("import os, getpass; print(os.getcwd(), getpass.getuser())") == "/home/researcher researcher"
    assert kernel.run("print(open('/data/data-one/table.csv').read())") == "a,b\n1,2"
    assert kernel.run("import sys; print(sys.prefix)") == "/opt/tre/env"
    assert kernel.run("print(os.environ['PGSERVICEFILE'])") == "/run/tre/pg_service.conf"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import numpy as np; print(int((np.random.rand(400, 400) @ np.ones((400, 400))).shape[0]))", "400"),
        ("import pandas as pd; print(pd.read_csv('/data/data-one/table.csv').b.sum())", "2"),
        ("import polars as pl; print(pl.read_csv('/data/data-one/table.csv')['b'].sum())", "2"),
        ("import duckdb; print(duckdb.sql(\"select sum(b) from '/data/data-one/*.csv'\").fetchall()[0][0])", "2"),
        ("import pyarrow.parquet as q, pyarrow as a; q.write_table(a.table({'a': [1]}), 'a.parquet'); print(1)", "1"),
        ("import matplotlib.pyplot as p; p.plot([1]); p.savefig('a.png'); p.close(); print(1)", "1"),
        ("import statsmodels.api as sm; print(len(sm.datasets.longley.load_pandas().data))", "16"),
        ("import sklearn.linear_model as m; print(m.LinearRegression(n_jobs=2).fit([[0], [1]], [0, 1]).rank_)", "1"),
        ("import lifelines; from lifelines.datasets import load_rossi; print(len(load_rossi()))", "432"),
        ("import multiprocessing as m; p = m.get_context('fork').Pool(2); print(p.map(abs, [-1]))", "[1]"),
        ("import subprocess; print(subprocess.check_output(['ls', '/data'], text=True))", "data-one"),
        ("import asyncio; await asyncio.sleep(0); print('done')", "done"),
        ("import release; print(release.__name__)", "release"),
        ("import output_checks; print(output_checks.__name__)", "output_checks"),
        ("import adbc_driver_postgresql, psycopg; print(psycopg.pq.version() > 0)", "True"),
    ],
)  # fmt: skip
def test_what_researchers_need_works_under_the_filter(kernel: Kernel, code: str, expected: str) -> None:
    assert kernel.run(code).splitlines()[-1] == expected


def test_nothing_of_the_platform_is_in_it(kernel: Kernel) -> None:
    there = "import importlib.util as u; print([n for n in {} if u.find_spec(n)])"
    ours = ("tre", "jupyterhub", "sqlalchemy", "alembic", "fastapi", "hvac", "kubernetes", "oauthenticator")
    assert kernel.run(there.format(ours)) == "[]"
    assert kernel.run(there.format(("pandas", "output_checks", "release"))) == "['pandas', 'output_checks', 'release']"


def test_what_the_server_refuses(served: Served) -> None:
    client = served[3]
    (Path(served[2].home) / "secret.txt").write_text("a result")
    for path, status in {
        "files/secret.txt": 403,
        "files/secret.txt?download=1": 403,
        "nbconvert/html/secret.txt": 404,
        "view/secret.txt": 404,
        "api/terminals": 404,
        "terminals/websocket/1": 404,
        "api/nbconvert": 404,
        "kernelspecs/python3/logo-svg.svg": 404,
    }.items():
        found, text = client.request("GET", path)
        assert found == status, path
        assert b"a result" not in text


def test_no_token_no_answer(served: Served) -> None:
    client = served[3]
    for token in ("", "wrong", client.token[:-1]):
        assert client.request("GET", "api/contents", token=token)[0] == 403
    assert client.request("GET", "api/contents")[0] == 200


def test_a_kernel_of_the_researchers_making_is_not_offered(served: Served) -> None:
    home = Path(served[2].home)
    for place in (".local/share/jupyter/kernels/mine", ".jupyter/kernels/mine"):
        (home / place).mkdir(parents=True)
        (home / place / "kernel.json").write_text(json.dumps({"argv": ["cat"], "display_name": "m", "language": "m"}))
    _, text = served[3].request("GET", "api/kernelspecs")
    assert list(json.loads(text)["kernelspecs"]) == ["python3"]
    assert served[3].request("GET", "kernelspecs/mine/kernel.json")[0] == 404
    assert served[3].request("POST", "api/kernels", {"name": "mine"})[0] != 201


def test_configuration_in_the_home_counts_for_nothing(served: Served, kernel: Kernel) -> None:
    """A researcher may write any configuration; the next start must not read it."""
    runtime, _, plan, _ = served
    home = Path(plan.home)
    (home / ".jupyter").mkdir(exist_ok=True)
    text = "open('/home/researcher/was-here', 'w'); c.ServerApp.terminals_enabled = True; c.IdentityProvider.token = ''"
    for name in ("jupyter_server_config.py", "jupyter_config.py"):
        (home / ".jupyter" / name).write_text(text)
        (home / name).write_text(text)
    second = replace(plan, workspace_id="again")
    state = runtime.start(second)
    try:
        client = Client(runtime.jupyter_socket(state), second)
        assert client.request("GET", "api/terminals")[0] == 404
        assert client.request("GET", "api/contents", token="")[0] == 403
        assert not (home / "was-here").exists()
    finally:
        runtime.stop(state)


def test_lab_is_not_in_it(served: Served) -> None:
    """Its pages, extensions and settings come from the guard's own copy."""
    for path in ("lab", "lab/api/settings", "lab/extensions/mine/x.js", "static/lab/x.js"):
        assert served[3].request("GET", path)[0] == 404, path


def test_the_token_is_hidden_from_kernels(served: Served, kernel: Kernel) -> None:
    token = served[2].jupyter_token
    code = "import glob, os\nfound = ''\nfor path in glob.glob('/proc/[0-9]*/*') + glob.glob('/run/jupyter/*'):\n"
    code += "  try: found += open(path, 'rb').read(1 << 20).decode(errors='replace')\n  except OSError: pass\n"
    assert kernel.run(f"{code}print('{token[:20]}' + '{token[20:]}' in found)") == "False"
    assert "PermissionError" in kernel.run("open('/proc/2/mem', 'rb')")
    assert "PermissionError" in kernel.run("open('/proc/1/mem', 'rb')")


def test_a_kernel_cannot_swap_the_servers_socket(served: Served, kernel: Kernel) -> None:
    """The listening socket has no name inside; the guard's path leads to the one opened outside."""
    runtime, state, _, client = served
    code = "import os; places = [os.walk(top) for top in ('/run', '/tmp', '/home', '/dev')]\n"
    code += "print([place for walk in places for place, _, names in walk if 'jupyter.sock' in names])"
    assert kernel.run(code) == "[]"
    assert runtime.jupyter_socket(state).is_socket()
    assert client.request("GET", "api/status")[0] == 200
