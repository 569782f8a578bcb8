"""Verifying a release crate with nothing but the crate, its signature and a public key that one trusts.

Decides what "this is what was released" means: our signature over these bytes, whole manifests, and every file with the
hash that the disclosure record says was reviewed. Needs no platform and no database.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tre.errors import Broken
from tre.outputs.bag import read_bag
from tre.outputs.crate import statement_bytes

CheckSignature = Callable[[bytes, str], bool]


@dataclass(frozen=True)
class CrateProof:
    """What a good crate is: its identifier, where it came from, and the files in it by hash."""

    crate: str
    request: int
    version: int
    sha256: str
    files: dict[str, str]


def verify_crate(content: bytes, signature: bytes, check_signature: CheckSignature) -> CrateProof:
    """`signature` is the JSON file that was downloaded beside the crate. Raises `Broken` with what does not hold."""
    said = _said(signature)
    sha256 = hashlib.sha256(content).hexdigest()
    if not check_signature(statement_bytes(said), str(said.get("signature", ""))):
        raise Broken("The signature is not ours.", code="crate_unsigned")
    if said["sha256"] != sha256:
        raise Broken("The crate was altered after it was signed.", code="crate_altered")
    files = read_bag(content)
    if f"External-Identifier: urn:uuid:{said['crate']}\n".encode() not in files["bag-info.txt"]:
        raise Broken("The crate is another one than its signature says.", code="crate_altered")
    return CrateProof(said["crate"], said["request"], said["version"], sha256, _reviewed(files))


def _said(signature: bytes) -> dict[str, Any]:
    try:
        said = json.loads(signature)
    except ValueError as error:
        raise Broken("The signature file is not JSON.", code="crate_unsigned") from error
    if not isinstance(said, dict):
        raise Broken("The signature file holds no statement.", code="crate_unsigned")
    return said


def _reviewed(files: dict[str, bytes]) -> dict[str, str]:
    record = json.loads(files["data/disclosure/record.json"])
    listed = {str(file["name"]): str(file["sha256"]) for file in record["files"]}
    found = {
        path.removeprefix("data/outputs/"): hashlib.sha256(body).hexdigest()
        for path, body in files.items()
        if path.startswith("data/outputs/")
    }
    if listed != found:
        raise Broken("The files are not those that were reviewed.", code="crate_altered")
    return found
