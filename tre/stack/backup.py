"""The whole platform as one file, and back: `tre backup save FILE`, `tre backup load FILE`.

Decides what is kept: everything in the state folder except logs, sockets and what was arriving, taken while the
platform is stopped, so that databases, keys and files are of one moment. The file holds every secret of the platform. A
restore is whole or not at all: each file's hash is compared before the folder gets its name. What researchers made of
their homes hinders neither: what they closed is opened, a file of many names is kept once, and what lies too deep for a
path is left out by name. Leaves where the file lies, and who may read it, to the operator.
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
LEFT_OUT = frozenset({"arriving", "logs", "run", "lock"})
CHUNK = 1024 * 1024
#: Bytes of a path below the state folder; the kernel takes 4095 with what is before, Python 1000 folders.
LONGEST_PATH = 1500


@dataclass(frozen=True)
class Saved:
    """What a backup holds, and the paths that it does not."""

    entries: list[Entry]
    left_out: list[str]


@dataclass(frozen=True)
class Entry:
    """One file or folder: `sha256` is empty for folders, of the target's name for links."""

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


def backup(settings: Settings, output: IO[bytes]) -> Saved:
    """Write the state folder as a tar stream to `output`. Raises Conflict while the platform runs."""
    entries, left_out = [], list[str]()
    first_names: dict[tuple[int, int], str] = {}
    with (
        only_one(settings),
        gzip.GzipFile(fileobj=output, mode="wb", compresslevel=1) as packed,
        tarfile.open(fileobj=packed, mode="w|") as archive,
    ):
        for path in files_of(settings.state, left_out):
            entries.append(add(archive, settings.state, path, first_names))
        body = json.dumps({"format": FORMAT, "entries": [asdict(entry) for entry in entries]}).encode()
        info = tarfile.TarInfo(MANIFEST)
        info.size, info.mode = len(body), 0o600
        archive.addfile(info, io.BytesIO(body))
    return Saved(entries, left_out)


def files_of(state: Path, left_out: list[str]) -> Iterator[Path]:
    """Folders and files to keep, folders before what is in them. Sockets and pipes are of the moment."""
    waiting = [state]
    while waiting:
        here = waiting.pop()
        open_to_owner(here, stat.S_IRWXU)
        for name in sorted(os.listdir(here)):
            path = here / name
            if here == state and name in LEFT_OUT:
                continue
            if len(os.fsencode(path.relative_to(state))) > LONGEST_PATH:
                left_out.append(str(path.relative_to(state)))
                continue
            kind = path.lstat().st_mode
            if stat.S_ISREG(kind) or stat.S_ISDIR(kind) or stat.S_ISLNK(kind):
                yield path
            if stat.S_ISDIR(kind):
                waiting.append(path)


def open_to_owner(path: Path, rights: int) -> None:
    """Give the owner, who runs this, these rights where they are missing."""
    mode = stat.S_IMODE(path.lstat().st_mode)
    if mode & rights != rights:
        path.chmod(mode | rights)


def add(archive: tarfile.TarFile, state: Path, path: Path, first_names: dict[tuple[int, int], str]) -> Entry:
    name, found = str(path.relative_to(state)), path.lstat()
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = stat.S_IMODE(found.st_mode), int(found.st_mtime)
    if stat.S_ISLNK(found.st_mode):
        return add_link(archive, info, tarfile.SYMTYPE, os.readlink(path))
    if stat.S_ISDIR(found.st_mode):
        info.type = tarfile.DIRTYPE
        archive.addfile(info)
        return Entry(name, info.mode, 0, "")
    first = first_names.setdefault((found.st_dev, found.st_ino), name)
    if first != name:
        return add_link(archive, info, tarfile.LNKTYPE, first)
    open_to_owner(path, stat.S_IRUSR)
    with open(path, "rb") as file:
        info.size = os.fstat(file.fileno()).st_size
        reader = HashingReader(file, info.size)
        archive.addfile(info, reader)
        return Entry(name, info.mode, info.size, reader.digest.hexdigest())


def add_link(archive: tarfile.TarFile, info: tarfile.TarInfo, kind: bytes, target: str) -> Entry:
    info.type, info.linkname = kind, target
    archive.addfile(info)
    return link_entry(info)


def link_entry(info: tarfile.TarInfo) -> Entry:
    target = hashlib.sha256(os.fsencode(info.linkname)).hexdigest()
    return Entry(info.name, info.mode, 0, target)


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
    target = place_in(folder, member.name)
    if member.isdir():
        target.mkdir(mode=member.mode | 0o700)
        return Entry(member.name, member.mode, 0, "")
    if member.issym():
        target.symlink_to(member.linkname)
        return link_entry(member)
    if member.islnk():
        os.link(place_in(folder, member.linkname), target, follow_symlinks=False)
        return link_entry(member)
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


def place_in(folder: Path, name: str) -> Path:
    """The path of a member. Raises Broken where it would lie outside."""
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or PurePosixPath(name).is_absolute():
        raise Broken(f"the backup names a file outside of the state folder: {name!r}")
    target = folder.joinpath(*parts)
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise Broken(f"the backup writes through a link: {name!r}")
    return target


def compare(wanted: list[Entry], found: dict[str, Entry], version: object) -> None:
    if version != FORMAT:
        raise Broken(f"the backup has format {version!r}; this version reads {FORMAT}")
    if {entry.path: entry for entry in wanted} != found:
        raise Broken("the backup was changed: its files are not those of its manifest")
