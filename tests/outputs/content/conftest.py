"""The same store on each shelf."""

from pathlib import Path

import pytest

from tests.fixtures.object_storage import needs_storage
from tests.outputs.content.shelves import Shelved
from tre.outputs.content.folder import in_folder


@pytest.fixture(params=["folder", pytest.param("bucket", marks=needs_storage)])
def shelved(request: pytest.FixtureRequest, tmp_path: Path) -> Shelved:
    if request.param == "folder":
        root = tmp_path / "content"
        made = lambda: in_folder(root, reserve_bytes=0)  # noqa: E731
        return Shelved(made(), made, lambda digest: root / digest[:2] / digest)
    server, settings = request.getfixturevalue("object_storage"), request.getfixturevalue("bucket_settings")
    return Shelved(server.store(settings), lambda: server.store(settings), server.file, server)
