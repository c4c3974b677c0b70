"""A sweep's driver with Ray Tune and a recorder as they are, and trials that are played in this process."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.played import Players, played, submit
from tests.fixtures.ray import RayNode
from tests.fixtures.s3 import S3Server
from thornback.jobs.spec import SweepSpec, parse_spec
from thornback.jobs.state import JobState
from thornback.jobs.status import FailureReason, JobStatus
from thornback.jobs.sweep import FACT_RESULT, FACT_TRIAL
from thornback.metrics.reporter import NullReporter
from thornback.settings import Settings
from train_jobs.common.driver import EXIT_FAILED, EXIT_OK
from train_jobs.sweep import driver as sweep_driver
from train_jobs.sweep import trial
from train_jobs.sweep.driver import SweepDriver

LR = {"config.learning_rate": {"type": "loguniform", "low": 1e-5, "high": 1.0}}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Played jobs go faster than any training."""
    monkeypatch.setattr(trial, "LOOK_S", 0.02)
    monkeypatch.setattr(sweep_driver, "LOOK_S", 0.1)


class Heard(NullReporter):
    """Keeps what the driver said; asks it to stop where a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.facts: dict[str, Any] = {}
        self.summary: dict[str, Any] | None = None
        self.failure: str | None = None
        self.percent: list[float] = []
        self.superseded = False

    @property
    def is_superseded(self) -> bool:
        return self.superseded

    def describe(self, **facts: Any) -> None:
        self.facts |= facts

    def progress(self, *, percent: float, epoch: int, total_epochs: int, eta_seconds: float | None) -> None:
        self.percent.append(percent)

    def succeeded(self, summary: Any = None) -> None:
        self.summary = dict(summary)

    def failed(self, reason: FailureReason, message: str) -> None:
        self.failure = message


def sweep(**config: Any) -> dict[str, Any]:
    whole = {"trial": {"config": {"epochs": 4, "warmup_epochs": 0}}, "space": LR, "seed": 1, **config}
    return {"kind": "sweep", "job_name": "try", "config": whole}


async def drive(players: Players, body: dict[str, Any], sweep_id: str | None = None) -> tuple[Heard, int, str]:
    """Run one attempt to its end."""
    job_id = sweep_id or str(uuid.uuid4())
    job = await submit(players.recorder, body, job_id)
    heard = Heard()
    return heard, await driver(players, job, heard)._main(), job_id


def driver(players: Players, job: JobState, heard: Heard, run_uri: str | None = None) -> SweepDriver:
    spec = parse_spec(job.spec)
    assert isinstance(spec, SweepSpec)
    return SweepDriver(
        job=job,
        spec=spec,
        run_uri=run_uri or str(players.home / "runs" / job.id),
        reporter=heard,
        recorder=players.recorder,
        settings=Settings(home=players.home),
    )


@pytest.mark.slow
async def test_asha_ends_what_is_worse_and_says_why(ray_node: RayNode, tmp_path: Path) -> None:
    asha = {"type": "asha", "reduction": 2}
    body = sweep(scheduler=asha, at_once=3, budget={"trials": 9})
    async with played(tmp_path, epoch_s=0.2) as players:
        heard, code, sweep_id = await drive(players, body)
        jobs = players.reader.parts(sweep_id)
    assert code == EXIT_OK
    assert sorted(job.fact(FACT_TRIAL)["number"] for job in jobs) == list(range(1, 10))
    assert set(players.created.values()) == {1}
    assert players.most_at_once <= 3
    ended = [job for job in jobs if job.status is JobStatus.CANCELLED]
    whole = [job for job in jobs if job.status is JobStatus.COMPLETED]
    assert len(ended) + len(whole) == 9
    assert ended
    assert all((job.ended_early or "").startswith("stopped by asha at epoch ") for job in ended)
    best = min(jobs, key=lambda job: job.fact(FACT_RESULT)["value"])
    assert heard.summary is not None
    assert heard.summary["best_job"] == best.id
    assert (heard.summary["completed"], heard.summary["stopped"]) == (len(whole), len(ended))
    assert heard.percent == sorted(heard.percent)


@pytest.mark.slow
@pytest.mark.parametrize("search", ["optuna", "bohb"])
async def test_optuna_learns_from_the_trials(ray_node: RayNode, tmp_path: Path, search: str) -> None:
    space = {**LR, "config.lr_scheduler": {"type": "choice", "values": ["cosine", "step"]}}
    space["config.warmup_epochs"] = {
        "type": "integer",
        "low": 1,
        "high": 2,
        "when": {"config.lr_scheduler": ["cosine"]},
    }
    async with played(tmp_path, epoch_s=0.02) as players:
        heard, code, sweep_id = await drive(players, sweep(search=search, space=space, budget={"trials": 14}))
        jobs = players.reader.parts(sweep_id)
    assert code == EXIT_OK
    assert len(jobs) == 14
    for job in jobs:
        parameters = job.fact(FACT_TRIAL)["parameters"]
        assert ("config.warmup_epochs" in parameters) == (parameters["config.lr_scheduler"] == "cosine")
    assert heard.summary is not None
    assert heard.summary["best_value"] < 1.5


@pytest.mark.parametrize("where", ["folder", pytest.param("s3", marks=pytest.mark.slow)])
async def test_a_driver_that_dies_leaves_its_trials_and_the_next_one_takes_them_up(
    ray_node: RayNode, tmp_path: Path, where: str, request: pytest.FixtureRequest
) -> None:
    asha = {"type": "asha", "reduction": 2}
    body = sweep(scheduler=asha, at_once=3, budget={"trials": 8})
    run_uri = None
    if where == "s3":
        server: S3Server = request.getfixturevalue("s3")
        run_uri = server.uri(server.make_bucket(), "sweep")
    async with played(tmp_path, epoch_s=0.2) as players:
        job = await submit(players.recorder, body, str(uuid.uuid4()))
        first = Heard()
        task = asyncio.create_task(driver(players, job, first, run_uri)._main())
        while len(players.reader.parts(job.id)) < 5:  # noqa: ASYNC110 - the database is asked
            await asyncio.sleep(0.05)
        first.superseded = True  # it writes nothing of its own any more
        await task
        before = {part.id: part.status for part in players.reader.parts(job.id)}
        assert not all(status.is_final for status in before.values())
        assert first.summary is None
        second = Heard()
        assert await driver(players, job, second, run_uri)._main() == EXIT_OK
        jobs = players.reader.parts(job.id)
    assert sorted(part.fact(FACT_TRIAL)["number"] for part in jobs) == list(range(1, 9))
    assert before.keys() <= {part.id for part in jobs}
    assert set(players.created.values()) == {1}
    assert second.summary is not None
    assert second.summary["completed"] + second.summary["stopped"] == 8


@pytest.mark.slow
async def test_pbt_goes_on_from_the_checkpoint_of_a_better_trial(ray_node: RayNode, tmp_path: Path) -> None:
    pbt = {"type": "pbt", "every": 2, "share": 0.5}
    trial = {"config": {"epochs": 8, "warmup_epochs": 0}}
    async with played(tmp_path, epoch_s=0.15) as players:
        heard, code, sweep_id = await drive(players, sweep(trial=trial, scheduler=pbt, budget={"trials": 4}))
        jobs = players.reader.parts(sweep_id)
    assert code == EXIT_OK
    taken = [job for job in jobs if job.resume_from is not None]
    assert taken
    for job in taken:
        about = job.fact(FACT_TRIAL)
        mates = [job_ for job_ in jobs if job_.fact(FACT_TRIAL)["number"] == about["number"] and job_.id != job.id]
        replaced = f"goes on from trial {about['source']['number']}"
        assert any(replaced in (mate.ended_early or "") or mate.final is JobStatus.COMPLETED for mate in mates)
        assert about["source"]["number"] != about["number"]
    finished = {job.fact(FACT_TRIAL)["number"] for job in jobs if job.status is JobStatus.COMPLETED}
    assert finished == {1, 2, 3, 4}
    assert heard.summary is not None
    assert heard.summary["failed"] == 0


@pytest.mark.slow
async def test_a_sweep_with_failed_trials_ends_and_says_so(ray_node: RayNode, tmp_path: Path) -> None:
    def fails(job: JobState) -> str | None:
        return "the loss became NaN" if job.spec["config"]["batch_size"] == 64 else None

    space = {"config.batch_size": {"type": "grid", "values": [16, 32, 64]}}
    async with played(tmp_path, epoch_s=0.02, fails=fails) as players:
        heard, code, _ = await drive(players, sweep(space=space, search="grid"))
        all_bad = await drive(players, sweep(space={"config.batch_size": {"type": "choice", "values": [64]}}))
    assert code == EXIT_OK
    assert heard.summary is not None
    assert (heard.summary["completed"], heard.summary["failed"]) == (2, 1)
    assert all_bad[1] == EXIT_FAILED
    assert all_bad[0].failure == "none of 10 trials measured val_loss; trial 1: the loss became NaN"


@pytest.mark.slow
async def test_values_that_do_not_go_together_cost_a_trial_and_no_more(ray_node: RayNode, tmp_path: Path) -> None:
    space = {
        "config.epochs": {"type": "grid", "values": [2, 6]},
        "config.warmup_epochs": {"type": "grid", "values": [1, 3]},
    }
    async with played(tmp_path, epoch_s=0.02) as players:
        heard, _, sweep_id = await drive(players, sweep(space=space, search="grid"))
        items = players.reader.items(sweep_id)
    assert heard.summary is not None
    assert (heard.summary["completed"], heard.summary["failed"]) == (3, 1)
    assert [item.error for item in items if item.status == "failed"] == [
        "the values do not go together: config: warmup_epochs (3) must be fewer than epochs (2)"
    ]


@pytest.mark.slow
async def test_when_its_hours_are_over_the_trials_that_run_are_ended_with_that_reason(
    ray_node: RayNode, tmp_path: Path
) -> None:
    trial = {"config": {"epochs": 1000, "warmup_epochs": 0}}
    async with played(tmp_path, epoch_s=0.1) as players:
        heard, code, sweep_id = await drive(players, sweep(trial=trial, budget={"trials": 4, "hours": 0.0005}))
        jobs = players.reader.parts(sweep_id)
    assert code == EXIT_OK
    assert {job.ended_early for job in jobs} == {"the sweep's 0.0005 hours are over"}
    assert heard.summary is not None
    assert heard.summary["ended_by"] == "the sweep's 0.0005 hours are over"
