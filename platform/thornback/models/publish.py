"""Making a file of weights a version: copied to its place, checked there, and only then made known."""

from __future__ import annotations

import asyncio
import hashlib
import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from thornback.artifacts.files import Location, join, locate, parent
from thornback.artifacts.layout import CONFIG_FILE, MODEL_FILE, ONNX_FILE, lora_uri, model_uri, storage_key
from thornback.artifacts.onnx import is_whole_onnx
from thornback.artifacts.safetensors import whole_header
from thornback.errors import Conflict, DataError, NotFound
from thornback.jobs.versions import ModelVersion, NewVersion
from thornback.log import get_logger
from thornback.metrics.port import Recorder
from thornback.settings import Settings

# Each try copies the file; so many versions of one model that are published at one moment are no accident.
TRIES = 50

log = get_logger("models")


@dataclass(frozen=True, slots=True)
class _Placed:
    """A file at its place, as read there."""

    size_bytes: int
    sha256: str


async def publish_version(
    recorder: Recorder,
    settings: Settings,
    *,
    model: str,
    user: str,
    job_id: str,
    weights_uri: str,
    config: Mapping[str, Any],
    lineage: Mapping[str, Any],
    now: datetime,
    sha256: str | None = None,
    is_onnx: bool = False,
) -> ModelVersion:
    """The version that a job makes of a model: the next number, or the one that an earlier call made.

    The number in the place of the files is compared with the newest when the version is made known. Where
    another job was faster, the file is copied to the number after it. A call that was interrupted can be
    repeated; what it left behind is written over, or goes with its job.

    Args:
        recorder: the one writer.
        settings: where the storage is.
        model: its name, see `jobs.versions.check_model_name`; made with its first version.
        user: whose model it is.
        job_id: which job made the weights; it has one version.
        weights_uri: the file, anywhere that `locate` reads.
        config: what it was trained with; `trigger`, `steps`, `learning_rate` and `frame_count` where known.
        lineage: what it was made of, see `models.lineage`; without secrets, since people can read it.
        now: when it was made.
        sha256: of the file, hex, where the caller knows it.
        is_onnx: the file is an ONNX model, and no safetensors file of a LoRA.

    Raises:
        InvalidInput: no name of a model.
        NotFound: the weights are not there.
        DataError: they are no whole file of their format, or not the one that the checksum names.
        JobNotFound: the job has been deleted.
        Conflict: the job is being deleted, or is a version of another model.
    """
    plan = await recorder.plan_version(user=user, model=model, job_id=job_id)
    folder_of, name = (model_uri, ONNX_FILE) if is_onnx else (lora_uri, MODEL_FILE)
    owner = (await recorder.job(job_id)).user  # the files lie with the job's others, whoever has the model
    for _ in range(TRIES):
        if plan.version is not None:
            return plan.version
        number = plan.next
        folder = folder_of(settings.storage, owner, job_id, number)
        try:
            target = locate(folder) / name
            placed = await asyncio.to_thread(_place, locate(weights_uri), target, job_id, sha256)
            await asyncio.to_thread(_describe, locate(folder), dict(config), job_id, placed)
        except NotFound:
            # A second run of this job, told that the number is another's, takes away the copy under our hands.
            plan = await recorder.plan_version(user=user, model=model, job_id=job_id)
            if plan.version is None and plan.next == number:
                raise
            continue
        new = NewVersion(
            model=model,
            user=user,
            version=number,
            job_id=job_id,
            key=f"{storage_key(settings.storage, folder)}/{name}",
            size_bytes=placed.size_bytes,
            sha256=placed.sha256,
            at=now,
            config=config,
            lineage=lineage,
        )
        plan = await recorder.register_version(new)
        if plan.version is None or plan.version.version != number:
            # Told by the writer that the number is another's. After any other fault nothing is removed here:
            # the call may have been committed, or a second run of this job may have made this very version.
            log.info("number of a version was taken", model=model, number=number, next=plan.next, job_id=job_id)
            await asyncio.to_thread(locate(folder).delete_tree)
    if plan.version is not None:
        return plan.version
    raise Conflict(f"model {model}: other jobs were faster {TRIES} times; try again later", model=model)


async def remove_files(settings: Settings, version: ModelVersion) -> None:
    """Delete the files of a version that is known no longer."""
    await asyncio.to_thread(locate(parent(weights_uri(settings, version))).delete_tree)


def weights_uri(settings: Settings, version: ModelVersion) -> str:
    """Where the weights of a version lie."""
    return join(settings.storage, version.key)


def _place(source: Location, target: Location, job_id: str, sha256: str | None) -> _Placed:
    """Copy and look at what arrived. Raises NotFound, DataError."""
    source.copy_to(target)
    size = target.size()
    _check_format(target, size, job_id)
    digest = hashlib.sha256()
    for chunk in target.chunks():
        digest.update(chunk)
    found = digest.hexdigest()
    if sha256 is not None and sha256 != found:
        raise DataError(f"the weights of job {job_id} have the SHA-256 {found}, not {sha256} as they were written")
    return _Placed(size_bytes=size, sha256=found)


def _check_format(file: Location, size: int, job_id: str) -> None:
    def read(first: int, length: int) -> bytes:
        return b"".join(file.read_range(first, length))

    if posixpath.basename(file.path) == ONNX_FILE:
        if not is_whole_onnx(read, size):
            raise DataError(f"the model of job {job_id} is no whole ONNX file")
        return
    header = whole_header(read, size)
    if header is None or not header.keys() - {"__metadata__"}:
        raise DataError(f"the weights of job {job_id} are no whole safetensors file with tensors in it")


def _describe(folder: Location, config: Mapping[str, Any], job_id: str, placed: _Placed) -> None:
    about = {**config, "job_id": job_id, "sha256": placed.sha256, "size_bytes": placed.size_bytes}
    (folder / CONFIG_FILE).write_bytes(json.dumps(about, indent=2, sort_keys=True, default=str).encode())
