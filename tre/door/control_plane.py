"""How the Hub's own parts (sign-in, pages, spawner) ask the control plane, and how its refusals reach a person.

Decides nothing: one client for the whole process, and the Hub's form of an error in words.
"""

from __future__ import annotations

from tornado import web

from tre.door.internal_api import InternalApi, read_secret
from tre.door.places import Places
from tre.settings import Settings


def internal_api() -> InternalApi:
    """The Hub process's one client of the internal API."""
    global _api
    if _api is None:
        places = Places(Settings.load())
        _api = InternalApi(places.internal, read_secret(places.secret("internal-hub.token")))
    return _api


_api: InternalApi | None = None


def refused(status: int, message: str) -> web.HTTPError:
    """An error whose words reach the person: JupyterHub shows `jupyterhub_message`."""
    error = web.HTTPError(status if status in {401, 403, 413, 422, 429, 503} else 403)
    error.jupyterhub_message = message  # type: ignore[attr-defined]
    return error
