"""Uploads go with the last job that names them, or by their age where no unfinished job does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from thornback.artifacts.uploads import delete_upload, stale_uploads
from thornback.jobs.addresses import UPLOAD, uploads_of
from thornback.jobs.state import JobState
from thornback.settings import Settings


class NamingReader(Protocol):
    """The part of the store that is read here."""

    def naming(self, text: str) -> Sequence[JobState]:
        """The jobs whose configuration holds this text. Blocks."""
        ...

    def active(self) -> Sequence[JobState]:
        """Jobs that are not final, or final and to be deleted. Blocks."""
        ...


def give_up_with(job: JobState, settings: Settings, reader: NamingReader) -> None:
    """Delete the uploads that only this job names, which is about to go. Blocks; may be repeated.

    Raises:
        OSError: some are still there.
    """
    for id in uploads_of(job.spec):
        # Those that go as well need it no more: of two that go at once, one would wait for the other.
        if not any(id in uploads_of(other.spec) for other in _staying(reader.naming(UPLOAD + id), job)):
            delete_upload(settings.storage, id)


def sweep_uploads(settings: Settings, reader: NamingReader, *, now: datetime) -> list[str]:
    """Delete those that are too old and that no unfinished job names; returns their ids. Blocks. Raises OSError."""
    stale = stale_uploads(settings.storage, now=now, keep=timedelta(days=settings.upload_keep_days))
    if not stale:
        return []
    # Read after the files: a job that was made meanwhile is seen.
    needed = {id for job in reader.active() if job.final is None for id in uploads_of(job.spec)}
    gone = sorted(stale - needed)
    for id in gone:
        delete_upload(settings.storage, id)
    return gone


def _staying(jobs: Sequence[JobState], job: JobState) -> Sequence[JobState]:
    return [other for other in jobs if other.id != job.id and not other.delete_requested]
