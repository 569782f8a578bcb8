"""The internal API for commands that run beside it: on the machine as the platform's own user, or in its pod."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tre.door.places import Places
from tre.errors import Unavailable, error_of
from tre.settings import Settings


def internal_call(method: str, path: str, body: Any = None) -> Any:
    """Raises `Unavailable` when the control plane of this machine cannot be reached, else what it raised."""
    import httpx

    settings = Settings.load()
    try:
        token = settings.secret_file("internal-machine.token").read_text().strip()
        address = Places(settings).internal
        transport = httpx.HTTPTransport(uds=str(address) if isinstance(address, Path) else None)
        base = "http://internal" if isinstance(address, Path) else address
        with httpx.Client(transport=transport, base_url=base, timeout=60) as client:
            response = client.request(method, path, json=body, headers={"Authorization": f"Bearer {token}"})
    except (OSError, httpx.HTTPError) as error:
        raise Unavailable(
            "The control plane on this machine cannot be reached.", hint="Run this as the user who runs `tre up`."
        ) from error
    if response.is_success:
        return response.json()
    raise error_of(response.status_code, response.json())
