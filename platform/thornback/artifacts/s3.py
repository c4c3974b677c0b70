"""A storage in an S3 bucket, or in that of a compatible server."""

from __future__ import annotations

import base64
import contextlib
import mimetypes
import posixpath
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thornback.artifacts.location import CHUNK_BYTES, FileEntry, Location, partial_name
from thornback.artifacts.s3_store import S3Store, asking, code_of
from thornback.errors import InvalidInput, NotFound, StorageUnavailable

LONGEST_LINK_S = 7 * 86_400  # of signature version 4
PART_BYTES = 8 << 20  # files from this size on go in parts, several at once
PARTS_AT_ONCE = 8
# S3 copies by itself, up to 5 GB with one request, and keeps the CRC32 and the content type of what it copies whole.
COPY_IN_PARTS_BYTES = 1 << 30
COPY_PART_BYTES = 256 << 20
RESUMES = 5  # breaks of one transfer without a byte between them
DAMAGED_TRIES = 3
_DELETE_AT_ONCE = 1000  # most keys of one request
_DAMAGED = frozenset({"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody"})


@dataclass(frozen=True, slots=True)
class S3Location(Location):
    """An object, or the objects below a prefix.

    Every object goes with the CRC32 of its bytes, which S3 checks before it shows the object; what comes back is
    checked against it, where the object has one.
    """

    store: S3Store

    @property
    def is_local(self) -> bool:
        """Never."""
        return False

    @property
    def fs(self) -> Any:
        """An S3FileSystem of pyarrow."""
        return self.store.filesystem(self.bucket)

    def is_beside(self, other: Location) -> bool:
        """True where one client reaches both."""
        return isinstance(other, S3Location) and other.store == self.store

    def exists(self) -> bool:
        """True for an object, and where there is one below."""
        return (bool(self.key) and self._head() is not None) or self.is_dir()

    def is_dir(self) -> bool:
        """True where there is an object below."""
        try:
            with asking(self.path):
                found = self._ask("list_objects_v2", Prefix=self._prefix, MaxKeys=1)
        except NotFound:  # the bucket
            return False
        return not self.key or bool(found.get("KeyCount") or found.get("Contents"))

    def size(self) -> int:
        """Bytes of the object."""
        return int(self._known()["ContentLength"])

    def version(self) -> str | None:
        """The object's ETag."""
        return str(self._known()["ETag"]).strip('"') or None

    def read_range(self, first: int, length: int, size: int = CHUNK_BYTES) -> Iterator[bytes]:
        """A part of the object, asked for as one range."""
        end = min(first + length, self.size())
        if first < end:
            yield from self._pieces(first, end, size)

    def chunks(self, size: int = CHUNK_BYTES) -> Iterator[bytes]:
        """The object in pieces, from one answer."""
        return self._pieces(0, None, size)

    def write_bytes(self, content: bytes, *, content_type: str | None = None) -> None:
        """Put an object."""
        extra = self._extra(content_type, zlib.crc32(content))
        self._until_undamaged(lambda: self._ask("put_object", Key=self.key, Body=content, **extra))

    def upload(self, source: Path, *, content_type: str | None = None) -> None:
        """Put a local file, a large one in parts; parts of one that breaks are taken away again."""
        if source.stat().st_size < PART_BYTES:
            self.write_bytes(source.read_bytes(), content_type=content_type)
            return
        extra = self._extra(content_type, _crc32(source))
        with asking(self.path):
            self.store.client.upload_file(str(source), self.bucket, self.key, ExtraArgs=extra, Config=_transfer())

    def download(self, to: Path) -> None:
        """Fetch the object, a large one in parts, and check the whole."""
        known = self._known()
        to.parent.mkdir(parents=True, exist_ok=True)
        partial = to.with_name(partial_name(to.name))
        try:
            with asking(self.path):
                self.store.client.download_file(self.bucket, self.key, str(partial), Config=_transfer())
            said = _whole_crc32(known)
            if said not in (None, _encoded(_crc32(partial))):
                raise StorageUnavailable(f"s3://{self.path} came damaged: its CRC32 is not {said}")
            partial.replace(to)
        finally:
            partial.unlink(missing_ok=True)

    def copy_to(self, other: Location) -> None:
        """Copy the object inside S3, or fetch it."""
        if isinstance(other, S3Location) and other.is_beside(self):
            self._known()
            source = {"Bucket": self.bucket, "Key": self.key}
            extra, config = self.store.encryption(), _transfer(threshold=COPY_IN_PARTS_BYTES, part=COPY_PART_BYTES)
            with asking(self.path):
                self.store.client.copy(source, other.bucket, other.key, ExtraArgs=extra, Config=config)
        elif other.is_local:
            self.download(Path(other.path))
        else:
            Location.copy_to(self, other)

    def files(self) -> list[FileEntry]:
        """All objects below; the empty ones that stand for folders are left out."""
        start = len(self._prefix)
        found = [
            FileEntry(path=item["Key"][start:], size_bytes=item["Size"], modified_at=item["LastModified"])
            for page in self._pages()
            for item in page.get("Contents", ())
            if not item["Key"].endswith("/")
        ]
        return sorted(found, key=lambda entry: entry.path)

    def folders(self) -> list[str]:
        """Names of the prefixes directly below."""
        pages = self._pages(Delimiter="/")
        names = [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", ())]
        return sorted(posixpath.basename(name.rstrip("/")) for name in names)

    def delete_file(self) -> None:
        """Remove the object."""
        with contextlib.suppress(NotFound), asking(self.path):
            self._ask("delete_object", Key=self.key)

    def delete_tree(self) -> None:
        """Remove all objects below, a thousand with a request, and the one of this very name."""
        if not self.key:
            raise InvalidInput.field("path", f"s3://{self.path} is a whole bucket; name a folder in it")
        for page in self._pages():
            keys = [item["Key"] for item in page.get("Contents", ())]
            for first in range(0, len(keys), _DELETE_AT_ONCE):
                self._delete(keys[first : first + _DELETE_AT_ONCE])
        self.delete_file()

    def signed_url(self, *, expires_s: float, filename: str | None = None) -> str:
        """An address under which anybody can fetch the object until it expires.

        Args:
            expires_s: seconds from now, at most a week.
            filename: under which a browser saves it; left out: it may show it.
        """
        if not 1 <= expires_s <= LONGEST_LINK_S:
            raise InvalidInput.field("expires_s", f"{expires_s:g} s; S3 signs for 1 to {LONGEST_LINK_S} s")
        asked: dict[str, Any] = {"Bucket": self.bucket, "Key": self.key}
        if filename is not None:
            asked["ResponseContentDisposition"] = f'attachment; filename="{_plain(filename)}"'
        with asking(self.path):
            client = self.store.client
            return str(client.generate_presigned_url("get_object", Params=asked, ExpiresIn=int(expires_s)))

    @property
    def bucket(self) -> str:
        """Its name."""
        return self.path.partition("/")[0]

    @property
    def key(self) -> str:
        """Where in the bucket; empty for the bucket itself."""
        return self.path.partition("/")[2]

    @property
    def _prefix(self) -> str:
        return f"{self.key}/" if self.key else ""

    def _ask(self, operation: str, **asked: Any) -> Any:
        return getattr(self.store.client, operation)(Bucket=self.bucket, **asked)

    def _head(self) -> Any:
        """What S3 knows of the object; None where there is none."""
        try:
            with asking(self.path):
                return self._ask("head_object", Key=self.key, ChecksumMode="ENABLED")
        except NotFound:
            return None

    def _known(self) -> Any:
        known = self._head() if self.key else None
        if known is None:
            raise NotFound(f"there is no file s3://{self.path}")
        return known

    def _pages(self, **asked: Any) -> Iterator[Any]:
        """Pages of the listing below; none where there is no such bucket."""
        pages = self.store.client.get_paginator("list_objects_v2")
        try:
            with asking(self.path):
                yield from pages.paginate(Bucket=self.bucket, Prefix=self._prefix, **asked)
        except NotFound:
            return

    def _delete(self, keys: list[str]) -> None:
        with asking(self.path):
            wanted = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
            answer = self._ask("delete_objects", Delete=wanted)
        if errors := answer.get("Errors"):
            text = f"{len(errors)} of {len(keys)} objects below s3://{self.path} were not deleted: {errors[0]}"
            raise StorageUnavailable(text)

    def _extra(self, content_type: str | None, crc32: int) -> dict[str, Any]:
        guessed = mimetypes.guess_type(self.key)[0] or "application/octet-stream"
        sums = {"ChecksumAlgorithm": "CRC32", "ChecksumCRC32": _encoded(crc32)}
        return {"ContentType": content_type or guessed} | sums | self.store.encryption()

    def _until_undamaged(self, put: Callable[[], Any]) -> None:
        """Put again what was damaged on its way; boto3 tries again for other reasons only."""
        from botocore.exceptions import ClientError

        for left in reversed(range(DAMAGED_TRIES)):
            with asking(self.path):
                try:
                    put()
                except ClientError as error:
                    if not left or code_of(error) not in _DAMAGED:
                        raise
                else:
                    return

    def _pieces(self, first: int, end: int | None, size: int) -> Iterator[bytes]:
        """Bytes from `first` to before `end`; a transfer that breaks goes on where it stopped, in the same object."""
        place, etag, tries = first, None, 0
        crc32, said = 0, None
        while True:
            before = place
            with asking(self.path):
                answer = self._ask("get_object", Key=self.key, **_conditions(place, end, etag))
            if etag is None:
                etag, said = answer["ETag"], _whole_crc32(answer) if end is None else None
            try:
                with contextlib.closing(answer["Body"]) as body, asking(self.path):
                    for chunk in _unbroken(body, size):
                        place, crc32 = place + len(chunk), zlib.crc32(chunk, crc32) if said else 0
                        yield chunk
                break
            except _BrokenOffError as error:
                tries = 1 if place > before else tries + 1
                if tries > RESUMES:
                    raise StorageUnavailable(f"s3://{self.path} broke off {tries} times: {error}") from error
        if said is not None and said != _encoded(crc32):
            raise StorageUnavailable(f"s3://{self.path} came damaged: its CRC32 is not {said}")


class _BrokenOffError(Exception):
    """The body of an answer ended too early."""


def _unbroken(body: Any, size: int) -> Iterator[bytes]:
    """The pieces of an answer's body. Raises _BrokenOffError where it breaks off."""
    from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError
    from urllib3.exceptions import HTTPError

    try:
        yield from body.iter_chunks(size)
    except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError, HTTPError, ConnectionError) as error:
        raise _BrokenOffError(str(error)) from error


