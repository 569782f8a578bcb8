"""What is in a PNG beside its picture: nothing, or it is refused.

Decides which chunks a picture needs. Text, profiles, EXIF, thumbnails, frames of an animation, bytes behind the
end, scan lines behind the last and transparent pixels could all carry data that nobody sees. Leaves judging the
picture to people.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

from output_checks.errors import Unreadable

if TYPE_CHECKING:
    import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SIZES = {b"IHDR": 13, b"gAMA": 4, b"sRGB": 1, b"pHYs": 9, b"cHRM": 32, b"IEND": 0}
NEEDED = frozenset({*SIZES, b"IDAT", b"PLTE"})
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
MAX_BYTES = 16 * 2**20
MAX_PIXELS = 40_000_000
AGAIN = "Save it again without metadata: figure.savefig(name, metadata={'Software': None})."


def chunks(raw: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a PNG as (type, data). Raises Unreadable for one that no picture needs or that is damaged."""
    if len(raw) > MAX_BYTES or not raw.startswith(SIGNATURE):
        raise _refused("the file is no PNG, or too large")
    out: list[tuple[bytes, bytes]] = []
    at = len(SIGNATURE)
    while at < len(raw):
        if len(raw) - at < 12:
            raise _refused("the file goes on behind its end")
        (size,) = struct.unpack(">I", raw[at : at + 4])
        kind, data = raw[at + 4 : at + 8], raw[at + 8 : at + 8 + size]
        (crc,) = struct.unpack(">I", raw[at + 8 + size : at + 12 + size] or b"\0\0\0\0")
        if len(data) != size or zlib.crc32(kind + data) != crc:
            raise _refused("the file is damaged")
        if kind not in NEEDED or SIZES.get(kind, size) != size:
            raise _refused(f"the picture carries a chunk {kind.decode('ascii', 'replace')}")
        if out and out[-1][0] == b"IEND":
            raise _refused("the file goes on behind its end")
        out.append((kind, data))
        at += 12 + size
    kinds = [kind for kind, _ in out]
    if kinds[:1] != [b"IHDR"] or kinds[-1:] != [b"IEND"] or any(kinds.count(k) > 1 for k in NEEDED - {b"IDAT"}):
        raise _refused("the chunks are not those of one picture")
    return out


def read_png(raw: bytes) -> np.ndarray:
    """The pixels (height × width × 3, 0 to 255). Raises Unreadable for anything that could carry more than them."""
    import numpy as np
    from PIL import Image

    found = chunks(raw)
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", found[0][1])
    if colour not in CHANNELS or rest != [0, 0, 0] or not 0 < width * height <= MAX_PIXELS:
        raise _refused("the picture is interlaced, too large or of an unknown kind")
    stride = (width * depth * CHANNELS[colour] + 7) // 8 + 1
    unpack = zlib.decompressobj()
    try:
        lines = unpack.decompress(b"".join(data for kind, data in found if kind == b"IDAT"), stride * height + 1)
    except zlib.error:
        raise _refused("the file is damaged") from None
    if len(lines) != stride * height or not unpack.eof or unpack.unused_data:
        raise _refused("the picture holds more or fewer lines than it shows")
    with Image.open(io.BytesIO(raw)) as picture:
        pixels = np.asarray(picture.convert("RGBA"))
    if (pixels[:, :, 3] != 255).any():
        raise _refused("the picture has transparent pixels")
    return pixels[:, :, :3]


def _refused(why: str) -> Unreadable:
    return Unreadable(f"{why}.", field="figure", remedy=AGAIN)
