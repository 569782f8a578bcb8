"""One living platform for the tests that only use it: the journey up to two open workspaces."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tre.demo.journey import steps
from tre.demo.stage import Stage, running_platform, temporary_stage

OPEN = "workspace: sign in, open Lab"


@dataclass(frozen=True)
class Living:
    """A platform on which two researchers of two projects have opened their workspaces; `end` stops it."""

    stage: Stage
    end: Callable[[], None]


@pytest.fixture(scope="package")
def living() -> Iterator[Living]:
    with temporary_stage() as stage, contextlib.ExitStack() as running:
        running.enter_context(running_platform(stage))
        for name, step in steps(stage):
            step()
            if name.startswith(OPEN):
                break
        yield Living(stage, running.close)


@pytest.fixture
def stage(living: Living) -> Stage:
    return living.stage
