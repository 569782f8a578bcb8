"""What a home holds, measured against an owner who hides it: closed folders, depths, holes, empty files, moves."""

import gc
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.stack.toys import wait_until
from tests.workspaces.conftest import LIMITS, Plan
from tre.errors import TreError
from tre.workspaces.runtime import SandboxRuntime
from tre.workspaces.sandbox import home
from tre.workspaces.sandbox.home import BLOCK_BYTES, Unmeasured, home_bytes

MEGABYTE = 1 << 20
# Deeper than Python's own recursion, than the descriptors of a process, and than the longest path.
DEPTH = 3000


@pytest.fixture
def place(folder: Path) -> Iterator[Path]:
    """A home whose owner may do with it whatever they like."""
    made = folder / "home"
    made.mkdir()
    yield made
    home_bytes(str(made))  # what was closed is open again, so that it can be removed
    remove_deep(made)


def deep(top: Path, inside: str = "") -> None:
    """Folders nested deeper than any path is long, a file of a megabyte in the last."""
    here = os.open(top, os.O_RDONLY)
    for _ in range(DEPTH):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    with open(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=here), "wb") as file:
        file.write(bytes(MEGABYTE))
    os.close(here)


def remove_deep(top: Path) -> None:
    """What `shutil.rmtree` cannot: a folder at a time is moved up and emptied."""
    while (inner := top / "d").exists():
        for name in os.listdir(inner):
            os.rename(inner / name, top / f"up-{name}")
        inner.rmdir()
        for name in ("d", "file"):
            if (top / f"up-{name}").exists():
                os.rename(top / f"up-{name}", top / name)


def test_names_count_once_links_and_empty_files_as_a_block_and_holes_in_full(place: Path) -> None:
    (place / "a").write_bytes(bytes(MEGABYTE))
    os.link(place / "a", place / "b")
    (place / "link").symlink_to("/usr")
    for name in ("empty", "no\nname", "\udcff"):
        (place / name).touch()
    assert home_bytes(str(place)) == MEGABYTE + 5 * BLOCK_BYTES, "the folder, the link, three empty files"
    os.truncate(place / "empty", 1 << 40)
    assert home_bytes(str(place)) == MEGABYTE + 4 * BLOCK_BYTES + (1 << 40)


@pytest.mark.parametrize("mode", [0o000, 0o200, 0o400, 0o500, 0o300])
def test_a_folder_that_nobody_may_read_is_measured(place: Path, mode: int) -> None:
    (place / "closed" / "more").mkdir(parents=True)
    (place / "closed" / "more" / "file").write_bytes(bytes(MEGABYTE))
    (place / "closed" / "more").chmod(mode)
    (place / "closed").chmod(mode)
    place.chmod(mode)
    assert home_bytes(str(place)) == MEGABYTE + 3 * BLOCK_BYTES


def test_folders_nested_deeper_than_any_path_are_measured(place: Path) -> None:
    deep(place)
    gc.collect()  # descriptors of earlier tests that would be closed in between
    before = set(os.listdir("/proc/self/fd"))
    assert home_bytes(str(place)) == MEGABYTE + (DEPTH + 1) * BLOCK_BYTES
    assert set(os.listdir("/proc/self/fd")) <= before


def test_a_folder_moved_at_each_look_is_not_measured_as_something_else(
    place: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moved out while the walk is in it: its parent is another, and nothing outside is counted."""
    (place / "a" / "b").mkdir(parents=True)
    (folder / "other").mkdir()
    (folder / "other" / "large").write_bytes(bytes(MEGABYTE))
    enter = home._enter

    def moving(name: str, within: int | None = None) -> int | None:
        found = enter(name, within)
        if name == "b":
            os.rename(place / "a" / "b", folder / "other" / "b")
        elif (folder / "other" / "b").exists():
            os.rename(folder / "other" / "b", place / "a" / "b")
        return found

    monkeypatch.setattr(home, "_enter", moving)
    with pytest.raises(Unmeasured):
        home_bytes(str(place))
    monkeypatch.undo()
    shutil.rmtree(place / "a")


HIDE = """
import os
for n in range(16):
    os.mkdir(f"d{n}")
    open(f"d{n}/file", "wb").write(bytes(8 << 20))
    os.chmod(f"d{n}", 0)
import time; time.sleep(60)
"""


def test_a_home_filled_in_folders_that_nobody_may_read(runtime: SandboxRuntime, plan: Plan) -> None:
    state = runtime.start(plan(limits=replace(LIMITS, home_bytes=64 << 20)))
    with pytest.raises(TreError):
        runtime.exec_in(state, ["python", "-I", "-c", HIDE], seconds=40)
    wait_until(lambda: "its home holds" in str(runtime.poll(state)))


def test_a_home_nested_too_deep_for_any_path_neither_ends_the_workspace_nor_keeps_it_from_starting(
    runtime: SandboxRuntime, plan: Plan, place: Path
) -> None:
    deep(place)
    state = runtime.start(plan(home=str(place)))
    runtime.exec_in(state, ["python", "-I", "-c", "import time; time.sleep(1.5)"])
    assert runtime.poll(state) is None
    runtime.stop(state)
