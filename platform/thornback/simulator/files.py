"""Files that were uploaded and files that were made, until they expire."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from thornback.simulator.clock import Clock
from thornback.simulator.ids import file_token


@dataclass(kw_only=True, eq=False)
class StoredFile:
    """One file; what a model makes is only made when somebody asks for it."""

    id: str
    name: str
    content_type: str
    created_at: datetime
    expires_at: datetime | None
    make: Callable[[], bytes]
    metadata: dict[str, object] = field(default_factory=dict)

    @cached_property
    def body(self) -> bytes:
        """Its bytes."""
        return self.make()

    @property
    def sha256(self) -> str:
        """The digest of its bytes, hexadecimal."""
        return hashlib.sha256(self.body).hexdigest()


class FileStore:
    """All files of both providers, by id."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._files: dict[str, StoredFile] = {}
        self._parts: dict[str, dict[int, bytes]] = {}

    def add(
        self, name: str, content_type: str, make: Callable[[], bytes] | bytes, *, ttl_s: float | None = None
    ) -> StoredFile:
        """Keep a file for `ttl_s` provider seconds, None: for good."""
        body = make if callable(make) else (lambda: make)
        file = StoredFile(
            id=file_token(),
            name=name,
            content_type=content_type,
            created_at=self._clock.now(),
            expires_at=None if ttl_s is None else self._clock.after(ttl_s),
            make=body,
        )
        self._files[file.id] = file
        return file

    def get(self, id: str) -> StoredFile | None:
        """A file that is still there."""
        file = self._files.get(id)
        if file is None or (file.expires_at is not None and file.expires_at <= self._clock.now()):
            return None
        return file

    def all(self) -> list[StoredFile]:
        """Those that are still there, oldest first."""
        return [file for id in self._files if (file := self.get(id))]

    def replace(self, file: StoredFile, body: bytes) -> None:
        """Fill a file that was announced before."""
        file.make = lambda: body
        file.__dict__.pop("body", None)

    def remove(self, id: str) -> bool:
        """Delete a file; False where there is none."""
        return self._files.pop(id, None) is not None

    def put_part(self, upload: str, number: int, body: bytes) -> str:
        """Keep a part of a large upload; returns its ETag."""
        self._parts.setdefault(upload, {})[number] = body
        return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'

    def join_parts(self, upload: str) -> bytes:
        """The parts of an upload in their order; they are forgotten."""
        parts = self._parts.pop(upload, {})
        return b"".join(parts[number] for number in sorted(parts))
