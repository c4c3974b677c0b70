from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.unit.remote.rig import QUICK, Rig, until
from thornback.artifacts.files import locate
from thornback.artifacts.layout import images_uri
from thornback.errors import OrderUnknown
from thornback.jobs.items import ItemStatus
from thornback.jobs.status import FailureReason, JobStatus
from thornback.providers.memory import Outcome, Taken
from thornback.providers.port import OrderPhase

SET: Mapping[str, Any] = {
    "job_name": "Ada",
    "kind": "image_set",
    "backend": "replicate",
    "config": {"character": "ada", "prompts": ["front view", "in profile"], "count": 6},
}


def picture(kind: str = "webp") -> str:
    """A small picture as a data: address."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(out, kind)
    return f"data:image/{kind};base64,{base64.b64encode(out.getvalue()).decode()}"


def succeed(rig: Rig, *taken: Taken, address: str | None = None) -> None:
    """Let orders succeed."""
    for one in taken:
        outputs = (address or picture(),)
        rig.memory.move(one.sighting.provider_id, OrderPhase.SUCCEEDED, outputs=outputs, output=list(outputs))


async def test_all_are_ordered_at_once_and_stored_as_they_come(rig: Rig) -> None:
    job_id = await rig.order(SET)
    taken = await rig.taken(6)
    assert len({one.order.inputs["seed"] for one in taken}) == 6
    assert [one.order.inputs["prompt"] for one in sorted(taken, key=lambda one: one.order.item)] == [
        "front view",
        "in profile",
    ] * 3

    succeed(rig, taken[0])
    first = taken[0].order.item
    await until(lambda: (rig.item(job_id, first) or taken[0]).status == ItemStatus.STORED, "the first")  # type: ignore[union-attr]
    await rig.until(job_id, lambda job: job.fact("images_done") == 1, "counted")
    assert rig.job(job_id).final is None
    assert rig.job(job_id).progress == pytest.approx(100 / 6)
    succeed(rig, *taken[1:])

    job = await rig.ended(job_id)

    assert job.status is JobStatus.COMPLETED
    names = [file.path for file in locate(images_uri(rig.settings.storage, job_id)).files()]
    assert names == [f"ada_training_{number:02d}.jpg" for number in range(1, 7)]
    stored = rig.item(job_id, 3)
    assert stored is not None
    assert stored.content_type == "image/jpeg"
    assert Image.open(io.BytesIO(locate(str(stored.uri)).read_bytes())).format == "JPEG"
    assert {name: job.fact(name) for name in ("images_total", "images_done", "images_failed", "success_rate")} == {
        "images_total": 6,
        "images_done": 6,
        "images_failed": 0,
        "success_rate": 1.0,
    }
    assert job.fact("cost_usd") == pytest.approx(6 * 0.003)


async def test_a_failed_image_is_ordered_again_and_no_more_than_that(rig: Rig) -> None:
    job_id = await rig.order(SET, count=2, max_tries=2)
    succeed(rig, *[one for one in await rig.taken(2) if one.order.item == 1])
    for number in (1, 2):
        taken = await rig.taken(1 + number)
        [order] = [one for one in taken if (one.order.item, one.order.number) == (2, number)]
        rig.memory.move(order.sighting.provider_id, OrderPhase.FAILED, error="NSFW content detected")

    job = await rig.ended(job_id)

    assert job.status is JobStatus.COMPLETED
    assert len(rig.memory.taken) == 3
    assert (job.fact("images_done"), job.fact("images_failed"), job.fact("success_rate")) == (1, 1, 0.5)
    assert "NSFW content detected" in str(job.fact("reason"))
    lost = rig.item(job_id, 2)
    assert lost is not None
    assert (lost.status, lost.order, lost.error) == (ItemStatus.FAILED, 2, "NSFW content detected")


async def test_none_is_a_failure(rig: Rig) -> None:
    job_id = await rig.order(SET, count=2, max_tries=1)
    for one in await rig.taken(2):
        rig.memory.move(one.sighting.provider_id, OrderPhase.FAILED, error="NSFW content detected")
    job = await rig.ended(job_id)
    assert (job.status, job.failure) == (JobStatus.FAILED, FailureReason.PROVIDER_FAILED)
    assert job.error_message == "NSFW content detected"


async def test_what_was_refused_is_not_tried_again(rig: Rig) -> None:
    rig.memory.script.extend([Outcome.REFUSED] * 2)
    job = await rig.ended(await rig.order(SET, count=2))
    assert (job.status, job.failure) == (JobStatus.FAILED, FailureReason.PROVIDER_REFUSED)
    assert rig.memory.taken == {}


async def test_what_is_no_picture_costs_a_try(rig: Rig) -> None:
    job_id = await rig.order(SET, count=1, max_tries=2)
    succeed(rig, *await rig.taken(1), address="data:image/png;base64,aGVsbG8=")
    [_, second] = await rig.taken(2)
    succeed(rig, second)
    job = await rig.ended(job_id)
    assert job.status is JobStatus.COMPLETED
    assert len(rig.memory.taken) == 2


async def test_cancel_ends_what_runs_and_keeps_what_is_there(rig: Rig) -> None:
    job_id = await rig.order(SET, count=3)
    taken = await rig.taken(3)
    succeed(rig, taken[0])
    await rig.until(job_id, lambda job: job.fact("images_done") == 1, "one")
    await rig.cancel(job_id)
    job = await rig.ended(job_id)
    assert job.status is JobStatus.CANCELLED
    assert len(rig.memory.cancels) == 2
    assert len(locate(images_uri(rig.settings.storage, job_id)).files()) == 1


async def test_lost_answers_and_a_new_tracker_make_no_second_order(rig: Rig) -> None:
    rig.memory.script.extend([Outcome.TAKEN_UNHEARD, Outcome.TAKEN, Outcome.LOST, Outcome.TAKEN, Outcome.TAKEN_UNHEARD])
    job_id = await rig.order(SET)
    await rig.taken(4)
    await rig.restart()
    taken = await rig.taken(6)
    await rig.restart()
    succeed(rig, *taken)
    job = await rig.ended(job_id)
    assert job.fact("images_done") == 6
    assert len(rig.memory.taken) == 6
    assert len({item.provider_id for item in rig.reader.items(job_id)}) == 6


async def test_nothing_is_polled_while_webhooks_can_come(tmp_path: Path) -> None:
    rig = Rig(tmp_path, pace=QUICK, public_url="https://thornback.test")
    rig.start()
    looks: list[str] = []

    async def look(endpoint: str, call: str, provider_id: str) -> Any:
        looks.append(provider_id)
        raise OrderUnknown("not to be asked")

    rig.memory.look = look  # type: ignore[method-assign]
    try:
        job_id = await rig.order(SET)
        for one in await rig.taken(6):
            assert str(one.order.webhook_url).startswith("https://thornback.test/api/v1/webhooks/replicate?job=")
            await until(lambda one=one: bool((rig.item(job_id, one.order.item) or one).provider_id), "sent")  # type: ignore[misc]
            await rig.webhook(one, phase=OrderPhase.SUCCEEDED, status="succeeded", outputs=(picture(),))
        job = await rig.ended(job_id)
    finally:
        await rig.close()
    assert job.status is JobStatus.COMPLETED
    assert looks == []
