"""Asking a running job to save, to draw samples, or to end with its result kept."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.fixtures.api import JOBS, ApiPlatform, Reports, now
from thornback.jobs.events import EventFactory

LORA = {"kind": "lora", "job_name": "fox", "config": {"base_model": "/models/flux", "dataset": "/data/fox"}}
WISHES = ("save", "sample", "finish")


async def test_a_running_lora_training_is_asked(api: ApiPlatform) -> None:
    job = await api.create_spec(LORA)
    await api.record(Reports(job.id).started())
    async with api.client() as client:
        answers = [await client.post(f"{JOBS}/{job.id}/{wish}") for wish in WISHES]
        again = (await client.post(f"{JOBS}/{job.id}/save")).json()["job"]["asked"]
        shown = (await client.get(f"{JOBS}/{job.id}")).json()["job"]["asked"]
    assert [answer.status_code for answer in answers] == [202, 202, 202]
    assert sorted(shown) == sorted(WISHES)
    assert shown == again
    assert datetime.fromisoformat(again["save"]) > datetime.fromisoformat(answers[0].json()["job"]["asked"]["save"])


@pytest.mark.parametrize("wish", WISHES)
async def test_who_would_not_hear_it_is_not_asked(api: ApiPlatform, wish: str) -> None:
    waiting, stopping, ended = [await api.create_spec(LORA) for _ in range(3)]
    other = await api.create()
    cancel = EventFactory(stopping.id).cancel_requested(user="ada", at=now())
    await api.record(*(Reports(job.id).started() for job in (other, stopping, ended)))
    await api.record(cancel, Reports(ended.id).succeeded())
    async with api.client() as client:
        answers = [await client.post(f"{JOBS}/{job.id}/{wish}") for job in (waiting, stopping, ended, other)]
    assert [answer.status_code for answer in answers] == [409] * 4
    assert [answer.json()["code"] for answer in answers] == ["conflict", "conflict", "job_is_final", "conflict"]
    assert answers[0].json()["detail"] == f"job {waiting.id} is queued; ask it to {wish} once it runs"
    assert "of kind convnext on ray" in answers[3].json()["detail"]
    assert not any(api.reader.job(job.id).state.asked for job in (waiting, stopping, ended, other))
