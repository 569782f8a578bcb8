"""Ten thousand ways to write an address that is not on the guard's list."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

#: Stands in an address for the name of a file or folder that was laid there.
TRAP = "TRAP"

#: What a bare Jupyter server gives files out by, below a workspace's base URL.
ADDRESSES: dict[str, tuple[str, ...]] = {
    "files": ("files/TRAP.txt", "files/TRAP.txt?download=1", "static/../files/TRAP.txt"),
    "nbconvert": ("nbconvert/script/TRAP.ipynb?download=true", "nbconvert/html/TRAP.ipynb"),
    "view": ("view/TRAP.txt",),
    # The second is there where nothing was laid.
    "kernelspecs": ("kernelspecs/TRAP/TRAP.txt", "kernelspecs/python3/kernel.json"),
    "lab-extensions": ("lab/extensions/TRAP/TRAP.txt", "lab/api/extensions", "lab/api/plugins"),
    "proxy": ("proxy/8080/TRAP.txt",),
    "terminals": ("api/terminals", "terminals/websocket/1"),
    "other-handlers": ("api/spec.yaml", "metrics", "api/events/subscribe/x", "custom/custom.css", "login"),
}

#: Admitted prefixes from which somebody may try to climb down.
LADDERS = ("", "api/contents/", "lab/tree/", "static/lab/", "api/kernels/", "lab/api/settings/", "lab/api/themes/")
CLIMBS = (
    "../",
    "..%2f",
    "%2e%2e/",
    "%2E%2e%2F",
    "..%5c",
    "..\\",
    "..;/",
    "%252e%252e/",
    ".%2e/",
    "..%00/",
    "%c0%ae%c0%ae/",
)
WIDE = {".": "．", "/": "／", "\\": "＼"}


def percent(character: str, rng: random.Random) -> str:
    code = f"{ord(character):02x}"
    return "%" + (code.upper() if rng.random() < 0.5 else code)


def encode_some(path: str, rng: random.Random, share: float) -> str:
    return "".join(percent(c, rng) if rng.random() < share else c for c in path)


def utf8(character: str) -> str:
    return "".join(f"%{byte:02x}" for byte in character.encode())


def mutate(path: str, rng: random.Random) -> str:
    """One spelling of `path`; its query, if any, stays."""
    path, mark, query = path.partition("?")
    for _ in range(rng.randint(1, 3)):
        match rng.randrange(12):
            case 0:
                path = encode_some(path, rng, rng.choice((0.05, 0.3, 1.0)))
            case 1:
                path = encode_some(path, rng, 0.2).replace("%", "%25")
            case 2:
                path = "".join(c.upper() if rng.random() < 0.4 else c for c in path)
            case 3:
                path = path.replace("/", rng.choice(("//", "/./", "/%2e/", "/x/../", "/%2f", "///")), 1)
            case 4:
                path = path.replace("/", rng.choice(("%2f", "%2F", "\\", "%5c", "%252f")))
            case 5:
                path = path.replace("/", rng.choice((";/", ";x=y/", "%3b/", ";../")), 1)
            case 6:
                path += rng.choice(("%00", "%00.json", "/", "/.", "/..", "%20", "%0a", "#x", "%23", "?", ";", ".json"))
            case 7:
                ladder = rng.choice(LADDERS)
                path = ladder + rng.choice(CLIMBS) * max(1, ladder.count("/")) + path
            case 8:
                path = path.replace("/", utf8(WIDE["/"]), 1)
            case 9:
                path = utf8(WIDE["."]) * 2 + "/" + path
            case 10:
                path = rng.choice(("/", "./", "%2e/", "x/../", "%2f", "\\", "lab/../", "~/", "%09", "%7f")) + path
            case 11:
                spot = rng.randrange(len(path) + 1)
                path = (
                    path[:spot] + rng.choice(("%e2%80%8b", "%ef%bb%bf", "%cc%80", "%ff", "%c3", "\x80")) + path[spot:]
                )
    return path + mark + query


def spellings(addresses: Sequence[str], count: int, seed: int) -> Iterator[str]:
    """`count` different ones, the plain addresses first."""
    rng = random.Random(seed)  # noqa: S311
    seen = set(addresses)
    yield from addresses
    while len(seen) < count:
        found = mutate(rng.choice(addresses), rng)
        if found not in seen:
            seen.add(found)
            yield found