def _conditions(place: int, end: int | None, etag: str | None) -> dict[str, str]:
    asked = {"ChecksumMode": "ENABLED"} if etag is None and end is None else {}
    if place or end is not None:
        asked["Range"] = f"bytes={place}-{'' if end is None else end - 1}"
    return asked if etag is None else asked | {"IfMatch": etag}


def _transfer(*, threshold: int | None = None, part: int | None = None) -> Any:
    from boto3.s3.transfer import TransferConfig

    # The classic one: it can be told the CRC32 of the whole, and takes away the parts of what it gives up.
    return TransferConfig(
        multipart_threshold=threshold or PART_BYTES,
        multipart_chunksize=part or PART_BYTES,
        max_concurrency=PARTS_AT_ONCE,
        preferred_transfer_client="classic",
    )


def _crc32(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            value = zlib.crc32(chunk, value)
    return value


def _encoded(crc32: int) -> str:
    return base64.b64encode(crc32.to_bytes(4, "big")).decode()


def _whole_crc32(answer: Any) -> str | None:
    """The CRC32 of the whole object, as S3 writes it; None where it has another sum, or one of its parts' sums."""
    said = answer.get("ChecksumCRC32")
    return None if said is None or "-" in said or answer.get("ChecksumType") == "COMPOSITE" else str(said)


def _plain(name: str) -> str:
    return "".join(char if char.isascii() and (char.isalnum() or char in "._- ") else "_" for char in name)
