"""PNG images: a clean picture for reviewers, and what else the file holds.

Reviewers see pixels; released are the author's bytes. So whatever a PNG holds beside its pixels blocks it, but for a
few harmless words. What the pixels themselves hide (least significant bits) no program can rule out.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from .kinds import PNG, Finding, finding

MAX_PIXELS = 40_000_000
# Needed for the picture, or a few bytes with a fixed meaning.
PLAIN_CHUNKS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"pHYs", b"gAMA", b"cHRM", b"sRGB", b"bKGD", b"sBIT"}
MAX_CHUNK = {b"tRNS": 256, b"pHYs": 9, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"bKGD": 6, b"sBIT": 4}
# What matplotlib writes of itself.
SOFTWARE = re.compile(rb"Software\0(Matplotlib version ?\d+(\.\d+)*(, https://matplotlib\.org/)?)")
SAVE_AGAIN = "Save it again without metadata: figure.savefig(name, metadata={'Software': None})."


def inspect_png(content: bytes) -> tuple[bytes | None, list[Finding]]:
    """The picture rendered anew on white, without metadata; None when it cannot be decoded."""
    try:
        found = _chunk_findings(content)
        preview, seen = _render(content)
    except Exception as error:  # whatever a decoder stumbles over: not readable means not releasable
        return None, [finding("unreadable", f"The image cannot be decoded ({type(error).__name__}).", "Save it again.")]
    return preview, [*found, *seen]


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and data of each chunk; raises ValueError for a broken one. What follows IEND comes as type b''."""
    place = len(PNG)
    while place < len(content):
        length, name = struct.unpack(">I4s", content[place : place + 8])
        data = content[place + 8 : place + 8 + length]
        (sum_of,) = struct.unpack(">I", content[place + 8 + length : place + 12 + length])
        if len(data) != length or zlib.crc32(name + data) != sum_of:
            raise ValueError("broken chunk")
        yield name, data
        place += 12 + length
        if name == b"IEND":
            yield b"", content[place:]
            return
    raise ValueError("no end")


def _chunk_findings(content: bytes) -> list[Finding]:
    found, pixels = [], zlib.decompressobj()
    size, limit = 0, 8 * MAX_PIXELS + (1 << 20)
    for name, data in _chunks(content):
        if name == b"IDAT":
            size += len(pixels.decompress(data, limit - size))
            if pixels.unconsumed_tail or size >= limit:
                raise ValueError("too large")
        elif name == b"":
            if data:
                found.append(_hidden(f"{len(data)} bytes follow the end of the image.", "trailing_data"))
        elif name not in PLAIN_CHUNKS or len(data) > MAX_CHUNK.get(name, len(data)):
            found += _about_chunk(name, data)
    if pixels.unused_data or not pixels.eof:
        found.append(_hidden("The image data hold more than the pixels.", "trailing_data"))
    if size != _expected_size(content):
        found.append(_hidden("The image data do not fit the size of the image.", "trailing_data"))
    return found


def _about_chunk(name: bytes, data: bytes) -> list[Finding]:
    shown = name.decode("ascii", "replace")
    if name == b"tEXt" and SOFTWARE.fullmatch(data):
        message = "The file names the program that made it."
        return [finding("image_metadata", message, SAVE_AGAIN, "note", chunk=shown)]
    return [_hidden(f"The file holds a part {shown!r} of {len(data)} bytes that no reviewer sees.", "image_metadata")]


def _hidden(message: str, rule: str) -> Finding:
    return finding(rule, message, SAVE_AGAIN)


def _expected_size(content: bytes) -> int:
    """Bytes of the raw scan lines (PNG specification, sections 7.2 and 8), passes of interlaced images included."""
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", content[16:29])
    if width * height > MAX_PIXELS:
        raise ValueError("too large")
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    passes: tuple[tuple[int, int, int, int], ...] = ((0, 0, 1, 1),)
    if interlace:
        passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    total = 0
    for x, y, step_x, step_y in passes:
        columns, rows = -(-(width - x) // step_x), -(-(height - y) // step_y)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total


def _render(content: bytes) -> tuple[bytes, list[Finding]]:
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
        image.load()
        pixels = image.convert("RGBA")
    found = []
    darkest = pixels.getchannel("A").getextrema()[0]
    if darkest != 255:
        message = "Parts of the image are transparent: what shows depends on the background."
        found.append(finding("transparency", message, "Save it with transparent=False.", "review"))
    white = Image.new("RGBA", pixels.size, "white")
    picture = Image.alpha_composite(white, pixels).convert("RGB")
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue(), found
