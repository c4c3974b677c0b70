"""The checker finds what is wrong, and a small storm has nothing of it: trackers that are killed, no Ray."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.faults.history import Verdict, check
from tests.faults.killer import Loss
from tests.faults.listener import Listener, not_told, to_be_told
from tests.faults.outcome import notices_s
from tests.faults.plan import IMAGES, Fate, Planned
from tests.faults.storm import make_dataset
from tests.faults.user import Asked
from tests.unit.remote.rig import QUICK, Rig, now, until
from thornback.jobs.events import Attempt, EventFactory
from thornback.jobs.status import FailureReason, JobStatus
from thornback.providers.open import open_provider
from thornback.settings import Settings
from thornback.simulator.orders import Order
from thornback.simulator.scenario import Scenario
from thornback.simulator.server import SimulatorServer
from thornback.store.engine import open_engine

JOBS, KILLS = 4, 3


@pytest.fixture
def simulator() -> Iterator[SimulatorServer]:
    """A fast one, which keeps what it made however slow we are."""
    with SimulatorServer(Scenario(speed=800, output_ttl_s=86_400)) as server:
        yield server


@pytest.fixture
async def rig(simulator: SimulatorServer, tmp_path: Path) -> AsyncIterator[Rig]:
    """A platform whose webhooks come to nobody: what was ordered says for which job."""
    values: dict[str, Any] = {
        "replicate_api_token": simulator.replicate_token,
        "replicate_url": simulator.url,
        "replicate_webhook_secrets": simulator.webhook_secret,
        "public_url": "http://127.0.0.1:1",
        "provider_settle_s": 2.0,
        "fetch_allow": "127.0.0.1",
    }
    settings = Settings(home=tmp_path / "platform", **values)
    rig = Rig(settings.home, provider=open_provider("replicate", settings, now), pace=QUICK, **values)
    rig.start()
    yield rig
    await rig.close()


def planned(kind: str, dataset: str) -> Planned:
    """A job that ends by itself."""
    if kind == "lora":
        config: dict[str, Any] = {"dataset": dataset, "trigger_word": "ADA", "steps": 300}
    else:
        config = {"character": "ada", "prompts": ["front view", "in profile"], "count": IMAGES}
    body = {"job_name": kind, "kind": kind, "backend": "replicate", "config": config}
    return Planned(
        name=kind, body=body, fate=Fate.WATCH, end=JobStatus.COMPLETED, orders=1 if kind == "lora" else IMAGES
    )


async def ended(rig: Rig, asked: list[Asked]) -> None:
    """Wait for all, on a busy machine too."""
    await until(lambda: all(rig.job(one.job_id).final for one in asked), "all have ended", within_s=120)


def judge(rig: Rig, asked: list[Asked], simulator: SimulatorServer) -> Verdict:
    """The checker on this platform."""
    return check(asked, reader=rig.reader, settings=rig.settings, orders=simulator.orders)


async def test_a_small_storm_over_trackers(rig: Rig, simulator: SimulatorServer, tmp_path: Path) -> None:
    dataset, chance = make_dataset(tmp_path / "pictures"), random.Random(7)
    asked: list[Asked] = []
    for number in range(JOBS):
        plan = planned("lora" if number % 2 else "image_set", dataset)
        asked.append(Asked(plan, await rig.order(plan.body)))
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.05, 0.4))
        await rig.restart()
    await ended(rig, asked)
    verdict = judge(rig, asked, simulator)
    assert verdict.findings == []
    assert verdict.orders == JOBS // 2 * (1 + IMAGES)


async def test_what_is_wrong_is_found(rig: Rig, simulator: SimulatorServer, tmp_path: Path) -> None:
    plan = planned("image_set", make_dataset(tmp_path / "pictures"))
    asked = [Asked(plan, await rig.order(plan.body))]
    await ended(rig, asked)
    assert judge(rig, asked, simulator).findings == []

    [first, *_] = list(simulator.orders)
    facts: dict[str, Any] = {"endpoint": "", "inputs": {}, "created_at": now(), "webhook": first.webhook}
    again = Order(id="again", provider="replicate", kind="prediction", **facts)
    simulator.orders.add(again)
    assert len(judge(rig, asked, simulator).orders_doubled) == 1

    lost = Asked(plan, str(uuid.uuid4()))
    assert len(judge(rig, [*asked, lost], simulator).jobs_lost_or_doubled) == 1
    assert len(judge(rig, [], simulator).jobs_lost_or_doubled) == 1
    assert judge(rig, [Asked(plan, asked[0].job_id, too_late=True)], simulator).wrong_ends == []
    deleted = Planned(name="x", body={}, fate=Fate.DELETE, end=None)
    assert len(judge(rig, [Asked(deleted, asked[0].job_id)], simulator).wrong_ends) == 1


async def test_lost_and_doubled_rows_are_found(rig: Rig, simulator: SimulatorServer) -> None:
    body = {"job_name": "t", "config": {"accelerator": "cpu", "epochs": 3}}
    plan = Planned(name="t", body=body, fate=Fate.WATCH, end=JobStatus.COMPLETED, epochs=3)
    job_id = await rig.create(body)
    make, at = EventFactory(job_id), datetime.now(UTC)
    rows = [make.metrics(epoch=epoch, batch=None, phase="val", values={"val_loss": 1.0}, at=at) for epoch in (1, 3)]
    await rig.recorder.record([*rows, make.succeeded(Attempt(), at=at)])
    asked = [Asked(plan, job_id)]
    assert len(judge(rig, asked, simulator).rows_lost_or_doubled) == 1  # the second is missing

    engine = open_engine(rig.settings.database_url, writer=True)
    columns = "timestamp, training_job_id, event_id, epoch, batch, phase"
    copy = f"INSERT INTO training_metrics (id, {columns}) SELECT :id, {columns} FROM training_metrics WHERE epoch = 1"
    with engine.begin() as connection:
        connection.execute(sa.text(copy), {"id": uuid.uuid4().hex})
    engine.dispose()
    assert len(judge(rig, asked, simulator).rows_lost_or_doubled) == 2


async def test_messages_that_were_not_taken_are_found(rig: Rig) -> None:
    job_id = await rig.create({"job_name": "t", "config": {"accelerator": "cpu"}})
    await rig.recorder.record([EventFactory(job_id).succeeded(Attempt(), at=datetime.now(UTC))])
    listener, wanted = Listener(), sorted(to_be_told(rig.reader))
    assert len(wanted) == 2  # made, completed
    listener.taken.update(wanted)
    assert not_told(listener, rig.reader) == []
    del listener.taken[wanted[0]]
    listener.taken[f"{wanted[0]}9"] += 1
    assert len(not_told(listener, rig.reader)) == 2


async def test_a_loss_counts_until_it_is_told(rig: Rig) -> None:
    job_id = await rig.create({"job_name": "t", "config": {"accelerator": "cpu"}})
    at = datetime.now(UTC)
    make = EventFactory(job_id)
    lost = FailureReason.DRIVER_LOST
    await rig.recorder.record([make.failed(Attempt(), reason=lost, message="lost", at=at + timedelta(seconds=7))])
    losses = [Loss(job_id=job_id, attempt=1, at=at), Loss(job_id=job_id, attempt=1, at=at + timedelta(seconds=9))]
    assert list(notices_s(losses, rig.reader)) == [7.0]


@pytest.mark.parametrize(("backend", "wrong"), [("fal", 0), ("replicate", 1)])
async def test_only_fal_may_leave_an_order_in_doubt(
    rig: Rig, simulator: SimulatorServer, backend: str, wrong: int
) -> None:
    plan = planned("image_set", "")
    job_id = await rig.create({**plan.body, "backend": backend})
    message = f"{backend} may or may not have taken the order: look at your account there before ordering again"
    ended = EventFactory(job_id).failed(
        Attempt(), reason=FailureReason.PROVIDER_LOST, message=message, at=datetime.now(UTC)
    )
    await rig.recorder.record([ended])
    verdict = judge(rig, [Asked(plan, job_id)], simulator)
    assert (verdict.in_doubt, len(verdict.wrong_ends), len(verdict.orders_doubled)) == (1 - wrong, wrong, wrong)
