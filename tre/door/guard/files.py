"""Answering with one of the guard's own files.

Decides that a browser which has the file already is told so (an ETag of its time and size), and that a file is read in
pieces, beside the loop. Which files there are is `lab`'s.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from tre.door.guard.headers import static_headers
from tre.door.guard.lab import StaticFile
from tre.door.guard.messages import Answer, Request, lines
from tre.door.guard.signin import scheme

PIECE = 256 * 1024


async def file_answer(request: Request, file: StaticFile, base_url: str) -> Answer | None:
    """The file, or 304 for whoever names its tag. A long one is written piece by piece: None."""
    headers = static_headers(
        scheme=scheme(request),
        host=request.header(b"host"),
        base_url=base_url,
        media_type=file.media_type,
        hashed=file.hashed,
    )
    found = await asyncio.to_thread(os.stat, file.path)
    tag = f'"{found.st_mtime_ns:x}-{found.st_size:x}"'
    head = lines(headers | {"ETag": tag})
    if tag in [known.strip().removeprefix("W/") for known in request.header(b"if-none-match").split(",")]:
        return Answer(304, head)
    if request.method == "HEAD":
        request.browser.begin(request, 200, head, found.st_size)
        return None
    if found.st_size <= PIECE:
        return Answer(200, head, await asyncio.to_thread(file.path.read_bytes))
    await write_file(request, file.path, head, found.st_size)
    return None


async def write_file(request: Request, path: Path, head: bytes, size: int) -> None:
    """All of it or a cut connection."""
    browser, left = request.browser, size
    browser.begin(request, 200, head, size)
    try:
        with await asyncio.to_thread(path.open, "rb", buffering=0) as file:
            while left:
                piece = await asyncio.to_thread(file.read, min(PIECE, left))
                if not piece:
                    raise ConnectionResetError(f"{path.name} became shorter")
                left -= len(piece)
                await browser.write(piece)
    except BaseException:
        browser.abort()
        raise
    browser.finish()
