"""Reading one submission: a manifest, then the files in its order, as multipart/form-data (RFC 7578).

Decides the form and the sizes, and that bytes are hashed while they stream; nothing is ever named by what was sent, and
nothing is handed on before the last part has arrived whole. Leaves where the bytes are kept, what may be released, and
the house's own tighter numbers, to the control plane.
"""

from __future__ import annotations

import asyncio
import contextlib
import unicodedata
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import BodyPartReader, MultipartReader, web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tre.errors import InvalidInput, LimitExceeded, Unavailable
from tre.outputs.content.model import Stored
from tre.outputs.content.spool import Incoming, Spool

HandOn = Callable[[Path, Stored], Awaitable[None]]
PIECE = 256 * 1024
BIDI = {"\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069", "\u200e", "\u200f"}


@dataclass(frozen=True)
class UploadLimits:
    """Bytes, counts and seconds: what one submission may take of the intake, whatever the house's numbers are."""

    manifest_bytes: int = 8 << 20
    files: int = 500
    file_bytes: int = 64 << 20
    request_bytes: int = 256 << 20
    overhead_bytes: int = 10 << 20
    idle_seconds: float = 20.0
    total_seconds: float = 300.0


class FileEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(min_length=1)
    title: str = Field(default="", max_length=500)
    context: str = Field(default="", max_length=20_000)
    kind: str = Field(default="", max_length=40)
    dataset: str | None = Field(default=None, max_length=64)
    spec: dict[str, Any] | None = None
    record: str = Field(default="", max_length=64 << 10)

    @field_validator("name")
    @classmethod
    def plain_name(cls, name: str) -> str:
        """A name is only ever shown; one that could be read as a path or shown as another is refused."""
        if len(name.encode()) > 255:
            raise ValueError("a file name has at most 255 bytes")
        if name in {".", ".."} or name != name.strip() or set(name) & {"/", "\\", *BIDI}:
            raise ValueError("a file name has no separators, direction signs or blanks around it")
        if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in name):
            raise ValueError("a file name has no control characters")
        return name


class Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    title: str = Field(min_length=1, max_length=500)
    context: str = Field(min_length=1, max_length=20_000)
    controls: str = Field(min_length=1, max_length=20_000)
    replaces: str | int | None = None
    files: list[FileEntry] = Field(min_length=1)

    @field_validator("files")
    @classmethod
    def each_once(cls, files: list[FileEntry]) -> list[FileEntry]:
        names = [unicodedata.normalize("NFC", file.name).casefold() for file in files]
        if len(set(names)) != len(names):
            raise ValueError("two files have the same name")
        return files


async def receive(request: web.BaseRequest, spool: Spool, limits: UploadLimits, hand_on: HandOn) -> dict[str, Any]:
    """The submission as the internal API takes it, its bytes handed on under their hashes.

    Raises InvalidInput naming the part, LimitExceeded, Unavailable. Afterwards nothing of it is left here.
    """
    check_size(request, limits)
    try:
        async with asyncio.timeout(limits.total_seconds):
            reader = Parts(request, limits)
            manifest = read_manifest(await reader.manifest(), limits)
            with contextlib.ExitStack() as stack:
                arrived = [
                    await reader.file(number, entry, stack, spool) for number, entry in enumerate(manifest.files)
                ]
                await reader.end(len(arrived))
                kept = [await asyncio.to_thread(incoming.finish) for incoming in arrived]
                for incoming, stored in zip(arrived, kept, strict=True):
                    await hand_on(incoming.path, stored)
    except TimeoutError:
        raise Unavailable("The submission did not arrive in time.", hint="Send it again.") from None
    body = manifest.model_dump()
    for entry, stored in zip(body["files"], kept, strict=True):
        entry |= {"sha256": stored.digest, "size": stored.size}
    return body


def check_size(request: web.BaseRequest, limits: UploadLimits) -> None:
    most = limits.request_bytes + limits.overhead_bytes
    if request.content_type != "multipart/form-data":
        raise InvalidInput("A submission is multipart/form-data.", field="Content-Type")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise InvalidInput("An encoded body is not taken.", field="Content-Encoding")
    if request.content_length is None:
        raise InvalidInput("Say how long the submission is.", field="Content-Length")
    if request.content_length > most:
        raise LimitExceeded(f"A submission has at most {limits.request_bytes} bytes of files.", field="body")


def read_manifest(text: bytes, limits: UploadLimits) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(str(first["msg"]), field=f"manifest.{place}" if place else "manifest") from None
    if len(manifest.files) > limits.files:
        raise LimitExceeded(f"A submission has at most {limits.files} files.", field="manifest.files")
    return manifest


class Parts:
    """The parts of one submission in the one order that is taken."""

    def __init__(self, request: web.BaseRequest, limits: UploadLimits) -> None:
        self._limits = limits
        self._left = limits.request_bytes
        try:
            self._reader = MultipartReader(request.headers, request.content)
        except (ValueError, AssertionError) as error:
            raise InvalidInput("The submission has no sound boundary.", field="Content-Type") from error

    async def manifest(self) -> bytes:
        part = await self._next("manifest", "manifest")
        text = bytearray()
        while piece := await self._piece(part, "manifest"):
            text += piece
            if len(text) > self._limits.manifest_bytes:
                raise LimitExceeded(f"The manifest has at most {self._limits.manifest_bytes} bytes.", field="manifest")
        return bytes(text)

    async def file(self, number: int, entry: FileEntry, stack: contextlib.ExitStack, spool: Spool) -> Incoming:
        """The bytes of file `number` on disk, hashed, without a name yet."""
        field = f"files.{number}"
        part = await self._next("file", field)
        incoming = stack.enter_context(spool.incoming(limit_bytes=self._limits.file_bytes))
        while piece := await self._piece(part, field):
            self._left -= len(piece)
            if self._left < 0:
                raise LimitExceeded(f"All files have at most {self._limits.request_bytes} bytes.", field=field)
            try:
                incoming.write(piece)
            except LimitExceeded as error:
                raise LimitExceeded(f"{entry.name}: {error.message}", field=field, code="file_too_large") from error
        return incoming

    async def end(self, files: int) -> None:
        if await self._step(self._reader.next(), "body") is not None:
            raise InvalidInput(f"There are more parts than the manifest's {files} files.", field="body")

    async def _next(self, name: str, field: str) -> BodyPartReader:
        part = await self._step(self._reader.next(), field)
        if not isinstance(part, BodyPartReader) or part.name != name:
            raise InvalidInput(f"Here the part `{name}` is expected.", field=field)
        if part.headers.keys() & {"Content-Encoding", "Content-Transfer-Encoding"}:
            raise InvalidInput("An encoded part is not taken.", field=field)
        return part

    async def _piece(self, part: BodyPartReader, field: str) -> bytes:
        return bytes(await self._step(part.read_chunk(PIECE), field))

    async def _step(self, step: Any, field: str) -> Any:
        """One read, bounded in time; whatever is malformed or cut off names its part."""
        try:
            async with asyncio.timeout(self._limits.idle_seconds):
                return await step
        except (TimeoutError, ConnectionError):
            raise
        except Exception as error:
            raise InvalidInput("The submission is malformed or cut off.", field=field) from error
