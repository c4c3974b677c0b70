from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from thornback.errors import DataError, FetchFailed, InvalidInput, TrainingFailed, Unavailable
from thornback.jobs.spec import parse_spec
from thornback.jobs.status import FailureReason
from thornback.jobs.video_stages import VideoStage
from thornback.metrics.reporter import NullReporter
from thornback.settings import Settings
from train_jobs.video_lora.driver import make_driver, share_of, sweep
from train_jobs.video_lora.failure import failure_of
from train_jobs.video_lora.run import work_folder

BODY = {"kind": "video_lora", "job_name": "cat", "config": {"video_url": "https://x/y.mp4", "trigger_word": "TOK"}}


@pytest.mark.parametrize(
    ("cores", "pipelines", "share"),
    [(1, 1, 1), (2, 1, 2), (2, 2, 1), (4, 1, 3), (8, 1, 6), (8, 4, 1), (64, 4, 12), (4, 9, 1), (4, 0, 3)],
)
def test_pipelines_share_the_cores_and_leave_some(cores: int, pipelines: int, share: int) -> None:
    assert share_of(cores, pipelines) == share


@pytest.mark.parametrize(
    ("stage", "error", "reason", "message"),
    [
        (VideoStage.FETCH, FetchFailed("404 of x"), FailureReason.INVALID_DATA, "fetching the video: 404 of x"),
        (VideoStage.FETCH, Unavailable("away"), FailureReason.EXCEPTION, "fetching the video: away"),
        (VideoStage.DATASET, DataError("too few"), FailureReason.INVALID_DATA, "making the dataset: too few"),
        (
            VideoStage.TRAIN,
            TrainingFailed("no credit (training x)", reason="provider_refused"),
            FailureReason.PROVIDER_REFUSED,
            "training: no credit (training x)",
        ),
        (VideoStage.REVIEW, Unavailable("away"), FailureReason.EXCEPTION, "after the review: away"),
        (
            VideoStage.STORE,
            KeyError("x"),
            FailureReason.EXCEPTION,
            "storing the dataset: KeyError: 'x'; the job's log has the details",
        ),
    ],
)
def test_a_failure_names_its_stage(stage: VideoStage, error: Exception, reason: FailureReason, message: str) -> None:
    failure = failure_of(stage, error)
    assert (failure.reason, failure.message) == (reason, message)


def test_without_a_platform_it_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="start one with `thornback submit`"):
        make_driver(
            spec=parse_spec(BODY), settings=Settings(home=tmp_path), run_uri=str(tmp_path), reporter=NullReporter()
        )


def test_what_dead_drivers_left_goes_after_a_day(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, storage="s3://bucket/x")
    old, new = work_folder(settings, "old"), work_folder(settings, "new")
    for folder in (old, new):
        (folder / "frames").mkdir(parents=True)
    now = time.time()
    os.utime(old, (now - 90_000, now - 90_000))
    sweep(settings, now=now)
    assert (old.exists(), new.exists()) == (False, True)


def test_in_a_folder_the_work_is_where_the_layout_has_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, storage=str(tmp_path / "store"))
    assert work_folder(settings, "abc") == tmp_path / "store" / "temp" / "abc"
