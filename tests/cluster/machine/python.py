"""This Python as files of an image, where workspaces' images have theirs. Decides which files a small program needs."""

from __future__ import annotations

import platform as machine
import py_compile
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

from images.workspace import write_filter

from .place import CHECKOUT

WORKSPACE = CHECKOUT / "images" / "workspace"
#: As in images/workspace.
ENVIRONMENT = "opt/tre/env"
LEFT_OUT = (
    "test",
    "site-packages",
    "__pycache__",
    "idlelib",
    "tkinter",
    "lib2to3",
    "ensurepip",
    "turtledemo",
    "pydoc_data",
)
LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")


#: What the image runs where nothing else is asked of it: a server on Jupyter's port.
STAND_IN = b"""
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

ThreadingHTTPServer(("", 8888), Hello).serve_forever()
"""
ENTRY = (f"/{ENVIRONMENT}/bin/python", "-I", "/opt/tre/stand_in.py")


def files() -> dict[str, bytes]:
    """{path in the image: content}: the program, the standard library, and the libraries that they are linked with."""
    program, standard = Path(sys.executable).resolve(), Path(sysconfig.get_path("stdlib"))
    found = {f"{ENVIRONMENT}/bin/python": program.read_bytes()}
    version = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}"
    linked = [program]
    for file in _standard(standard):
        place = f"{ENVIRONMENT}/{version}/{file.relative_to(standard)}"
        found[place] = file.read_bytes()
        if file.suffix == ".so":
            linked.append(file)
        if file.suffix == ".py":
            folder, _, name = place.rpartition("/")
            found[f"{folder}/__pycache__/{name[:-3]}.{sys.implementation.cache_tag}.pyc"] = _compiled(file, place)
    for library in _libraries(linked):
        # The loader's own path is fixed; it looks for the others here.
        there = library if library.name.startswith("ld-linux") else Path("/usr/lib/x86_64-linux-gnu") / library.name
        found[str(there).lstrip("/")] = library.read_bytes()
    return found | {ENTRY[-1].lstrip("/"): STAND_IN, **confinement()}


def confinement() -> dict[str, bytes]:
    """What a pod of nobody, which tries walls, finds in a workspace's image and confines itself with."""
    filters = {f"opt/tre/filter/{name}": content for name, content in write_filter.files(machine.machine()).items()}
    return {"opt/tre/start/confine.py": (WORKSPACE / "start" / "confine.py").read_bytes(), **filters}


def _compiled(file: Path, place: str) -> bytes:
    """A pod of a twentieth of a processor would take ten seconds for it, each time. Never compared with its source."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(str(file), str(out), dfile=f"/{place}", doraise=True, invalidation_mode=mode)
        return out.read_bytes()


def _standard(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        if file.is_file() and not any(part in LEFT_OUT or part.startswith("config-") for part in parts):
            yield file


def _libraries(linked: list[Path]) -> list[Path]:
    told = subprocess.run(["ldd", *map(str, linked)], capture_output=True, text=True, check=False).stdout
    return sorted({Path(place) for place in LIBRARY.findall(told)})
