"""What every page tells the browser, and what it must tell us: response headers and the origin of a request.

Pure functions and the one middleware that applies them. Workspaces share the platform's host, so a page must hold
against scripts that run below `/user/` in the same origin: no page may be framed, fetched by a script or reached
through an opener.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tre.errors import Forbidden

SAFE_METHODS = frozenset({"GET", "HEAD"})
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
ANSWER_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    # A window that a workspace's script opened onto a page loses its handle on it (HTML, section 7.1.3).
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Headers:
    """Puts the headers on every answer of the pages, errors included. A header that a page set itself stays."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                added = [(name.encode(), value.encode()) for name, value in ANSWER_HEADERS.items()]
                message["headers"] = [*message["headers"], *(pair for pair in added if pair[0] not in present)]
            await send(message)

        await self.app(scope, receive, with_headers)


def check_origin(method: str, headers: Mapping[str, str]) -> None:
    """Raises `Forbidden` unless a person navigated here, and for a change, from one of our own pages.

    `Sec-Fetch-*` (W3C Fetch Metadata) cannot be set by scripts. A browser that does not send them must name our own
    origin for a change; our pages send no referrer, so an origin of "null" proves nothing.
    """
    site, mode = headers.get("sec-fetch-site"), headers.get("sec-fetch-mode")
    if mode is not None and mode != "navigate":
        raise Forbidden("Pages are opened by people, not by scripts.", code="cross_site")
    if headers.get("sec-fetch-dest", "document") != "document":
        raise Forbidden("Pages are not shown inside other pages.", code="cross_site")
    if method in SAFE_METHODS:
        return
    same = site == "same-origin" if site is not None else _is_own_origin(headers)
    if not same:
        raise Forbidden(
            "This form was not sent from one of our own pages.",
            hint="Open the page again and send the form from there.",
            code="cross_site",
        )


def check_picture_origin(headers: Mapping[str, str]) -> None:
    """Raises `Forbidden` for a picture that a script fetches or another site shows. Which page of ours shows it is
    proven by the key in its address.
    """
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("Pictures are shown on our own pages only.", code="cross_site")
    if headers.get("sec-fetch-dest", "image") not in ("image", "document"):
        raise Forbidden("Pictures are looked at by people, not by scripts.", code="cross_site")


def _is_own_origin(headers: Mapping[str, str]) -> bool:
    origin = urlsplit(headers.get("origin", ""))
    return origin.scheme in ("http", "https") and bool(origin.netloc) and origin.netloc == headers.get("host")


def is_https(scheme: str, headers: Mapping[str, str]) -> bool:
    """Whether the browser reached the proxy over TLS. A forged answer only makes a cookie stricter."""
    return scheme == "https" or headers.get("x-forwarded-proto", "").split(",")[0].strip() == "https"
