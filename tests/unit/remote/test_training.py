from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.remote.rig import Rig, until
from tests.unit.remote.weights_file import address, safetensors, tar
from thornback.artifacts.files import locate
from thornback.jobs.items import ItemStatus
from thornback.jobs.status import FailureReason, JobStatus
from thornback.providers.memory import Outcome
from thornback.providers.port import OrderPhase

VERSION = "acme/ada:" + "7d" * 32


def finished(content: bytes | None = None, **changes: Any) -> dict[str, Any]:
    """What a training that succeeded says."""
    weights = address(tar(safetensors()) if content is None else content)
    facts = {"output": {"version": VERSION, "weights": weights}, "outputs": (weights,), "version": VERSION}
    return facts | {"predict_time_s": 100.0, "total_time_s": 120.0, "logs": "loading\n100/100\n"} | changes


async def one_order(rig: Rig) -> str:
    """The provider's id of the only order."""
    [taken] = await rig.taken()
    return taken.sighting.provider_id


async def test_from_the_order_to_the_weights(rig: Rig) -> None:
    job_id = await rig.order()
    provider_id = await one_order(rig)
    await rig.until(job_id, lambda job: job.fact("provider_id") == provider_id, "sent")
    job = rig.job(job_id)
    assert job.fact("cost_estimate_usd") == pytest.approx(150 * 0.001525)
    rig.memory.move(provider_id, OrderPhase.PROCESSING, logs="loading\n")
    await rig.until(job_id, lambda job: job.started_at, "started")
    assert rig.job(job_id).stage == "training"
    end = rig.memory.move(provider_id, OrderPhase.SUCCEEDED, **finished())

    job = await rig.ended(job_id)

    assert job.status is JobStatus.COMPLETED, job.error_message
    assert job.completed_at == end.completed_at
    assert job.started_at == end.started_at
    assert job.stage == "saving"
    weights = job.artifacts["lora.safetensors"]
    assert locate(weights.uri).read_bytes() == safetensors()
    assert weights.uri.startswith(rig.settings.run_uri(job_id))
    facts = {name: job.fact(name) for name in job.facts}
    assert facts["cost_usd"] == pytest.approx(100.0 * 0.001525)
    assert facts["provider_version"] == VERSION
    assert (facts["trigger_word"], facts["training_steps"]) == ("ADA", 100)
    assert facts["input_images_url"] == "https://files.test/ada.zip"
    order = rig.item(job_id)
    assert order is not None
    assert (order.status, order.order, order.uri) == (ItemStatus.STORED, 1, weights.uri)
    assert rig.log(job_id) == ["loading", "100/100"]
    assert len(rig.memory.taken) == 1


async def test_the_intent_is_written_down_before_the_order_is_sent(rig: Rig) -> None:
    rig.memory.script.append(Outcome.UNREACHABLE)
    job_id = await rig.order()
    await one_order(rig)
    await rig.until(job_id, lambda job: job.fact("provider_id"), "sent")
    order = rig.item(job_id)
    [taken] = await rig.taken()
    assert order is not None
    assert order.intended_at is not None
    assert taken.sighting.created_at is not None
    assert order.intended_at <= taken.sighting.created_at
    assert any("cannot be reached" in line for line in rig.log(job_id))


@pytest.mark.parametrize("outcome", [Outcome.TAKEN_UNHEARD, Outcome.LOST])
async def test_an_order_whose_answer_was_lost_exists_once(rig: Rig, outcome: Outcome) -> None:
    rig.memory.script.append(outcome)
    job_id = await rig.order()
    provider_id = await one_order(rig)
    rig.memory.move(provider_id, OrderPhase.SUCCEEDED, **finished())

    job = await rig.ended(job_id)

    assert job.status is JobStatus.COMPLETED
    assert len(rig.memory.taken) == 1
    assert rig.memory.finds


async def test_where_the_provider_cannot_tell_nothing_is_sent_again(rig: Rig) -> None:
    rig.memory.list_works = False
    rig.memory.script.append(Outcome.LOST)
    job_id = await rig.order()
    await until(lambda: len(rig.memory.finds) >= 1, "looked for")
    await rig.until(job_id, lambda _: any("cannot tell" in line for line in rig.log(job_id)), "said so")
    assert rig.memory.taken == {}
    await rig.restart()
    await until(lambda: len(rig.memory.finds) >= 2, "looked for again")
    assert rig.memory.taken == {}


async def test_a_refusal_ends_the_job_with_the_providers_words(rig: Rig) -> None:
    rig.memory.script.append(Outcome.REFUSED)
    job = await rig.ended(await rig.order())
    assert (job.status, job.failure) == (JobStatus.FAILED, FailureReason.PROVIDER_REFUSED)
    assert "no" in str(job.error_message)


async def test_a_failed_training_is_not_ordered_again(rig: Rig) -> None:
    job_id = await rig.order()
    rig.memory.move(await one_order(rig), OrderPhase.FAILED, error="CUDA out of memory", logs="step 1\nboom")
    job = await rig.ended(job_id)
    assert (job.failure, job.error_message) == (FailureReason.PROVIDER_FAILED, "CUDA out of memory")
    await until(lambda: rig.log(job_id) == ["step 1", "boom"], "the whole log")
    assert len(rig.memory.taken) == 1


