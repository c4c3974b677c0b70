"""What a pipeline is failed with: the stage, the reason, and what to do."""

from __future__ import annotations

from thornback.errors import FetchFailed, InvalidInput, NotFound, ThornbackError
from thornback.jobs.status import FailureReason
from thornback.jobs.video_stages import VideoStage
from train_jobs.common.failures import Failure, classify


def failure_of(stage: VideoStage, error: Exception) -> Failure:
    """Named after the stage that it happened in."""
    found = classify(error)
    words = f"{_WHILE.get(stage, stage.value)}: {found.message}"
    if isinstance(error, ThornbackError):
        is_source = stage is VideoStage.FETCH and isinstance(error, FetchFailed | NotFound)
        if is_source or isinstance(error, InvalidInput):
            return Failure(FailureReason.INVALID_DATA, words)
        return Failure(found.reason, words)
    return Failure(found.reason, f"{words}; the job's log has the details")


_WHILE = {VideoStage.REVIEW: "after the review"}
