"""What an edge needs to call services: one object, built once per process.

Decides how the parts are wired. Every router takes it from `request.app.state.platform` through `platform_of`.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from tre.credentials import Secrets
from tre.credentials.uses import Sealer, SigningKey
from tre.outputs.content.bucket import in_bucket
from tre.outputs.content.folder import in_folder
from tre.outputs.content.store import ContentStore
from tre.settings import Settings
from tre.store import Database


@dataclass(frozen=True)
class Platform:
    settings: Settings
    db: Database
    secrets: Secrets
    content: ContentStore

    @property
    def sealer(self) -> Sealer:
        return Sealer(self.secrets)

    def signing_key(self, name: str) -> SigningKey:
        """`audit`, `release` or `intake`."""
        return SigningKey(self.secrets, name)


def build_platform(settings: Settings) -> Platform:
    """Connects lazily: nothing is asked of a server before the first request."""
    return Platform(
        settings,
        Database(settings.state_url("tre_app")),
        Secrets.from_settings(settings),
        content_store(settings),
    )


def content_store(settings: Settings) -> ContentStore:
    """In a bucket, or on one machine in a folder."""
    if settings.bucket is None:
        return in_folder(settings.content)
    return in_bucket(settings, settings.bucket)


def platform_of(request: Request) -> Platform:
    platform: Platform = request.app.state.platform
    return platform
