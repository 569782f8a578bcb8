"""`make bench` is not run here; that what it measures with still fits the code is."""

import importlib

import pytest

from tests import bench


@pytest.mark.parametrize("name", bench.MODULES)
def test_every_benchmark_can_begin(name: str) -> None:
    assert callable(importlib.import_module(name).run)


def test_a_page_says_what_was_missed() -> None:
    rows = [{"what": "a", "ours": "2 s", "goal": "≤ 1 s", "met": False}, {"what": "b", "ours": "3 MB"}]
    found = {bench.MODULES[0]: {"on": "2026-01-01", "machine": "2 cores", "rows": rows}}
    assert "| a | 2 s |  |  | ≤ 1 s | **no** |\n| b | 3 MB |  |  |  |  |" in bench.page(found)
