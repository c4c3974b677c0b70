"""The one door to files, in a local folder or on s3://.

Addresses are local paths or `s3://bucket/key`. Behind a `?` stands what else S3 needs to know:

- `endpoint_override=http%3A%2F%2Fhost%3Aport` and `region=…`: an S3-compatible server, named as pyarrow names it;
- `sse=AES256`, or `sse=aws:kms` with `sse_kms_key_id=…`: how the server is to encrypt what is written. What Ray Train
  writes by itself goes through pyarrow, which does not ask; give the bucket a default as well.

Credentials are found as by every AWS tool (`AWS_*`, profiles, roles), or stand in the address itself.
"""

from __future__ import annotations

import posixpath
from pathlib import Path
from urllib.parse import unquote, urlsplit

from thornback.artifacts.folder import FolderLocation
from thornback.artifacts.location import CHUNK_BYTES, FileEntry, Location
from thornback.artifacts.s3 import S3Location
from thornback.artifacts.s3_store import parse
from thornback.errors import InvalidInput

__all__ = ["CHUNK_BYTES", "FileEntry", "Location", "join", "locate", "parent", "without_secrets"]


def join(uri: str, *names: str) -> str:
    """The address of something below `uri`; the query of an s3:// address stays at its end."""
    base, mark, query = uri.partition("?") if "://" in uri else (uri, "", "")
    return posixpath.join(base.rstrip("/") or "/", *names) + mark + query


def parent(uri: str) -> str:
    """The address of the folder that `uri` lies in."""
    base, mark, query = uri.partition("?") if "://" in uri else (uri, "", "")
    return posixpath.dirname(base.rstrip("/")) + mark + query


def without_secrets(uri: str) -> str:
    """An address for people: without credentials, and without what only we need to reach it."""
    if "://" not in uri:
        return uri
    scheme, _, rest = uri.partition("?")[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def locate(uri: str) -> Location:
    """Resolve an address; nothing is asked of the storage yet.

    Raises:
        InvalidInput: neither a local path nor one of s3://.
    """
    if "://" not in uri:
        return FolderLocation(str(Path(uri).expanduser().absolute()))
    scheme = uri.partition("://")[0].lower()
    if scheme == "s3":
        store, path = parse(uri)
        return S3Location(path, store)
    if scheme == "file":
        return FolderLocation(unquote(urlsplit(uri).path))
    raise InvalidInput.field(
        "uri", f"{without_secrets(uri)!r} cannot be opened: use a local path or s3://bucket/folder"
    )
