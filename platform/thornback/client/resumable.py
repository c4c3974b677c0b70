"""Sending a large file in parts that are not sent twice, by tus 1.0."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from thornback.client.models import Upload
from thornback.client.reconnect import Backoff
from thornback.errors import ChecksumMismatch, Conflict, DataError, ThornbackError, Unavailable, UploadLocked

UPLOADS = "/api/v1/uploads"
PART_BYTES = 16 << 20
ANSWER_S = 600.0  # the server reads every picture, or the whole video, before it answers the last part

_VERSION = {"Tus-Resumable": "1.0.0"}
# The server is away, a request that we gave up is still in the upload or moved it on, or bytes came over damaged.
_PASSING = (Unavailable, UploadLocked, Conflict, ChecksumMismatch)


class Sending:
    """One file on its way."""

    def __init__(
        self,
        call: Callable[..., Any],
        path: Path,
        backoff: Backoff,
        *,
        on_progress: Callable[[int, int], None],
        on_lost: Callable[[ThornbackError, float], None],
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._call = call
        self._path = path
        self._backoff = backoff
        self._on_progress = on_progress
        self._on_lost = on_lost
        self._pause = pause
        self._clock = clock

    def run(self, upload_id: str | None, on_begun: Callable[[str], None]) -> Upload:
        """Send what is not there yet. See `Client.upload`."""
        length = self._path.stat().st_size
        if upload_id is None:
            upload_id = self._begin(length).id
            on_begun(upload_id)
        failures, since = 0, self._clock()
        offset = -1
        with self._path.open("rb") as file:
            while True:
                try:
                    upload = self._look(upload_id, length)
                    if upload.offset != offset:
                        failures, since, offset = 0, self._clock(), upload.offset
                    self._on_progress(upload.offset, length)
                    if upload.state == "ready":
                        return upload
                    self._send(upload, file)
                except _PASSING as error:
                    self._wait(error, failures, since)
                    failures += 1

    def _begin(self, length: int) -> Upload:
        name = base64.b64encode(self._path.name.encode()).decode()
        headers = _VERSION | {"Upload-Length": str(length), "Upload-Metadata": f"filename {name}"}
        return Upload.model_validate(self._call("POST", UPLOADS, headers=headers))

    def _look(self, upload_id: str, length: int) -> Upload:
        upload = Upload.model_validate(self._call("GET", f"{UPLOADS}/{upload_id}"))
        if upload.length != length:
            raise DataError(f"upload {upload_id} is of a file with {upload.length} bytes, and this one has {length}")
        if upload.problem is not None:
            raise DataError(upload.problem)
        return upload

    def _send(self, upload: Upload, file: BinaryIO) -> None:
        """The next part; an empty one has a whole file checked."""
        file.seek(upload.offset)
        part = file.read(PART_BYTES)
        if not part and upload.offset < upload.length:
            raise DataError(f"{self._path} became shorter while it was sent")
        checksum = base64.b64encode(hashlib.sha256(part).digest()).decode()
        headers = _VERSION | {
            "Upload-Offset": str(upload.offset),
            "Upload-Checksum": f"sha256 {checksum}",
            "Content-Type": "application/offset+octet-stream",
        }
        self._call("PATCH", f"{UPLOADS}/{upload.id}", headers=headers, content=part, timeout=ANSWER_S)

    def _wait(self, error: ThornbackError, failures: int, since: float) -> None:
        delay = self._backoff.delay(failures)
        most = self._backoff.give_up_after_s
        if most is not None and self._clock() + delay - since > most:
            raise error
        self._on_lost(error, delay)
        self._pause(delay)
