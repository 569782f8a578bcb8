"""A shelf that is a bucket of an object storage: each content an object under its hash.

Decides which requests are made: whole objects in one request, on the condition that nothing of the name is there,
signed over the hash of their bytes, so that the server takes them as they are or not at all. Nothing but the settings
and the two key files says how the server is reached. Leaves what its refusals mean to `bucket_errors`.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tre.credentials.files import read_secret
from tre.outputs.content.bucket_errors import Silent, code_of, is_missing, is_not_offered, silent, translated
from tre.outputs.content.model import CHUNK, DIGEST, Lying, missing
from tre.outputs.content.spool import Spool
from tre.outputs.content.store import QUOTA_BYTES, ContentStore
from tre.settings import Bucket, Settings
from tre.settings.bucket import KEY_FILE, KEY_ID_FILE

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Credential, S3Store

#: One object has up to `LARGEST_BYTES`; no answer at all within the second ends a request.
WHOLE, SILENCE, CONNECT = timedelta(minutes=10), timedelta(seconds=20), timedelta(seconds=3)
RETRIES, RETRY_FOR = 2, timedelta(seconds=10)


class BucketShelf:
    """One bucket of one server; everything below the settings' prefix."""

    #: A listing costs a request for each thousand objects.
    count_seconds = 600.0
    #: Who did not answer is not asked again for so long: else everybody who waits for it would hold a thread and a
    #: connection to the database, until there is none left for what needs no content.
    rest_seconds = 5.0

    def __init__(self, bucket: Bucket, key_id: Path, key: Path) -> None:
        self.bucket, self._key_id, self._key = bucket, key_id, key
        self._rests_until = float("-inf")

    @cached_property
    def server(self) -> S3Store:
        """Made at the first request. Raises `Unavailable` where a key or the authority cannot be read."""
        from obstore.store import S3Store

        with translated():
            keys: S3Credential = {
                "access_key_id": read_secret(self._key_id).strip(),
                "secret_access_key": read_secret(self._key).strip(),
                "expires_at": None,
            }
            return S3Store(
                self.bucket.name,
                prefix=self.bucket.prefix or None,
                endpoint=self.bucket.address,
                region=self.bucket.region,
                virtual_hosted_style_request=not self.bucket.path_style,
                # What is not said here the client would take from AWS_* in the environment.
                aws_endpoint_url_s3=self.bucket.address,
                skip_signature=False,
                unsigned_payload=False,
                s3_express=False,
                conditional_put="etag",
                # A function of ours, so that neither the environment nor a metadata service is asked for others.
                credential_provider=lambda: keys,
                client_options=self._options(),
                retry_config={"max_retries": RETRIES, "retry_timeout": RETRY_FOR},
            )

    def _options(self) -> ClientConfig:
        options: ClientConfig = {
            "allow_http": self.bucket.endpoint.startswith("http://"),
            "http1_only": True,
            "timeout": WHOLE,
            "read_timeout": SILENCE,
            "connect_timeout": CONNECT,
        }
        if self.bucket.ca:
            options["root_certificate"] = Path(self.bucket.ca).read_bytes()
        return options

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Around every request."""
        if time.monotonic() < self._rests_until:
            raise silent()
        try:
            with translated():
                yield
        except Silent:
            self._rests_until = time.monotonic() + self.rest_seconds
            raise

    def add(self, digest: str, file: Path) -> bool:
        from obstore import put
        from obstore.exceptions import AlreadyExistsError

        with self._asked(), _mapped(file) as content:
            try:
                put(self.server, key_of(digest), content, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
            except Exception as error:
                if not is_not_offered(error):
                    raise
                if self.size(digest) is not None:
                    return False
                put(self.server, key_of(digest), content, mode="overwrite", use_multipart=False)
        return True

    @contextmanager
    def open(self, digest: str) -> Iterator[Iterator[bytes]]:
        from obstore import get

        with self._asked():
            try:
                found = get(self.server, key_of(digest))
            except Exception as error:
                if is_missing(error):
                    raise missing(digest) from None
                raise
            yield (bytes(piece) for piece in found.stream(min_chunk_size=CHUNK))

    def size(self, digest: str) -> int | None:
        from obstore import get, head

        with self._asked():
            try:
                return int(head(self.server, key_of(digest))["size"])
            except Exception as error:
                if not code_of(error):
                    raise
                # An answer to HEAD has no body: it does not say what there is not, the object, the bucket or our key.
                try:
                    return int(get(self.server, key_of(digest)).meta["size"])
                except Exception as error:
                    if is_missing(error):
                        return None
                    raise

    def listed(self) -> Iterator[Lying]:
        """Other objects below the prefix are nobody's business here."""
        from obstore import list as listing

        with self._asked():
            for page in listing(self.server):
                for one in page:
                    digest = one["path"].rpartition("/")[2]
                    if DIGEST.fullmatch(digest) and one["path"] == key_of(digest):
                        yield Lying(digest, one["size"], one["last_modified"].timestamp())

    def remove(self, digest: str) -> None:
        from obstore import delete

        with self._asked():
            delete(self.server, key_of(digest))


def key_of(digest: str) -> str:
    """As in a folder, so that one can be copied into the other."""
    return f"{digest[:2]}/{digest}"


def in_bucket(settings: Settings, bucket: Bucket, *, quota_bytes: int = QUOTA_BYTES) -> ContentStore:
    """What arrives lies on this machine until it is whole."""
    shelf = BucketShelf(bucket, settings.secret_file(KEY_ID_FILE), settings.secret_file(KEY_FILE))
    return ContentStore(shelf, Spool(settings.arriving), quota_bytes=quota_bytes)


@contextmanager
def _mapped(file: Path) -> Iterator[bytes | mmap.mmap]:
    """The file's bytes, without a copy of them in memory."""
    with open(file, "rb") as opened:
        if not file.stat().st_size:
            yield b""
            return
        # Not closed: the request holds on to it, and lets it go with the last of it.
        yield mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
