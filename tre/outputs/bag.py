"""A BagIt folder (RFC 8493, sha-512) in one zip file, byte for byte the same for the same content.

Pure functions. Decides names, manifests and the zip's own details; `read_bag` is the careful way back in, for
whoever got a crate and trusts nothing about it.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping

from tre.errors import Broken

# No clock, no umask, no compression library's version may show in the bytes.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16
MAX_BYTES = 1 << 30
MAX_ENTRIES = 2000


def build_bag(name: str, payload: Mapping[str, bytes], info: Mapping[str, str]) -> bytes:
    """The zip of the folder `name`. `payload` maps paths below `data/` to bytes; `info` becomes bag-info.txt."""
    data = {f"data/{path}": content for path, content in sorted(payload.items())}
    total = sum(map(len, data.values()))
    lines = {**info, "Payload-Oxum": f"{total}.{len(data)}"}
    tags = {
        "bagit.txt": b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
        "bag-info.txt": "".join(f"{key}: {value}\n" for key, value in lines.items()).encode(),
        "manifest-sha512.txt": manifest(data),
    }
    tags["tagmanifest-sha512.txt"] = manifest(tags)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for path, content in {**tags, **data}.items():
            entry = zipfile.ZipInfo(f"{name}/{path}", _EPOCH)
            entry.create_system, entry.external_attr = 3, _MODE
            archive.writestr(entry, content)
    return out.getvalue()


def manifest(files: Mapping[str, bytes]) -> bytes:
    """One line per file: SHA-512, two blanks, path."""
    return "".join(f"{hashlib.sha512(files[path]).hexdigest()}  {path}\n" for path in sorted(files)).encode()


def read_bag(content: bytes) -> dict[str, bytes]:
    """Every file of the bag by its path inside the folder, the manifests verified both ways.

    Raises `Broken` with what is wrong: another layout, a file too many or too few, an altered one.
    """
    try:
        files = _unzip(content)
    except (zipfile.BadZipFile, ValueError, KeyError, RuntimeError, NotImplementedError) as error:
        raise Broken(f"The crate cannot be read: {error}.", code="crate_broken") from error
    data = {path: body for path, body in files.items() if path.startswith("data/")}
    tags = {path: body for path, body in files.items() if path not in data and path != "tagmanifest-sha512.txt"}
    for name, listed in (("manifest-sha512.txt", data), ("tagmanifest-sha512.txt", tags)):
        if files.get(name) != manifest(listed):
            raise Broken(f"The files of the crate are not those of its {name}.", code="crate_altered")
    return files


def _unzip(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        if len(entries) > MAX_ENTRIES or sum(entry.file_size for entry in entries) > MAX_BYTES:
            raise ValueError("it is larger than any crate of ours")
        names = [entry.filename for entry in entries]
        tops = {name.partition("/")[0] for name in names}
        if len(tops) != 1 or len(set(names)) != len(names) or any(_unsafe(name) for name in names):
            raise ValueError("it is not one folder of plain files")
        top = tops.pop() + "/"
        return {entry.filename.removeprefix(top): archive.read(entry) for entry in entries}


def _unsafe(name: str) -> bool:
    parts = name.split("/")
    return len(parts) < 2 or "\\" in name or any(part in ("", ".", "..") for part in parts)
