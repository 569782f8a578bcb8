"""`jupyterhub -f tre/door/hub_config.py`: reads places and secrets, hands `tre.door.hub`'s object to JupyterHub."""

import logging
import os

from tre.door.hub import hub_settings, tells_no_session
from tre.door.internal_api import read_secret
from tre.door.places import Places
from tre.settings import Settings

logging.getLogger("tornado.application").addFilter(tells_no_session)
places = Places(Settings.load())
config = get_config()  # type: ignore[name-defined]  # noqa: F821
for kind, traits in hub_settings(
    places,
    database_url=read_secret(places.hub_database_url),
    proxy_password="" if places.settings.cluster else read_secret(places.secret("traefik-api.password")),
    web_secret=read_secret(places.secret("tre-web.secret")),
    crypt_key=read_secret(places.secret("hub-crypt-key")) if places.settings.identity_provider else "",
    secure=os.environ.get("TRE_HTTPS") == "1",
).items():
    for name, value in traits.items():
        setattr(config[kind], name, value)
