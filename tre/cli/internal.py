"""The internal API for commands that run on the machine itself, as the platform's own user."""

from __future__ import annotations

from typing import Any

from tre.errors import Unavailable, error_of
from tre.settings import Settings


def internal_call(method: str, path: str, body: Any = None) -> Any:
    """Raises `Unavailable` when the control plane of this machine cannot be reached, else what it raised."""
    import httpx

    settings = Settings.load()
    try:
        token = settings.secret_file("internal-machine.token").read_text().strip()
        transport = httpx.HTTPTransport(uds=str(settings.internal_socket))
        with httpx.Client(transport=transport, base_url="http://internal", timeout=60) as client:
            response = client.request(method, path, json=body, headers={"Authorization": f"Bearer {token}"})
    except (OSError, httpx.HTTPError) as error:
        raise Unavailable(
            "The control plane on this machine cannot be reached.", hint="Run this as the user who runs `tre up`."
        ) from error
    if response.is_success:
        return response.json()
    raise error_of(response.status_code, response.json())
