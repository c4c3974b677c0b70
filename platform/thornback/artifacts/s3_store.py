"""Which S3 an address means, and the client that talks to it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from thornback.errors import InvalidInput, NotFound, StorageUnavailable
from thornback.telemetry.catalogue import STORAGE_FAULTS

ATTEMPTS = 8  # where one of five requests fails, one of 400,000 is given up
CONNECTIONS = 32
_NOT_FOUND = frozenset({"404", "NoSuchKey", "NoSuchBucket", "NotFound"})
NO_CREDENTIALS = "NoCredentials"  # a code of ours: S3 was not asked
REFUSED = frozenset(
    {"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", NO_CREDENTIALS}
)
_OPTIONS = frozenset({"endpoint_override", "region", "scheme", "sse", "sse_kms_key_id"})

_lock = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Store:
    """An S3 service and the credentials for it; what is left out is found as by every AWS tool (`AWS_*`, profiles)."""

    endpoint: str | None = None  # http://host:port of an S3-compatible server
    region: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    sse: str | None = None  # AES256 or aws:kms; the bucket's own default where left out
    sse_kms_key_id: str | None = None

    @property
    def client(self) -> Any:
        """The boto3 client, one for each process; threads may share it."""
        with _lock:  # making one is not safe in several threads
            # A forked process must not use its parent's connections.
            return _open(self, os.getpid())

    def encryption(self) -> dict[str, str]:
        """What each write asks for."""
        asked = {"ServerSideEncryption": self.sse, "SSEKMSKeyId": self.sse_kms_key_id}
        return {name: value for name, value in asked.items() if value is not None}

    def filesystem(self, bucket: str) -> Any:
        """The same as pyarrow's S3FileSystem, which asks for no encryption of its own."""
        import pyarrow.fs as pafs  # 0.1 s that few callers need

        given = {"access_key": self.access_key, "secret_key": self.secret_key, "region": self.region}
        options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if self.endpoint is not None:
            options["scheme"], _, options["endpoint_override"] = self.endpoint.partition("://")
        elif self.region is None:
            options["region"] = pafs.resolve_s3_region(bucket)
        return pafs.S3FileSystem(**options)


def parse(uri: str) -> tuple[S3Store, str]:
    """The store and `bucket/key` of `s3://[key:secret@]bucket/key[?endpoint_override=…&region=…&sse=…]`.

    Raises:
        InvalidInput: no bucket, or an option that there is not.
    """
    parts = urlsplit(uri)
    _, _, bucket = parts.netloc.rpartition("@")
    if not bucket:
        raise InvalidInput.field("uri", f"{uri!r} names no bucket; write s3://bucket/folder")
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if unknown := sorted(options.keys() - _OPTIONS):
        raise InvalidInput.field("uri", f"an s3:// address has no option {unknown[0]}; there are {sorted(_OPTIONS)}")
    store = S3Store(
        endpoint=_endpoint(options),
        region=options.get("region"),
        access_key=unquote(parts.username) if parts.username else None,
        secret_key=unquote(parts.password) if parts.password else None,
        sse=_encryption(options),
        sse_kms_key_id=options.get("sse_kms_key_id"),
    )
    return store, f"{bucket}/{unquote(parts.path).strip('/')}".rstrip("/")


@contextmanager
def asking(path: str) -> Iterator[None]:
    """Turn what boto3 raises about `bucket/key` into our errors."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    try:
        yield
    except ClientError as error:
        code = code_of(error)
        if code in _NOT_FOUND:
            raise NotFound(f"there is no {_what(code)} s3://{path}") from None
        hint = "; check the credentials and what they may do" if code in REFUSED else ""
        STORAGE_FAULTS.add(reason="refused")
        raise StorageUnavailable(f"S3 refused s3://{path}: {error}{hint}", s3_code=code) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile or role, where the platform runs"
        STORAGE_FAULTS.add(reason="no_credentials")
        raise StorageUnavailable(f"no credentials for s3://{path}: {hint}", s3_code=NO_CREDENTIALS) from error
    except (BotoCoreError, Boto3Error) as error:
        STORAGE_FAULTS.add(reason="no_answer")
        raise StorageUnavailable(f"S3 does not answer for s3://{path}: {error}") from error


def code_of(error: Any) -> str:
    """What S3 calls an error, e.g. NoSuchKey; for an answer without a body, its HTTP status."""
    answer: Mapping[str, Any] = error.response
    return str(answer.get("Error", {}).get("Code", ""))


def _what(code: str) -> str:
    return "bucket for" if code == "NoSuchBucket" else "file"


def _endpoint(options: Mapping[str, str]) -> str | None:
    where = options.get("endpoint_override")
    if where is None or "://" in where:
        return where
    return f"{options.get('scheme', 'https')}://{where}"


def _encryption(options: Mapping[str, str]) -> str | None:
    sse = options.get("sse")
    if sse not in (None, "AES256", "aws:kms"):
        raise InvalidInput.field("uri", f"sse={sse} is no encryption of S3; write AES256 or aws:kms")
    if "sse_kms_key_id" in options and sse != "aws:kms":
        raise InvalidInput.field("uri", "sse_kms_key_id goes with sse=aws:kms only")
    return sse


@lru_cache(maxsize=32)
def _open(store: S3Store, _pid: int) -> Any:
    made = _make(store, None)
    host = urlsplit(made.meta.endpoint_url).hostname or ""
    # Own servers, also those of AWS_ENDPOINT_URL, seldom have a name for each bucket.
    return made if host.endswith((".amazonaws.com", ".amazonaws.com.cn")) else _make(store, "path")


def _make(store: S3Store, addressing: str | None) -> Any:
    # 0.2 s that storages in a folder do not need.
    import boto3
    from botocore.config import Config

    session = boto3.session.Session(
        aws_access_key_id=store.access_key, aws_secret_access_key=store.secret_key, region_name=store.region
    )
    return session.client(
        "s3",
        endpoint_url=store.endpoint,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": addressing} if addressing else None,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=CONNECTIONS,
            connect_timeout=10,
            read_timeout=60,
        ),
    )
