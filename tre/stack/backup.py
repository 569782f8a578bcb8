"""The whole platform as one file, and back: `tre backup save FILE`, `tre backup load FILE`.

Decides what is kept: everything in the state folder except logs and sockets, taken while the platform is stopped, so
that databases, keys and files are of one moment. The file holds every secret of the platform. A restore is whole or not
at all: each file's hash is compared before the folder gets its name. Leaves where the file lies, and who may read it,
to the operator.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from tre.errors import Broken, Conflict
from tre.settings import Settings, make_private_folder
from tre.stack.supervisor import RESTORING, only_one

MANIFEST = "manifest.json"
FORMAT = 1
LEFT_OUT = frozenset({"logs", "run", "lock"})
CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Entry:
    """One file or folder: `sha256` is empty for folders."""

    path: str
    mode: int
    size: int
    sha256: str


class HashingReader(io.RawIOBase):
    """Reads `size` bytes of a file and keeps their hash; raises Broken where the file became shorter."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file, self.left, self.digest = file, size, hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        wanted = self.left if size < 0 else min(size, self.left)
        data = self.file.read(wanted)
        if len(data) < wanted:
            raise Broken("a file became shorter while it was read")
        self.left -= len(data)
        self.digest.update(data)
        return data


def backup(settings: Settings, output: IO[bytes]) -> list[Entry]:
    """Write the state folder as a tar stream to `output`. Raises Conflict while the platform runs."""
    entries = []
    with (
        only_one(settings),
        gzip.GzipFile(fileobj=output, mode="wb", compresslevel=1) as packed,
        tarfile.open(fileobj=packed, mode="w|") as archive,
    ):
        for path in files_of(settings.state):
            entries.append(add(archive, settings.state, path))
        body = json.dumps({"format": FORMAT, "entries": [asdict(entry) for entry in entries]}).encode()
        info = tarfile.TarInfo(MANIFEST)
        info.size, info.mode = len(body), 0o600
        archive.addfile(info, io.BytesIO(body))
    return entries


def files_of(state: Path) -> Iterator[Path]:
    """Folders and files to keep, folders before what is in them. Sockets and pipes are of the moment."""
    for folder, folders, files in os.walk(state):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if here != state or name not in LEFT_OUT)
        for name in [*folders, *sorted(files)]:
            path = here / name
            kind = path.lstat().st_mode
            wanted = stat.S_ISREG(kind) or stat.S_ISDIR(kind) or stat.S_ISLNK(kind)
            if wanted and not (here == state and name in LEFT_OUT):
                yield path


def add(archive: tarfile.TarFile, state: Path, path: Path) -> Entry:
    name, found = str(path.relative_to(state)), path.lstat()
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = stat.S_IMODE(found.st_mode), int(found.st_mtime)
    if path.is_symlink():
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(path)
        archive.addfile(info)
        return Entry(name, info.mode, 0, hashlib.sha256(info.linkname.encode()).hexdigest())
    if path.is_dir():
        info.type = tarfile.DIRTYPE
        archive.addfile(info)
        return Entry(name, info.mode, 0, "")
    with open(path, "rb") as file:
        info.size = os.fstat(file.fileno()).st_size
        reader = HashingReader(file, info.size)
        archive.addfile(info, reader)
        return Entry(name, info.mode, info.size, reader.digest.hexdigest())


def restore(settings: Settings, source: IO[bytes]) -> list[Entry]:
    """Make the state folder from a backup.

    Raises Conflict where the state folder holds something already, Broken where the backup is not whole or was changed;
    then nothing is left.
    """
    with only_one(settings):
        if any(path.name not in LEFT_OUT for path in settings.state.iterdir()):
            raise Conflict(f"{settings.state} is not empty", hint="Move it away, or set TRE_STATE to an empty folder.")
        new = settings.state / RESTORING
        make_private_folder(new)
        try:
            entries = unpack(new, source)
        except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, KeyError, TypeError) as error:
            shutil.rmtree(new)
            raise Broken(f"the backup cannot be read: {error}") from error
        except BaseException:
            shutil.rmtree(new)
            raise
        # While this folder is there nothing starts: see `only_one`.
        for path in list(new.iterdir()):
            path.rename(settings.state / path.name)
        new.rmdir()
    return entries


def unpack(folder: Path, source: IO[bytes]) -> list[Entry]:
    """Unpack into an empty folder and compare with the manifest, which comes last."""
    found: dict[str, Entry] = {}
    with gzip.GzipFile(fileobj=source, mode="rb") as packed, tarfile.open(fileobj=packed, mode="r|") as archive:
        for member in archive:
            if member.name == MANIFEST:
                file = archive.extractfile(member)
                body = json.loads(file.read()) if file else {}
                wanted = [Entry(**entry) for entry in body["entries"]]
                compare(wanted, found, body["format"])
                return wanted
            found[member.name] = take(archive, member, folder)
    raise Broken("the backup has no end: it was cut off")


def take(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> Entry:
    """One member; nothing may point out of the folder, whatever the archive says."""
    parts = PurePosixPath(member.name).parts
    if not parts or ".." in parts or PurePosixPath(member.name).is_absolute():
        raise Broken(f"the backup names a file outside of the state folder: {member.name!r}")
    target = folder.joinpath(*parts)
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise Broken(f"the backup writes through a link: {member.name!r}")
    if member.isdir():
        target.mkdir(mode=member.mode | 0o700)
        return Entry(member.name, member.mode, 0, "")
    if member.issym():
        target.symlink_to(member.linkname)
        return Entry(member.name, member.mode, 0, hashlib.sha256(member.linkname.encode()).hexdigest())
    file = archive.extractfile(member)
    if not member.isreg() or file is None:
        raise Broken(f"the backup holds something that is no file: {member.name!r}")
    digest = hashlib.sha256()
    with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, member.mode), "wb") as output:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            output.write(chunk)
        os.fsync(output.fileno())
    return Entry(member.name, member.mode, member.size, digest.hexdigest())


def compare(wanted: list[Entry], found: dict[str, Entry], version: object) -> None:
    if version != FORMAT:
        raise Broken(f"the backup has format {version!r}; this version reads {FORMAT}")
    if {entry.path: entry for entry in wanted} != found:
        raise Broken("the backup was changed: its files are not those of its manifest")
