"""A package mirror beside the platform: who may use it installs from it in a notebook, and nobody else reaches it."""

from __future__ import annotations

import base64
import io
import zipfile

import pytest

from tests.cluster import objects
from tests.cluster.conftest import NewSpace
from tests.cluster.house import Space
from tests.cluster.machine.configs import PYTHON_IMAGE

from .release import VALUES, Release
from .rendering import Object, changed
from .researcher import another, researcher_on

pytestmark = pytest.mark.timeout(600)
HOST = "mirror.example"
WHEEL = "greeting-1.0-py3-none-any.whl"
INSTALLED = """
import greeting, sys
print(greeting.WORDS, greeting.__file__, sys.path[-1])
"""
#: What is in the environment is not replaced by what is of the same name there.
BEHIND = """
import os
open(os.path.expanduser("~/packages/pandas.py"), "w").close()
import pandas
print(pandas.__file__.startswith("/opt/tre/env/"))
"""
REACHED = f"""
import os, socket
try:
    socket.create_connection(("{HOST}", {objects.WEB}), 3).close()
    print("reached")
except TimeoutError:
    print("closed", "PIP_INDEX_URL" in os.environ)
"""


def install(name: str) -> str:
    """As `%pip install` in a notebook."""
    return f"get_ipython().run_line_magic('pip', 'install {name}')"


def wheel() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("greeting.py", "WORDS = 'good day'\n")
        archive.writestr("greeting-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
        archive.writestr(
            "greeting-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("greeting-1.0.dist-info/RECORD", "")
    return made.getvalue()


def filled() -> Object:
    """A folder for each project's files, as an index is (PEP 503)."""
    held = {"wheel": base64.b64encode(wheel()).decode()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "packages"}, "binaryData": held}


def server() -> Object:
    made = objects.pod("mirror")
    (container,) = made["spec"]["containers"]
    del container["args"]
    serve = ["-I", "-m", "http.server", str(objects.WEB), "--directory", "/srv"]
    container |= {"image": PYTHON_IMAGE, "command": ["/opt/tre/env/bin/python", *serve]}
    container["volumeMounts"] = [{"name": "packages", "mountPath": "/srv"}]
    items = [{"key": "wheel", "path": f"simple/greeting/{WHEEL}"}]
    made["spec"]["volumes"] = [{"name": "packages", "configMap": {"name": "packages", "items": items}}]
    return made


@pytest.fixture
def mirror(new_space: NewSpace) -> Space:
    space = new_space("mirror")
    space.apply(filled(), server(), objects.service("mirror", {objects.WEB: objects.WEB}))
    space("wait", "--for=condition=Ready", "--timeout=60s", "pod/mirror")
    return space


def test_a_project_that_may_installs_from_it_and_another_does_not_reach_it(
    release: Release, mirror: Space, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with researcher_on(release, tmp_path_factory.mktemp("stage")) as researcher:
        researcher.settle_in()
        release.upgrade(with_mirror(mirror, researcher.project))
        release.settle()
        researcher.open()
        said = researcher.says(install("greeting"))
        assert "Successfully installed greeting-1.0" in said, said
        words, place, last = researcher.says(INSTALLED).rsplit(maxsplit=2)
        assert words.endswith("good day")
        assert (place, last) == ("/home/researcher/packages/greeting.py", "/home/researcher/packages")
        assert researcher.says(BEHIND) == "True"
        said = researcher.says(install("absent"))
        assert "No matching distribution found for absent" in said, said
        other = another(release, researcher.stage)
        other.join()
        other.open()
        assert other.says(REACHED) == "closed False"


def with_mirror(space: Space, project: str) -> Object:
    own = {"namespace": space.name, "labels": {"app": "mirror"}, "port": objects.WEB, "projects": [project]}
    named = changed(VALUES, "projects.mirror", own | {"url": f"http://{HOST}:{objects.WEB}/simple/"})
    return changed(named, "dns.hosts", {HOST: space.service_address("mirror")})
