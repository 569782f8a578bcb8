"""Traefik's configuration: what it listens on, the rules that are ours, and what it says itself.

Decides that the proxy never answers bare: every answer carries the headers that hold for all, and where a part behind
it does not answer, a page of ours says so. Whether people come over HTTPS is for the installation to say: TLS ends
before our proxy, which strips what a request says of its own scheme, and tells the parts behind it, whose cookies
depend on it. Pure, but for `write_traefik_static`. The Hub adds its own rules beside ours; `tre.stack` starts the
process.
"""

from __future__ import annotations

import os
from typing import Any

import toml  # type: ignore[import-untyped]

from tre.door.places import Places

#: Of the page that says that a part does not answer. It is below the pages' own prefix.
AWAY = "/tre/away"
NOBODY = "/tre/nothing-here"
#: What every part sets itself with these values; here for the answers that are the proxy's own.
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def told(*, https: bool) -> dict[str, Any]:
    """The middleware that every request passes: what answers carry, and what parts behind the proxy hear."""
    scheme = {"customRequestHeaders": {"X-Forwarded-Proto": "https"}} if https else {}
    return {"headers": {"customResponseHeaders": HEADERS, **scheme}}


def rules(web_url: str, *, https: bool = False) -> dict[str, Any]:
    """Routers, services and middlewares beside the Hub's: the control plane's pages and API, and the proxy's own words.

    A part's own 503 passes; 502 and 504 are the proxy's.
    """
    everybody = {"service": "tre-web", "entryPoints": ["http"]}
    return {
        "http": {
            "routers": {
                "tre-web": {"rule": "PathPrefix(`/tre/`) || Path(`/tre`)", **everybody},
                # Only while the Hub has no rule yet; its own takes everything else.
                "tre-nobody": {"rule": "PathPrefix(`/`)", "priority": 1, "middlewares": ["tre-nobody"], **everybody},
            },
            "services": {"tre-web": {"loadBalancer": {"servers": [{"url": web_url}], "passHostHeader": True}}},
            "middlewares": {
                "tre-headers": told(https=https),
                "tre-away": {"errors": {"status": ["502", "504"], "service": "tre-web", "query": AWAY}},
                "tre-nobody": {"replacePath": {"path": NOBODY}},
            },
        }
    }


def traefik_static(places: Places) -> dict[str, Any]:
    """Traefik's static configuration: one port for people, its API on another, both on loopback, one rules file.

    Of the encoded characters only those that file names need pass (`#`, `%`, `;`, `?`); the guard decides on them.
    """
    allowed = ("allowEncodedHash", "allowEncodedPercent", "allowEncodedQuestionMark", "allowEncodedSemicolon")
    people = {
        "address": f"{places.listen}:{places.public_port}",
        "http": {
            "encodedCharacters": dict.fromkeys(allowed, True),
            "middlewares": ["tre-headers@file", "tre-away@file"],
        },
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
    """Write the proxy's file, with our own rules where there are none yet, and return the command that starts it."""
    https = os.environ.get("TRE_HTTPS") == "1"
    places.traefik_static.write_text(toml.dumps(traefik_static(places)))
    if not places.traefik_rules.exists():
        places.traefik_rules.touch(mode=0o600)
        places.traefik_rules.write_text(toml.dumps(rules(places.web_url, https=https)))
    there = toml.loads(places.traefik_rules.read_text())
    # The Hub's rules are beside it, so nothing else is touched.
    middlewares = there.get("http", {}).get("middlewares", {})
    if middlewares.get("tre-headers", told(https=https)) != told(https=https):
        middlewares["tre-headers"] = told(https=https)
        places.traefik_rules.write_text(toml.dumps(there))
    return ["traefik", f"--configfile={places.traefik_static}"]
