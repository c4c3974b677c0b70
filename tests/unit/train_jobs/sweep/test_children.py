"""The jobs of a sweep's trials: a recorder that is away is waited for, and what is refused is not begun."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.played import played, submit
from thornback.errors import BudgetSpent, Unavailable
from thornback.jobs.spec import SweepSpec, parse_spec
from train_jobs.sweep import children
from train_jobs.sweep.children import Children

SWEEP_ID = "0b5b0f3e-8a0e-4d0b-9a38-0d6f0a1c2b3d"
SPACE = {"config.learning_rate": {"type": "loguniform", "low": 1e-4, "high": 1.0}}
BODY = {"kind": "sweep", "job_name": "try", "config": {"trial": {"config": {"epochs": 2}}, "space": SPACE}}


async def test_a_job_is_made_once_whoever_asks_and_however_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "LOOK_S", 0.01)
    async with played(tmp_path) as players:
        sweep = await submit(players.recorder, BODY, SWEEP_ID)
        spec = parse_spec(sweep.spec)
        assert isinstance(spec, SweepSpec)
        create, away = players.recorder.create, [Unavailable("away"), BudgetSpent("nothing is left")]

        async def failing(new: Any) -> Any:
            if away:
                raise away.pop(0)
            return await create(new)

        monkeypatch.setattr(players.recorder, "create", failing)

        def opened() -> Children:
            return Children(recorder=players.recorder, sweep=sweep, spec=spec, run_uri=str(tmp_path / "run"))

        first = opened()
        values = {"config.learning_rate": 0.01}
        with pytest.raises(BudgetSpent):  # and no Unavailable, which was waited for
            await first.create("trial-a", values, None)
        assert (first.record("trial-a").made, first.record("trial-a").refused) == (False, None)
        job_id = await first.create("trial-a", values, None)
        assert await first.create("trial-a", values, None) == job_id
        second = opened()  # the next attempt
        assert await second.create("trial-a", values, None) == job_id
        assert second.record("trial-b").number == 2
        assert [part.id for part in players.reader.parts(SWEEP_ID)] == [job_id]
