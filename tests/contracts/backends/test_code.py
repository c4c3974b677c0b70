"""Code reaches workers by what is installed there: a submission uploads nothing, whatever folder it is made from."""

from __future__ import annotations

from pathlib import Path

import pytest
from ray.experimental.internal_kv import _internal_kv_list
from ray.job_submission import JobSubmissionClient

from tests.contracts.backends.test_backend import ENDED, job, until
from tests.fixtures.ray import RayNode
from thornback.backends.port import submission_id
from thornback.backends.ray_cluster import RayClusterBackend


async def test_no_working_folder_goes_with_a_job(
    ray_node: RayNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "train_jobs.py").write_text("raise SystemExit('this file was sent')")
    monkeypatch.chdir(tmp_path / "work")
    packages = sorted(_internal_kv_list("gcs://"))
    backend = RayClusterBackend(
        ray_node.settings(tmp_path), entrypoints={"convnext": "tests.contracts.backends.driver"}
    )
    one = job("print 2 and exit 0")
    await backend.start(one, 1)
    await until(backend, submission_id(one.id, 1), *ENDED)
    submitted = JobSubmissionClient(ray_node.dashboard).get_job_info(submission_id(one.id, 1))
    assert (submitted.runtime_env or {}).keys() == {"env_vars"}
    assert sorted(_internal_kv_list("gcs://")) == packages  # where Ray keeps what is uploaded
