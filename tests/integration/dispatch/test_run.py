"""A job from its creation to its end."""

from __future__ import annotations

from tests.integration.dispatch.rig import Rig
from thornback.jobs.status import FailureReason, JobStatus
from thornback.secret_settings import private_variables
from thornback.settings import Settings


async def test_a_job_runs_to_its_end(rig: Rig) -> None:
    job_id = await rig.create("counts to four")

    job = await rig.until(job_id, lambda job: job.final)

    assert job.final is JobStatus.COMPLETED
    assert job.attempt == 1
    assert [row.epoch for row in rig.reader.metrics(job_id)] == [1, 2, 3, 4]
    kinds = [kind for kind in rig.kinds(job_id) if kind in ("created", "pending", "scheduled", "started", "succeeded")]
    assert kinds == ["created", "scheduled", "started", "succeeded"]


async def test_the_dashboard_shows_the_job_by_its_name(rig: Rig) -> None:
    from ray.job_submission import JobSubmissionClient

    job_id = await rig.create("radio, night shift", user="grace")
    job = await rig.until(job_id, lambda job: job.final)

    assert rig.dashboard is not None
    details = JobSubmissionClient(rig.dashboard).get_job_info(str(job.submission_id))

    assert details.metadata is not None
    assert details.metadata["job_name"] == "radio, night shift"
    assert details.metadata["user"] == "grace"
    assert details.metadata["job_id"] == job_id
    assert details.metadata["url"].endswith(f"/#/jobs/{job_id}")
    environment = (details.runtime_env or {}).get("env_vars", {})
    assert environment.keys().isdisjoint(private_variables(Settings))


async def test_what_cannot_ever_fit_fails_at_once_and_says_what_is_missing(rig: Rig) -> None:
    job_id = await rig.create("two GPUs", accelerator="gpu", devices=2)

    job = await rig.until(job_id, lambda job: job.final, within_s=10)

    assert job.failure is FailureReason.IMPOSSIBLE_RESOURCES
    assert job.error_message == "needs 2 workers with 1 CPU and 1 GPU each; the cluster has 0 GPUs"
    assert "scheduled" not in rig.kinds(job_id)
