"""The benchmark of size says where it cannot run, counts what the API server counted, scales what it measured."""

import json
from pathlib import Path

import pytest

from tests.cluster import bench_scale
from tests.cluster.machine.place import Place
from tests.cluster.scale import growth, paper, programs, witness
from tests.cluster.scale.stages import stages

ROOT = Path(__file__).resolve().parents[1]


def test_without_its_programs_it_says_that_it_did_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Place(tmp_path, tmp_path / "run")
    assert "kwok" in programs.missing(nowhere)
    reason = programs.missing(nowhere)
    monkeypatch.setattr(programs, "missing", lambda: reason)
    (row,) = bench_scale.run()
    assert row["ours"].startswith("did not run: not built here: helm, ")
    assert row["met"] is None


def event(user: str, verb: str, resource: str, **more: str) -> str:
    place = {"resource": resource, "namespace": "tre-a", **more}
    return json.dumps({"user": {"username": user}, "verb": verb, "objectRef": place}) + "\n"


def test_writes_are_what_the_api_server_says_of_one_user(tmp_path: Path) -> None:
    log, me = tmp_path / "audit.log", witness.CONTROLLER
    log.write_text(event(me, "patch", "roles"))
    since = log.stat().st_size
    told = [event(me, "update", "leases"), event(me, "list", "pods"), event(me, "watch", "pods")]
    told += [event("admin", "create", "pods"), event(me, "deletecollection", "pods")]
    told += [event(me, "update", "pods", subresource="status"), event(me, "patch", "roles")[:-9]]
    log.write_text(log.read_text() + "".join(told))
    assert witness.writes(log, me, since) == {"leases": 1, "pods": 1, "pods/status": 1}
    log.write_text(event(me, "delete", "pods") * 2 + event("admin", "delete", "pods") + event(me, "delete", "roles"))
    assert witness.ended_by(log) == {me: 2, "admin": 1}


def test_what_one_adds_is_the_difference() -> None:
    whole = {name: {"etcd kB": kilobytes} for name, kilobytes in [("before", 10), ("projects", 30), ("workspaces", 36)]}
    assert growth.each(whole, 10, 3) == {"project": {"etcd kB": 2.0}, "workspace": {"etcd kB": 2.0}}


def test_each_pod_that_kwok_meets_has_one_thing_to_do() -> None:
    """Two stages that fit the same pod would be drawn by lot."""
    listed = {each["metadata"]["name"]: each["spec"]["selector"] for each in stages()}
    deleted = {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}
    for name in ("pod-ready", "canary-free", "canary-confined"):
        assert listed[name]["matchExpressions"][0] == deleted
    tries = {name: listed[name]["matchExpressions"][-1]["operator"] for name in ("pod-ready", "canary-free")}
    assert tries == {"pod-ready": "DoesNotExist", "canary-free": "Exists"}
    assert listed["canary-free"]["matchLabels"] != listed["canary-confined"]["matchLabels"]


def test_the_paper_tells_what_the_benchmark_found() -> None:
    found, page = json.loads(paper.FOUND.read_text()), paper.PAGE.read_text()
    assert paper.with_tables(page, paper.text(found)) == page, "write it anew: python -m tests.cluster.scale.paper"
    assert len(page.splitlines()) <= 120
