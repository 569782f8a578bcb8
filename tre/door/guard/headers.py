"""Every header that passes the guard, in both directions.

Decides whole header sets: what a browser gets with Lab's pages, static files, API answers and refusals, and what the
workspace's Jupyter server gets. Nothing is copied from one side to the other except where it is named here, so a
Content-Disposition, Set-Cookie, Server or Content-Security-Policy from a workspace has no way through.
"""

from __future__ import annotations

import re
from functools import lru_cache

ORIGIN = re.compile(r"[A-Za-z0-9.\-\[\]:]{1,255}")

CLOSED_FEATURES = (
    "accelerometer",
    "autoplay",
    "camera",
    "clipboard-read",
    "clipboard-write",
    "display-capture",
    "encrypted-media",
    "fullscreen",
    "geolocation",
    "gyroscope",
    "hid",
    "idle-detection",
    "local-fonts",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "picture-in-picture",
    "publickey-credentials-get",
    "screen-wake-lock",
    "serial",
    "storage-access",
    "usb",
    "window-management",
    "xr-spatial-tracking",
)

#: What Lab may do in the browser. No allow-popups, allow-downloads or allow-top-navigation-by-user-activation.
SANDBOX = "sandbox allow-scripts allow-same-origin allow-forms allow-modals"

COMMON = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "X-DNS-Prefetch-Control": "off",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Permitted-Cross-Domain-Policies": "none",
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in CLOSED_FEATURES),
    "Server": "tre",
}


@lru_cache(64)
def is_host(text: str) -> bool:
    """Whether a Host header is a plain host with an optional port: it becomes part of a policy."""
    return ORIGIN.fullmatch(text) is not None


def content_security_policy(*, scheme: str, host: str, base_url: str) -> str:
    """Lab's policy: everything comes from, and goes to, this one workspace's own path.

    A path in a source expression binds requests to it (CSP level 3, 6.7.2.12): script in one project's notebook reaches
    neither another project's workspace nor the Hub. 'unsafe-eval': Lab compiles settings validators; 'unsafe-inline':
    Lab's index page and outputs. What a policy cannot stop is in the threat model.
    """
    here = f"{scheme}://{host}{base_url}"
    socket = f"{'wss' if scheme == 'https' else 'ws'}://{host}{base_url}"
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {here}static/ 'unsafe-inline' 'unsafe-eval' blob:",
            f"style-src {here} 'unsafe-inline'",
            f"img-src {here} data: blob:",
            f"font-src {here} data:",
            f"connect-src {here} {socket} data: blob:",
            f"worker-src {here}static/ blob:",
            "frame-src blob: data:",
            "media-src data: blob:",
            "manifest-src 'none'",
            "object-src 'none'",
            f"form-action {here}",
            f"base-uri {here}",
            "frame-ancestors 'none'",
            SANDBOX,
        )
    )


CLOSED_POLICY = "default-src 'none'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'; sandbox"


def api_headers() -> dict[str, str]:
    """Answers that are data: never rendered, never stored, whatever the workspace called them."""
    return COMMON | {
        "Content-Type": "application/json",
        "Content-Security-Policy": CLOSED_POLICY,
        "Cache-Control": "no-store",
    }


def page_headers(*, scheme: str, host: str, base_url: str) -> dict[str, str]:
    """Lab's index page."""
    policy = content_security_policy(scheme=scheme, host=host, base_url=base_url)
    return COMMON | {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
    }


def static_headers(*, scheme: str, host: str, base_url: str, media_type: str, hashed: bool) -> dict[str, str]:
    """The guard's own files. A worker takes its policy from the script it was loaded from, so they carry Lab's.

    `hashed`: the file's name contains a hash of its content, so that it never changes.
    """
    policy = content_security_policy(scheme=scheme, host=host, base_url=base_url)
    return COMMON | {
        "Content-Type": media_type,
        "Content-Security-Policy": policy,
        "Cache-Control": "private, max-age=31536000, immutable" if hashed else "private, no-cache",
    }


def refusal_headers() -> dict[str, str]:
    """Error pages and redirects of the guard itself: HTML without script, style or form."""
    return COMMON | {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": CLOSED_POLICY,
        "Cache-Control": "no-store",
    }


def upstream_head(*, method: str, target: str, token: str, length: int | None, has_json: bool = True) -> bytes:
    """The whole request head for the workspace's Jupyter server. `length`: bytes of the body, None without one."""
    framing = "" if length is None else f"Content-Length: {length}\r\n"
    if has_json and length:
        framing += "Content-Type: application/json\r\n"
    return (
        f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: token {token}\r\n"
        f"Accept: application/json\r\nAccept-Encoding: identity\r\n{framing}\r\n"
    ).encode("ascii")


def upgrade_head(*, target: str, token: str, key: str, subprotocol: str) -> bytes:
    """The websocket handshake for the workspace's Jupyter server. No extensions: frames pass as they are."""
    lines = [
        f"GET {target} HTTP/1.1",
        "Host: localhost",
        f"Authorization: token {token}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
    ]
    if subprotocol:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
