"""The platform's signing keys over HTTP: which there are, and a new version of one. They never leave the secrets
server; what an older version signed stays good.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from tre.api.auth import CurrentActor, PlatformHere
from tre.api.body import Body, Text
from tre.api.platform import Platform
from tre.audit import use_case
from tre.credentials.policies import SIGNING_KEYS
from tre.errors import NotFound
from tre.people.model import Role
from tre.people.rules import check_can_read_everything, check_role

router = APIRouter(tags=["keys"])
PURPOSE = {
    "audit": "signs the heads of the audit record",
    "release": "signs release crates",
    "intake": "signs the tokens by which workspaces submit",
}


class Rotation(Body):
    reason: Text


def view(platform: Platform, name: str) -> dict[str, Any]:
    return {
        "key": name,
        "purpose": PURPOSE[name],
        "version": max(platform.secrets.public_keys(name)),
        "public_key": platform.signing_key(name).public_key(),
    }


@router.get("/keys")
def keys(platform: PlatformHere, actor: CurrentActor) -> list[dict[str, Any]]:
    check_can_read_everything(actor)
    return [view(platform, name) for name in SIGNING_KEYS]


@router.post("/keys/{name}/rotate")
def rotate(name: str, body: Rotation, platform: PlatformHere, actor: CurrentActor) -> dict[str, Any]:
    """Whoever keeps the public key elsewhere needs it again: `public_key` has every version."""
    with use_case(platform.db, actor, "key.rotate", f"key:{name}") as case:
        check_role(actor, Role.administrator)
        if name not in SIGNING_KEYS:
            raise NotFound(f"There is no key {name}.", field="key", hint=f"There are {', '.join(SIGNING_KEYS)}.")
        case.note(version=platform.secrets.rotate(name), reason=body.reason)
    return view(platform, name)
