"""The Hub's whole configuration as one object, and the proxy's.

Decides what JupyterHub may do here: named servers only, no administrators, no tokens for people, strict re-checking of
accounts, cookies bound to this site, pages without script. Pure: places and secrets in, nested dicts out. `hub_config`
hands them to JupyterHub, `tre.stack` writes the proxy's file and starts the processes.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import toml  # type: ignore[import-untyped]

from tre.door.places import Places

TEMPLATES = Path(__file__).parent / "templates"
SIGNED_IN_DAYS = 0.5
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
#: What the guard may do with a workspace's token: say that it is used, let its owner in, end it.
SERVER_SCOPES = ["access:servers!server", "delete:servers!server", "users:activity!user"]


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
    places: Places, *, database_url: str, proxy_password: str, web_secret: str, secure: bool
) -> dict[str, dict[str, Any]]:
    """Class → trait → value, as JupyterHub's configuration takes it. `secure`: people come over HTTPS."""
    loopback = f"http://127.0.0.1:{places.hub_port}"
    return {
        "JupyterHub": {
            "bind_url": f"http://127.0.0.1:{places.public_port}",
            "hub_bind_url": loopback,
            "hub_connect_url": loopback,
            "db_url": database_url,
            "cookie_secret_file": str(places.secret("hub-cookie")),
            "cookie_max_age_days": SIGNED_IN_DAYS,
            "oauth_token_expires_in": int(SIGNED_IN_DAYS * 86400),
            "authenticator_class": "tre.door.authenticator.PeopleAuthenticator",
            "spawner_class": "tre.door.spawner.SandboxSpawner",
            "proxy_class": "traefik_file",
            "allow_named_servers": True,
            "default_url": "/hub/home",
            "cleanup_servers": False,
            "cleanup_proxy": False,
            "shutdown_on_logout": False,
            "redirect_to_server": False,
            "template_paths": [str(TEMPLATES)],
            "template_vars": {"tre_style": style()},
            "tornado_settings": {
                "headers": page_headers(),
                "cookie_options": {"samesite": "Lax", "secure": secure},
                "xsrf_cookie_kwargs": {"samesite": "Lax", "httponly": True, "secure": secure},
            },
            "load_roles": [
                {"name": "user", "description": "Their own workspaces", "scopes": USER_SCOPES},
                {"name": "server", "description": "What the guard may do for one workspace", "scopes": SERVER_SCOPES},
            ],
            "services": [
                {
                    "name": "tre",
                    "api_token": web_secret,
                    "oauth_client_id": WEB_CLIENT_ID,
                    "oauth_redirect_uri": WEB_REDIRECT,
                    "oauth_no_confirm": True,
                    "display": False,
                }
            ],
            "log_level": "INFO",
        },
        "Authenticator": {
            "allow_all": True,
            "admin_users": set(),
            "any_allow_config": True,
            "auth_refresh_age": 10,
            "auth_refresh_strict": True,
            "refresh_pre_spawn": True,
            "enable_auth_state": False,
        },
        "Spawner": {
            "server_token_scopes": SERVER_SCOPES,
            "poll_interval": 5,
            "start_timeout": 120,
            "http_timeout": 30,
            "consecutive_failure_limit": 0,
            "default_url": "/lab",
        },
        "TraefikFileProviderProxy": {
            "should_start": False,
            "dynamic_config_file": str(places.traefik_rules),
            "traefik_api_url": f"http://127.0.0.1:{places.traefik_api_port}",
            "traefik_api_username": "jupyterhub",
            "traefik_api_password": proxy_password,
            "extra_dynamic_config": web_route(places.web_url),
        },
    }


def web_route(url: str) -> dict[str, Any]:
    """Traefik's rule for the control plane's pages and API, beside the Hub's own rules."""
    router = {"rule": "PathPrefix(`/tre/`) || Path(`/tre`)", "service": "tre-web", "entryPoints": ["http"]}
    service = {"loadBalancer": {"servers": [{"url": url}], "passHostHeader": True}}
    return {"http": {"routers": {"tre-web": router}, "services": {"tre-web": service}}}


def traefik_static(places: Places) -> dict[str, Any]:
    """Traefik's static configuration: one port for people, its API on another, both on loopback, one rules file.

    Of the encoded characters only those that file names need pass (`#`, `%`, `;`, `?`); the guard decides on them.
    """
    allowed = ("allowEncodedHash", "allowEncodedPercent", "allowEncodedQuestionMark", "allowEncodedSemicolon")
    people = {
        "address": f"127.0.0.1:{places.public_port}",
        "http": {"encodedCharacters": dict.fromkeys(allowed, True)},
        "transport": {"respondingTimeouts": {"readTimeout": "300s", "idleTimeout": "180s"}},
    }
    return {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "api": {"dashboard": False},
        "log": {"level": "WARN"},
        "entryPoints": {"http": people, "auth_api": {"address": f"127.0.0.1:{places.traefik_api_port}"}},
        "providers": {
            "providersThrottleDuration": "0s",
            "file": {"filename": str(places.traefik_rules), "watch": True},
        },
    }


def write_traefik_static(places: Places) -> list[str]:
    """Write the proxy's file, with an empty rules file where there is none, and return the command that starts it."""
    places.traefik_static.write_text(toml.dumps(traefik_static(places)))
    if not places.traefik_rules.exists():
        places.traefik_rules.touch(mode=0o600)
    return ["traefik", f"--configfile={places.traefik_static}"]
