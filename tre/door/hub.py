"""The Hub's whole configuration as one object.

Decides what JupyterHub may do here: named servers only, no administrators, no tokens for people, strict re-checking of
accounts, cookies bound to this site, pages without script. Pure: places and secrets in, nested dicts out. `hub_config`
hands them to JupyterHub; the proxy's own configuration is in `proxy`.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from pathlib import Path
from typing import Any

from tre.door.places import Places
from tre.door.proxy import rules

TEMPLATES = Path(__file__).parent / "templates"
SIGNED_IN_DAYS = 0.5
PEOPLE = "tre.door.authenticator.PeopleAuthenticator"
IDENTITIES = "tre.door.oidc.authenticator.IdentityAuthenticator"
WEB_CLIENT_ID = "service-tre"
WEB_REDIRECT = "/tre/oauth_callback"

#: What a person may do at the Hub: start, stop and open their own workspaces, and be told apart. No tokens, no users.
USER_SCOPES = [
    "access:servers!user",
    "access:services!service=tre",
    "delete:servers!user",
    "read:users:groups!user",
    "read:users:name!user",
    "servers!user",
    "users:activity!user",
]
#: What the guard may do with a workspace's token: say that it is used, let its owner in.
SERVER_SCOPES = ["access:servers!server", "users:activity!user"]


def style() -> str:
    return (TEMPLATES / "style.css").read_text()


def page_headers() -> dict[str, str]:
    """Headers of all Hub pages: no script at all, one style sheet known by its hash, no framing, forms to us only."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'sha256-{digest}'; img-src 'self'; form-action 'self'; base-uri 'none'; "
            "frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Server": "tre",
    }


def hub_settings(
    places: Places, *, database_url: str, proxy_password: str, web_secret: str, secure: bool, crypt_key: str = ""
) -> dict[str, dict[str, Any]]:
    """Class → trait → value, as JupyterHub's configuration takes it. `secure`: people come over HTTPS. `crypt_key` is
    for what an identity provider gives to ask it again with, and only there where one is.
    """
    provider = places.settings.identity_provider
    return {
        "JupyterHub": {
            **addresses(places),
            **ways(on_cluster=places.settings.cluster is not None, by_identity=provider is not None),
            **pages(secure=secure),
            "db_url": database_url,
            "cookie_secret_file": str(places.secret("hub-cookie")),
            "cookie_max_age_days": SIGNED_IN_DAYS,
            "oauth_token_expires_in": int(SIGNED_IN_DAYS * 86400),
            "load_roles": roles(),
            "services": [web_service(web_secret)],
            "log_level": "INFO",
        },
        "Authenticator": {
            "allow_all": True,
            "admin_users": set(),
            "any_allow_config": True,
            "auth_refresh_age": 10,
            "auth_refresh_strict": True,
            "refresh_pre_spawn": True,
            "enable_auth_state": provider is not None,
        },
        **({"CryptKeeper": {"keys": [crypt_key]}} if provider else {}),
        "Spawner": {
            "server_token_scopes": SERVER_SCOPES,
            "poll_interval": 5,
            "start_timeout": 120,
            "http_timeout": 30,
            "consecutive_failure_limit": 0,
            "default_url": "/lab",
        },
        **({} if places.settings.cluster else {"TraefikFileProviderProxy": proxy_settings(places, proxy_password)}),
    }


def tells_no_session(record: logging.LogRecord) -> bool:
    """False for what the Hub says of every new cross-site token: it holds the value of the person's session cookie."""
    return record.module != "_xsrf_utils" or record.levelno >= logging.WARNING


def addresses(places: Places) -> dict[str, str]:
    return {
        "bind_url": f"http://{places.listen}:{places.public_port}",
        "hub_bind_url": f"http://{places.listen}:{places.hub_port}",
        "hub_connect_url": f"http://{places.host('hub')}:{places.hub_port}",
    }


def ways(*, on_cluster: bool, by_identity: bool) -> dict[str, Any]:
    """Ours in place of the Hub's own; workspaces outlive the Hub and a sign-out. On a cluster they are pods, and the
    proxy knows its rules.
    """
    return {
        "authenticator_class": IDENTITIES if by_identity else PEOPLE,
        "spawner_class": f"tre.door.{'pod_spawner.PodSpawner' if on_cluster else 'spawner.SandboxSpawner'}",
        "proxy_class": "tre.door.fixed_proxy.FixedProxy" if on_cluster else "traefik_file",
        "allow_named_servers": True,
        "default_url": "/hub/home",
        "cleanup_servers": False,
        "cleanup_proxy": False,
        "shutdown_on_logout": False,
        "redirect_to_server": False,
    }


def pages(*, secure: bool) -> dict[str, Any]:
    return {
        "template_paths": [str(TEMPLATES)],
        "template_vars": {"tre_style": style()},
        "tornado_settings": {
            "headers": page_headers(),
            "cookie_options": {"samesite": "Lax", "secure": secure},
            "xsrf_cookie_kwargs": {"samesite": "Lax", "httponly": True, "secure": secure},
        },
    }


def roles() -> list[dict[str, Any]]:
    return [
        {"name": "user", "description": "Their own workspaces", "scopes": USER_SCOPES},
        {"name": "server", "description": "What the guard may do for one workspace", "scopes": SERVER_SCOPES},
    ]


def web_service(secret: str) -> dict[str, Any]:
    """The control plane's pages: they ask the Hub who signed in."""
    return {
        "name": "tre",
        "api_token": secret,
        "oauth_client_id": WEB_CLIENT_ID,
        "oauth_redirect_uri": WEB_REDIRECT,
        "oauth_no_confirm": True,
        "display": False,
    }


def proxy_settings(places: Places, password: str) -> dict[str, Any]:
    return {
        "should_start": False,
        "dynamic_config_file": str(places.traefik_rules),
        "traefik_api_url": f"http://127.0.0.1:{places.traefik_api_port}",
        "traefik_api_username": "jupyterhub",
        "traefik_api_password": password,
        "extra_dynamic_config": rules(places.web_url),
    }
