from __future__ import annotations

from dataclasses import replace

import pytest
import ray

from thornback.jobs.state import JobState
from thornback.jobs.status import JobStatus
from thornback.settings import Settings
from train_jobs.common import entry
from train_jobs.common.driver import EXIT_OK
from train_jobs.common.entry import run_job

JOB = JobState(id="job")


@pytest.mark.parametrize(
    ("job", "why"),
    [
        (replace(JOB, final=JobStatus.FAILED), "it is failed already"),
        (replace(JOB, cancel_requested=True), "it is being cancelled"),
    ],
)
def test_a_driver_that_leaves_at_once_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], job: JobState, why: str
) -> None:
    class Recorder:
        async def job(self, job_id: str) -> JobState:
            return job

    def no_driver(**_: object) -> entry.Driver:
        raise AssertionError("it has nothing to do")

    monkeypatch.setattr(entry, "load_settings", Settings)
    monkeypatch.setattr(ray, "init", lambda **_: None)
    monkeypatch.setattr(entry, "connect", lambda _: Recorder())
    assert run_job(no_driver, "job", attempt=3) == EXIT_OK
    assert capsys.readouterr().out == f"== nothing to do for attempt 3 of job job: {why}\n"