async def test_cancel_ends_the_order_then_the_job(rig: Rig) -> None:
    job_id = await rig.order()
    provider_id = await one_order(rig)
    await rig.until(job_id, lambda job: job.fact("provider_id"), "sent")
    await rig.cancel(job_id)
    job = await rig.ended(job_id)
    assert job.status is JobStatus.CANCELLED
    assert rig.memory.cancels == [provider_id]
    order = rig.item(job_id)
    assert order is not None
    assert order.status is ItemStatus.CANCELLED


async def test_success_that_was_quicker_than_a_cancel_stays(rig: Rig) -> None:
    job_id = await rig.order()
    provider_id = await one_order(rig)
    await rig.until(job_id, lambda job: job.fact("provider_id"), "sent")
    rig.memory.move(provider_id, OrderPhase.SUCCEEDED, **finished())
    await rig.cancel(job_id)
    job = await rig.ended(job_id)
    assert job.status is JobStatus.COMPLETED
    assert "lora.safetensors" in job.artifacts


async def test_cancelled_at_the_provider_is_a_failure(rig: Rig) -> None:
    job_id = await rig.order()
    rig.memory.move(await one_order(rig), OrderPhase.CANCELLED, status="aborted")
    job = await rig.ended(job_id)
    assert (job.status, job.failure) == (JobStatus.FAILED, FailureReason.PROVIDER_CANCELLED)


async def test_an_order_that_the_provider_forgot_is_lost_after_several_looks(rig: Rig) -> None:
    job_id = await rig.order()
    provider_id = await one_order(rig)
    await rig.until(job_id, lambda job: job.fact("provider_id"), "sent")
    rig.memory.forget(provider_id)
    job = await rig.ended(job_id)
    assert (job.status, job.failure) == (JobStatus.FAILED, FailureReason.PROVIDER_LOST)


async def test_weights_that_are_gone_fail_the_job_and_keep_the_version(rig: Rig) -> None:
    job_id = await rig.order()
    rig.memory.move(await one_order(rig), OrderPhase.SUCCEEDED, **finished(output={"version": VERSION}, outputs=()))
    job = await rig.ended(job_id)
    assert (job.status, job.failure) == (JobStatus.FAILED, FailureReason.OUTPUT_LOST)
    assert VERSION in str(job.error_message)
    assert job.fact("provider_version") == VERSION


@pytest.mark.parametrize("content", [b"<html>expired</html>", tar(b"no tensors"), tar(safetensors()[:-1])])
async def test_what_is_no_lora_is_not_taken_for_one(rig: Rig, content: bytes) -> None:
    job_id = await rig.order()
    rig.memory.move(await one_order(rig), OrderPhase.SUCCEEDED, **finished(content))
    job = await rig.ended(job_id)
    assert (job.status, job.failure) == (JobStatus.FAILED, FailureReason.OUTPUT_LOST)
    assert job.artifacts == {}


async def test_a_dataset_of_ours_is_handed_over_once(rig: Rig, tmp_path: Path) -> None:
    job_id = await rig.order(dataset=str(tmp_path / "nothing"))
    job = await rig.ended(job_id)
    assert (job.status, job.failure) == (JobStatus.FAILED, FailureReason.INVALID_DATA)
    assert "config.dataset" in str(job.error_message)
    assert rig.memory.taken == {}


@pytest.mark.parametrize("at", ["before the order", "while it runs", "after it ended"])
async def test_a_new_tracker_goes_on(rig: Rig, at: str) -> None:
    job_id = await rig.create()
    if at == "before the order":
        await rig.restart()
        provider_id = await one_order(rig)
    else:
        await rig.tracker.start(job_id)
        provider_id = await one_order(rig)
        rig.memory.move(provider_id, OrderPhase.PROCESSING, logs="loading\n")
        await rig.until(job_id, lambda _: rig.log(job_id), "a log")
        if at == "after it ended":
            await rig.kill()
            rig.memory.move(provider_id, OrderPhase.SUCCEEDED, **finished())
        await rig.restart()
    if at != "after it ended":
        rig.memory.move(provider_id, OrderPhase.SUCCEEDED, **finished())

    job = await rig.ended(job_id)

    assert job.status is JobStatus.COMPLETED
    assert len(rig.memory.taken) == 1
    assert rig.log(job_id) == ["loading", "100/100"]


async def test_killed_between_the_order_and_its_answer(rig: Rig) -> None:
    await rig.kill()
    job_id = await rig.create()

    submit = rig.memory.submit

    async def taken_but_never_answered(order: Any) -> Any:
        await submit(order)
        await rig.forever()

    rig.memory.submit = taken_but_never_answered  # type: ignore[method-assign]
    await rig.restart()
    await one_order(rig)
    rig.memory.submit = submit  # type: ignore[method-assign]

    await rig.restart()

    provider_id = await one_order(rig)
    await rig.until(job_id, lambda job: job.fact("provider_id") == provider_id, "found")
    assert len(rig.memory.taken) == 1


async def test_a_provider_that_is_down_does_not_stop_its_jobs(rig: Rig) -> None:
    job_id = await rig.order()
    provider_id = await one_order(rig)
    await rig.until(job_id, lambda job: job.fact("provider_id"), "sent")
    rig.memory.down = True
    await until(lambda: rig.tracker.health()["breaker"] == "open", "open")
    assert rig.job(job_id).final is None
    rig.memory.down = False
    rig.memory.move(provider_id, OrderPhase.SUCCEEDED, **finished())
    assert (await rig.ended(job_id)).status is JobStatus.COMPLETED
