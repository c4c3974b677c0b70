"""What a job keeps in the storage, and how it goes."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from thornback.artifacts.files import Location, locate
from thornback.artifacts.layout import dataset_uri, images_uri, loras_uri, models_uri, temp_uri, work_folder
from thornback.jobs.state import JobState
from thornback.jobs.versions import ModelVersion
from thornback.settings import Settings


def delete_files(settings: Settings, job: JobState, kept: Collection[ModelVersion]) -> None:
    """Delete all files of a job but those of the versions in `kept`. Blocks; may be repeated.

    Raises:
        OSError: some are still there.
    """
    for folder in _folders(settings, job):
        folder.delete_tree()
    numbers = {f"v{version.version}" for version in kept}
    for uri in (loras_uri, models_uri):
        versions = locate(uri(settings.storage, job.user, job.id))
        if not numbers:
            versions.delete_tree()
            continue
        for name in versions.folders():
            if name not in numbers:
                (versions / name).delete_tree()


def delete_temporary(settings: Settings, job_id: str) -> None:
    """Delete what only a job's own run needed, where that can do so no more. Blocks; may be repeated.

    Raises:
        OSError: some of it is still there.
    """
    locate(temp_uri(settings.storage, job_id)).delete_tree()
    # Of a driver on this machine; elsewhere the next driver there sweeps.
    locate(str(work_folder(settings.storage, settings.home, job_id))).delete_tree()


def _folders(settings: Settings, job: JobState) -> Iterator[Location]:
    storage = settings.storage
    yield locate(settings.run_uri(job.id))
    yield locate(images_uri(storage, job.id))
    yield locate(dataset_uri(storage, job.user, job.id))
    yield locate(temp_uri(storage, job.id))
