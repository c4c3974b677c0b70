"""Providers, what they have, what a job there costs, and what is refused before it costs anything."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from serve_apps.api.examples import REMOTE_EXAMPLES
from tests.fixtures.api import FIRST, JOBS, ApiPlatform, now
from tests.fixtures.remote import IMAGE_SET, LORA, AskedTracker, Told, training
from thornback.jobs.events import EventFactory

PROVIDERS, ESTIMATE = "/api/v1/providers", "/api/v1/training/estimate"
TOKEN: dict[str, Any] = {"replicate_api_token": "r8_test"}


def lora(**config: Any) -> dict[str, Any]:
    return {**LORA, "config": {**LORA["config"], **config}}


async def test_providers_say_how_they_are(api: ApiPlatform) -> None:
    await training(api)
    app = api.app(
        trackers=AskedTracker(), **TOKEN, public_url="https://train.example/", provider_slots={"replicate": 4}
    )
    async with api.client(app) as client:
        replicate, fal = (await client.get(PROVIDERS)).json()["providers"]
    assert (replicate["name"], replicate["configured"], replicate["slots"]) == ("replicate", True, 4)
    assert (replicate["breaker"], replicate["failures"], replicate["last_error"]) == ("open", 5, "502")
    assert (replicate["followed"], replicate["open_orders"]) == (True, 1)
    assert replicate["webhooks"]["url"] == "https://train.example/api/v1/webhooks/replicate"
    assert (fal["configured"], fal["problem"], fal["slots"]) == (False, "THORNBACK_FAL_KEY is not set", 10)


async def test_without_a_public_address_there_are_no_webhooks(api: ApiPlatform) -> None:
    async with api.client(**TOKEN) as client:
        replicate = (await client.get(PROVIDERS)).json()["providers"][0]
    assert (replicate["webhooks"]["on"], replicate["webhooks"]["url"]) == (False, None)
    assert "THORNBACK_PUBLIC_URL" in replicate["webhooks"]["why"]
    assert (replicate["followed"], replicate["problem"]) == (False, "nothing follows replicate here")


async def test_the_catalogue_has_ranges_and_prices(api: ApiPlatform) -> None:
    async with api.client() as client:
        replicate = (await client.get(f"{PROVIDERS}/replicate/catalogue")).json()
        unknown = await client.get(f"{PROVIDERS}/runpod/catalogue")
    trainer = next(row for row in replicate["trainers"] if row["name"] == "flux-dev-lora")
    assert trainer["default"] is True
    assert (trainer["inputs"]["steps"]["min"], trainer["inputs"]["steps"]["max"]) == (3, 6000)
    assert trainer["fields"]["dataset"] == "input_images"
    assert trainer["captioning"] == ["automatic", "disabled", "manual"]
    assert (trainer["price"]["per"], trainer["price"]["usd"]) == ("second", 0.001525)
    assert any(row["default"] for row in replicate["image_models"])
    assert unknown.status_code == 422


async def test_an_estimate_says_how_it_came_about(api: ApiPlatform) -> None:
    async with api.client() as client:
        training, fal, images, own = [
            (await client.post(ESTIMATE, json=body)).json()
            for body in (
                lora(),
                lora(trainer=None, destination=None, captioning=None) | {"backend": "fal"},
                IMAGE_SET,
                {"job_name": "x"},
            )
        ]
    # 300 of the usual 1000 steps in 1500 s, at 0.001525 USD a second
    assert (training["model"], training["seconds"], training["cost_usd"]) == ("flux-dev-lora", 450.0, 0.68625)
    assert "1500 s for 1000" in training["seconds_basis"]
    assert "H100" in training["cost_basis"]
    assert fal["cost_usd"] > 0
    assert "step" in fal["cost_basis"]
    assert "all 6 are ordered at once" in images["seconds_basis"]
    assert (own["cost_usd"], own["seconds"], own["cost_basis"]) == (None, None, "it runs on this cluster")


async def test_an_estimate_learns_from_trainings_that_ended(api: ApiPlatform) -> None:
    for seconds in (100.0, 200.0, 600.0):
        _job, told = await training(api)
        await api.record(told.facts(training_steps=100, predict_time=seconds), told.succeeded())
    async with api.client() as client:
        estimate = (await client.post(ESTIMATE, json=lora(steps=300))).json()
    assert (estimate["seconds"], estimate["seconds_origin"]) == (600.0, "history")


async def test_an_estimate_of_our_own_learns_from_jobs_that_ended(api: ApiPlatform) -> None:
    for minutes in (10, 12, 14):
        job = await api.create("past", epochs=10, model_architecture="convnext_atto")
        events, end = EventFactory(job.id), now()
        started = events.started(FIRST, at=end - timedelta(minutes=minutes))
        await api.record(started, events.succeeded(FIRST, at=end))
    body = {"job_name": "x", "config": {"model_architecture": "convnext_atto", "epochs": 20, "batch_size": 8}}
    async with api.client() as client:
        estimate = (await client.post(ESTIMATE, json=body)).json()
    assert (estimate["seconds"], estimate["seconds_origin"], estimate["cost_usd"]) == (24 * 60.0, "history", None)
    assert estimate["seconds_basis"].endswith("3 trainings of this model that ended here with another batch_size")


async def test_an_estimate_from_a_video_is_that_of_its_training(api: ApiPlatform) -> None:
    config = {"video_url": "https://video.example/a.mp4", "trigger_word": "TOK", "steps": 300}
    body = {"job_name": "x", "kind": "video_lora", "config": config}
    async with api.client() as client:
        remote = (await client.post(ESTIMATE, json={**body, "backend": "replicate"})).json()
        training = (await client.post(ESTIMATE, json=lora(destination=None, captioning=None))).json()
        own = (
            await client.post(ESTIMATE, json={**body, "backend": "ray", "config": {**config, "base_model": "m"}})
        ).json()
    assert (remote["cost_usd"], remote["seconds"]) == (training["cost_usd"], training["seconds"])
    assert "video" in remote["seconds_basis"]
    assert (own["cost_usd"], own["seconds"]) == (None, None)


@pytest.mark.parametrize("example", REMOTE_EXAMPLES.values(), ids=REMOTE_EXAMPLES.keys())
async def test_every_example_at_a_provider_works(api: ApiPlatform, example: dict[str, Any]) -> None:
    async with api.client(**TOKEN) as client:
        answer = await client.post(JOBS, json=example["value"])
        job = (await client.get(answer.headers["location"])).json()["job"]
    assert answer.status_code == 201, answer.json()
    assert (job["kind"], job["backend"], job["provider"]) == (example["value"]["kind"], "replicate", "replicate")
    assert (job["current_epoch"], job["total_epochs"]) == (0, 0)


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        (lora(steps=2), "config.steps", "3 to 6000"),
        (lora(steps=6001), "config.steps", "3 to 6000"),
        (lora(trainer="sd-1.5"), "config.trainer", "flux-dev-lora"),
        (lora() | {"backend": "fal"}, "backend", "set THORNBACK_FAL_KEY"),
        ({**IMAGE_SET, "config": {**IMAGE_SET["config"], "model": "dall-e"}}, "config.model", "flux-schnell"),
        (
            {**IMAGE_SET, "config": {"character": "ada", "prompt_template": "{nobody}", "count": 2}},
            "config.prompt_template",
            "nobody",
        ),
    ],
)
async def test_what_a_provider_would_refuse_is_refused_at_once(
    api: ApiPlatform, body: dict[str, Any], field: str, words: str
) -> None:
    async with api.client(**TOKEN) as client:
        answer = await client.post(JOBS, json=body)
    assert answer.status_code == 422, answer.json()
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert words in answer.json()["detail"]
    assert api.reader.latest_event_id() == 0


async def test_a_provider_that_is_not_set_up_says_how_to(api: ApiPlatform) -> None:
    job = await api.create_spec(LORA)
    await api.record(Told(job).succeeded())
    async with api.client() as client:
        answers = [await client.post(JOBS, json=LORA), await client.post(f"{JOBS}/{job.id}/retry")]
    for answer in answers:
        assert answer.status_code == 422
        assert answer.json()["detail"] == "backend: replicate is not set up here: set THORNBACK_REPLICATE_API_TOKEN"
