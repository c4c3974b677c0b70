"""What a sweep's driver does with its best trial where the sweep says `publish`."""

from __future__ import annotations

from typing import Any

from tests.fixtures.api import ApiPlatform
from tests.fixtures.sweeps import swept, tried
from tests.unit.api.test_sweeps import with_file
from thornback.jobs.spec import SweepSpec, parse_spec
from thornback.jobs.state import JobState
from thornback.store.models import ModelReader
from train_jobs.sweep.children import Record
from train_jobs.sweep.driver import SweepDriver


class Told:
    """Keeps what a driver tells."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self.lines: list[str] = []
        self.stages: list[str] = []

    def describe(self, **facts: Any) -> None:
        self.facts |= facts

    def log(self, line: str) -> None:
        self.lines.append(line)

    def stage(self, name: str) -> None:
        self.stages.append(name)


def driver_of(api: ApiPlatform, sweep: JobState, trials: list[JobState], told: Any) -> SweepDriver:
    spec = parse_spec(sweep.spec)
    assert isinstance(spec, SweepSpec)
    driver = SweepDriver(
        job=sweep,
        spec=spec,
        run_uri=api.settings.run_uri(sweep.id),
        reporter=told,
        recorder=api.recorder,
        settings=api.settings,
    )
    records = {job.id: Record(number=number, jobs=[job.id], made=True) for number, job in enumerate(trials, 1)}
    driver._children.records |= {**records, "refused": Record(number=9, refused="the values do not go together")}
    return driver


async def test_the_best_completed_trial_is_published_once(api: ApiPlatform) -> None:
    sweep = await swept(api, publish=True, model="birds")
    trials = [
        await tried(api, sweep, 1, 0.9),
        await tried(api, sweep, 2, 0.4),
        await tried(api, sweep, 3, 0.1, ends="stopped"),
    ]
    await with_file(api, trials[1])
    told = Told()
    for _ in range(2):  # a driver that died after it had published
        await driver_of(api, sweep, trials, told)._publish()
    version = ModelReader(api.reader.engine).version("local", "birds", "latest")
    assert (version.version, version.job_id) == (1, trials[1].id)
    assert told.facts == {"model": "birds", "model_version": 1, "version_of": trials[1].id}
    assert told.lines == ["published as birds v1"] * 2


async def test_what_cannot_be_published_is_told_and_no_failure(api: ApiPlatform) -> None:
    sweep = await swept(api, publish=True)
    stopped = await tried(api, sweep, 1, 0.9, ends="stopped")
    fileless = await tried(api, sweep, 2, 0.4)
    told = Told()
    await driver_of(api, sweep, [stopped], told)._publish()
    await driver_of(api, sweep, [stopped, fileless], told)._publish()
    assert told.facts == {}
    assert told.lines[0].startswith(f"nothing was published: no trial of sweep {sweep.id} has completed with a value")
    assert told.lines[1].endswith("of kind convnext has made no ONNX file")
