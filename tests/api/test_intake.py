"""A submission's bytes on their way from the intake: taken as they come, bounded, under the hash that is taken here."""

import os
from collections.abc import Iterator
from hashlib import sha256

import pytest

from tests.api.conftest import Api
from tre.api.auth import Client
from tre.api.intake import FILE_BYTES
from tre.door.upload import UploadLimits
from tre.workspaces.model import WorkspaceState


def send(api: Api, workspace: str, digest: str, content: bytes | Iterator[bytes]) -> tuple[int, dict]:
    path = f"/workspaces/{workspace}/requests/content/{digest}"
    answer = api.inside(Client.intake, "PUT", path, content=content)
    return answer.status_code, answer.json()


def nothing_is_left(api: Api) -> bool:
    store = api.platform.content
    return not list(store.digests()) and not os.listdir(store.spool.folder)


def test_what_is_larger_than_any_other_request_is_taken(api: Api):
    content = os.urandom(17 << 20)
    digest = sha256(content).hexdigest()
    workspace = api.desk.running()
    for _ in range(2):
        assert send(api, workspace, digest, content) == (201, {"digest": digest, "size": len(content)})
    assert api.platform.content.read(digest) == content
    assert os.listdir(api.platform.content.spool.folder) == []


def test_other_bytes_than_those_named_are_not_kept(api: Api):
    status, answer = send(api, api.desk.running(), sha256(b"hello").hexdigest(), b"hullo")
    assert (status, answer["error"]["field"]) == (422, "sha256")
    assert nothing_is_left(api)


def test_too_much_is_refused_while_it_comes(api: Api):
    assert UploadLimits().file_bytes == FILE_BYTES
    pieces = (bytes(1 << 20) for _ in range((FILE_BYTES >> 20) + 1))
    status, answer = send(api, api.desk.running(), "0" * 64, pieces)
    assert (status, answer["error"]["code"]) == (413, "file_too_large")
    assert nothing_is_left(api)


def test_a_workspace_that_has_ended_hands_in_nothing(api: Api):
    workspace = api.desk.running()
    api.desk.report(workspace, WorkspaceState.stopped)
    assert send(api, workspace, sha256(b"x").hexdigest(), b"x")[0] == 409
    assert send(api, "nobody's", sha256(b"x").hexdigest(), b"x")[0] == 404
    assert nothing_is_left(api)


@pytest.mark.parametrize("path", ["requests", "requests/content/x/y", "requests/content/", "traffic"])
def test_nothing_else_may_be_as_large(api: Api, path: str):
    answer = api.inside(Client.intake, "PUT", f"/workspaces/w/{path}", content=bytes((16 << 20) + 1))
    assert answer.status_code == 413
