"""A bucket of an object storage that speaks S3, where the content store lies on a cluster that has one: the table
`[bucket]` of the cluster's file.

Decides the table's form, and that nothing goes over the wire in the open. The keys are no part of it: they are two 0600
files. Leaves talking to the server to `tre.outputs.content.bucket`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from tre.errors import InvalidInput

TABLE = "bucket"
KEY_ID_FILE = "bucket-access-key-id"
KEY_FILE = "bucket-secret-access-key"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: Those of S3's own rules that matter for an address.
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
PREFIX = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9._-]*/)*")
REGION = re.compile(r"[a-z0-9-]{1,40}")


@dataclass(frozen=True)
class Bucket:
    """`endpoint` is the server's address without the bucket; with `path_style` the bucket is a part of the path,
    without it a part of the host. `prefix` ends with a slash: nothing outside of it is read or touched. `ca` is a PEM
    file.
    """

    endpoint: str
    name: str
    region: str = "us-east-1"
    prefix: str = ""
    path_style: bool = True
    ca: str = ""

    def check(self, name: str) -> None:
        """Raises `InvalidInput` that names the key."""
        found = urlsplit(self.endpoint)
        schemes = ("https", "http") if found.hostname in LOOPBACK else ("https",)
        if found.scheme not in schemes or not found.hostname:
            raise InvalidInput("An address that begins with https://.", field=f"{name}.endpoint")
        if found.path.strip("/") or found.query or found.fragment or found.username:
            raise InvalidInput("Scheme, host and port, and nothing else.", field=f"{name}.endpoint")
        if not NAME.fullmatch(self.name):
            raise InvalidInput("3 to 63 lower-case letters, digits, dots and hyphens.", field=f"{name}.name")
        if not PREFIX.fullmatch(self.prefix):
            raise InvalidInput("Empty, or plain names that end with a slash each.", field=f"{name}.prefix")
        if not REGION.fullmatch(self.region):
            raise InvalidInput("Lower-case letters, digits and hyphens.", field=f"{name}.region")

    @property
    def address(self) -> str:
        """Where the bucket's objects are asked for."""
        found = urlsplit(self.endpoint)
        if self.path_style:
            return f"{found.scheme}://{found.netloc}"
        return f"{found.scheme}://{self.name}.{found.netloc}"

    @property
    def host(self) -> str:
        return urlsplit(self.address).hostname or ""

    @property
    def port(self) -> int:
        found = urlsplit(self.endpoint)
        return found.port or (443 if found.scheme == "https" else 80)
