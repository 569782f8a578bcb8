"""An intake token for real: signed by the secrets server, renewed in a running sandbox, and the old one ends."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.fixtures.workspaces import Desk
from tests.workspaces.conftest import make_plan
from tests.workspaces.test_keeper import sh
from tre.api.internal import token_maker
from tre.api.platform import Platform
from tre.credentials import Secrets
from tre.door import tokens
from tre.errors import Unauthenticated
from tre.outputs.content.folder import in_folder
from tre.settings import Settings
from tre.stack.steps import SandboxTokens
from tre.workspaces import controller, service
from tre.workspaces.runtime import SandboxRuntime
from tre.workspaces.service import TOKEN_FILE


def test_a_workspace_outlives_its_first_token(
    desk: Desk, secrets: Secrets, settings: Settings, runtime: SandboxRuntime, folder: Path
):
    make = token_maker(Platform(settings, desk.people.db, secrets, in_folder(folder / "content")))
    given = SandboxTokens(make, runtime)
    keys = tokens.load_public_keys(secrets.public_pems("intake").encode())
    workspace_id = desk.running()
    first = service.issue_token(desk.people.db, make, workspace_id)
    state = runtime.start(make_plan(folder, workspace_id, secrets={TOKEN_FILE: first}))
    seen = {first}
    for _ in range(10):
        now = desk.people.clock.advance(minutes=30)
        assert controller.converge(desk.people.db, desk.leases, [desk.sandboxes], given) == 0
        held = sh(runtime, state, f"cat /run/tre/{TOKEN_FILE}")
        assert tokens.verify(held, keys, workspace_id=workspace_id, now=now).workspace_id == workspace_id
        seen.add(held)
    assert len(seen) == 11
    with pytest.raises(Unauthenticated):
        tokens.verify(first, keys, workspace_id=workspace_id, now=desk.people.clock())
    # Nobody renews any more: an hour later the last one opens nothing either.
    with pytest.raises(Unauthenticated):
        tokens.verify(held, keys, workspace_id=workspace_id, now=desk.people.clock() + timedelta(hours=1))
