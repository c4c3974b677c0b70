"""Checkpoints in the run's folder, registered with Ray Train, which keeps the best and the last."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import ray.train
from ray.train import Checkpoint, CheckpointUploadMode

from thornback.artifacts.files import Location, join, locate
from thornback.metrics.reporter import Reporter
from train_jobs.common.launch import SCORE, TRAIN_NAME

LAST_CHECKPOINT, BEST_CHECKPOINT = "checkpoint", "best_checkpoint"

S = TypeVar("S")


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec(Generic[S]):
    """How the snapshots of one kind of training become files and back."""

    read: Callable[[Location], S]
    write: Callable[[Path, S], None]  # into an empty folder
    upload: Callable[[Path, Location], int]  # returns the size in bytes
    is_best: Callable[[S], bool]


class RayCheckpoints(Generic[S]):
    """For the workers of a run; only rank 0 has snapshots."""

    def __init__(self, run_uri: str, resume_from: str | None, reporter: Reporter, codec: Codec[S]) -> None:
        self._train = join(run_uri, TRAIN_NAME)
        self._resume_from = resume_from
        self._reporter = reporter
        self._codec = codec
        self._uploads = 0  # handed to Ray Train's thread and not done
        self._changed = threading.Condition()

    def load(self) -> S | None:
        """The newest one, or the one to start from; None at the very beginning."""
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is not None:
            return self._codec.read(locate(join(self._train, Path(checkpoint.path).name)))
        if self._resume_from is not None:
            return self._codec.read(locate(self._resume_from))
        return None

    def save(self, name: str, snapshot: S | None, *, score: float) -> None:
        """Write to a local folder at once and upload from there while training goes on. All workers call this."""
        checkpoint = None
        if snapshot is not None:
            folder = Path(tempfile.mkdtemp(prefix="thornback-checkpoint-"))
            self._codec.write(folder, snapshot)
            checkpoint = Checkpoint.from_directory(folder)
            with self._changed:
                self._uploads += 1
            is_best = self._codec.is_best(snapshot)

            def upload(local: Any, directory: str) -> Any:
                return self._upload(local, directory, is_best=is_best)

        ray.train.report(
            {SCORE: score},
            checkpoint=checkpoint,
            checkpoint_dir_name=name,
            checkpoint_upload_mode=CheckpointUploadMode.ASYNC,
            delete_local_checkpoint_after_upload=True,
            checkpoint_upload_fn=None if checkpoint is None else upload,
        )

    def wait(self) -> None:
        """Until every upload is done; Ray Train would wait for them as well, but after our reporter is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._uploads == 0)

    def _upload(self, local: Any, name: str, *, is_best: bool) -> Any:
        uri = join(self._train, name)
        place = locate(uri)
        try:
            size = self._codec.upload(Path(local.path), place)
            for artifact in (LAST_CHECKPOINT, BEST_CHECKPOINT) if is_best else (LAST_CHECKPOINT,):
                self._reporter.artifact(name=artifact, type="checkpoint", uri=uri, size_bytes=size)
        finally:
            with self._changed:
                self._uploads -= 1
                self._changed.notify_all()
        return Checkpoint(path=place.path, filesystem=place.fs)
