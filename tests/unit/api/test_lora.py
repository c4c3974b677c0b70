"""LoRAs from videos under the addresses of the source, and as jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
import torch
from safetensors.torch import save_file

from tests.fixtures.api import FIRST, JOBS, ApiPlatform, now
from thornback.jobs.events import EventFactory
from thornback.jobs.status import FailureReason
from thornback.jobs.video_lora import training_id
from thornback.models.publish import publish_version

TRAIN, STATUS = "/api/lora/train", "/api/lora/status"
KEYS: dict[str, Any] = {"replicate_api_token": "r8_test", "fal_key": "a:b"}
BODY: dict[str, Any] = {"videoUrl": "https://8.8.8.8/cat.mp4", "triggerWord": "TOK"}
NOBODY = "00000000-0000-4000-8000-000000000000"


async def post(client: httpx2.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await client.post(TRAIN, json={**BODY, **changes})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"{STATUS}/{answer.json()['jobId']}"
    made: dict[str, Any] = answer.json()
    return made


async def test_a_pipeline_is_a_job(api: ApiPlatform) -> None:
    async with api.client(**KEYS) as client:
        made = await post(
            client,
            provider="replicate",
            steps=500,
            learningRate=0.0004,
            review=True,
            options={"frames": {"most": 40}},
        )
        job = (await client.get(f"{JOBS}/{made['jobId']}")).json()["job"]
    assert (job["kind"], job["backend"], job["job_name"]) == ("video_lora", "replicate", "TOK")
    config = job["config"]
    assert (config["steps"], config["learning_rate"], config["review"]) == (500, 0.0004, True)
    assert (config["frames"]["most"], config["frames"]["least"]) == (40, 5)
    assert (made["status"], made["progress"], made["startedAt"], made["versions"]) == ("queued", 0.0, None, [])


async def test_the_same_key_makes_one(api: ApiPlatform) -> None:
    async with api.client(**KEYS) as client:
        answers = [await client.post(TRAIN, json=BODY, headers={"Idempotency-Key": "k"}) for _ in range(2)]
        other = await client.post(TRAIN, json={**BODY, "steps": 7}, headers={"Idempotency-Key": "k"})
    assert answers[0].json()["jobId"] == answers[1].json()["jobId"]
    assert other.status_code == 409


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"videoUrl": "http://169.254.169.254/latest"}, '"field":"videoUrl"'),
        ({"videoUrl": "http://127.0.0.1:9000/x.mp4"}, "videoUrl: 127.0.0.1:9000 may not"),
        ({"videoUrl": "gopher://8.8.8.8/x"}, "none of https://"),
        ({"videoUrl": "cat.mp4"}, "a path must begin with /"),
        ({"triggerWord": ""}, "triggerWord"),
        ({"triggerWord": "  "}, "triggerWord: is blank"),
        ({"steps": 0}, "steps"),
        ({"unknown": 1}, "unknown"),
        ({"options": {"unknown": 1}}, '"field":"options.unknown"'),
        ({"provider": "modal"}, "provider"),
        ({"provider": "ray"}, "options.base_model: backend ray needs one"),
        ({"options": {"trainer": "no-such"}}, "no-such"),
        ({"steps": 100_000}, "steps"),
    ],
)
async def test_what_cannot_work_is_refused_before_anything_is_done(
    api: ApiPlatform, changes: dict[str, Any], text: str
) -> None:
    async with api.client(**KEYS) as client:
        answer = await client.post(TRAIN, json={**BODY, **changes})
        jobs = (await client.get(JOBS)).json()
    assert answer.status_code == 422
    assert text in answer.text
    assert jobs["total"] == 0


async def test_a_provider_that_is_not_set_up_is_refused(api: ApiPlatform) -> None:
    async with api.client(fal_key=None) as client:
        answer = await client.post(TRAIN, json=BODY)
    assert answer.status_code == 422
    assert "fal is not set up here" in answer.text


async def test_from_queued_to_its_version(api: ApiPlatform, tmp_path: Path) -> None:
    weights = tmp_path / "lora.safetensors"
    save_file({"a.lora_A.weight": torch.ones(2, 2)}, weights)
    async with api.client(**KEYS) as client:
        id = (await post(client, name="A cat", model="cat"))["jobId"]
        make = EventFactory(id)
        await api.record(
            make.started(FIRST, at=now()),
            make.stage(FIRST, index=0, name="training: 120 of 1000", at=now()),
            make.progress(FIRST, seq=1, percent=63.0, epoch=0, total_epochs=0, eta_seconds=300.0, at=now()),
            make.described(FIRST, {"dataset_size": 37, "training_id": training_id(id)}, seq=1, at=now()),
        )
        running = (await client.get(f"{STATUS}/{id}")).json()
        version = await publish_version(
            api.recorder,
            api.settings,
            model="cat",
            user="local",
            job_id=id,
            weights_uri=str(weights),
            config={"trigger": "TOK", "steps": 1000, "learning_rate": 0.0004, "frame_count": 37},
            lineage={},
            now=now(),
        )
        await api.record(make.succeeded(FIRST, at=now()))
        done = (await client.get(f"{STATUS}/{id}")).json()
        fetched = await client.get(done["versions"][0]["modelUrl"])
    assert (running["status"], running["progress"], running["stage"]) == ("processing", 63.0, "training: 120 of 1000")
    assert 290 < running["etaSeconds"] <= 300
    assert (running["frameCount"], running["trainingId"]) == (37, training_id(id))
    assert running["startedAt"] is not None
    assert (done["status"], done["progress"], done["error"]) == ("completed", 100.0, None)
    [shown] = done["versions"]
    assert (shown["version"], shown["s3Key"]) == (1, f"loras/local/{id}/v1/model.safetensors")
    assert shown["sizeBytes"] == version.size_bytes == weights.stat().st_size
    assert shown["config"] == {"trigger": "TOK", "steps": 1000, "learning_rate": 0.0004, "frame_count": 37}
    assert fetched.content == weights.read_bytes()


async def test_how_it_failed(api: ApiPlatform) -> None:
    async with api.client(**KEYS) as client:
        failed, cancelled = [(await post(client))["jobId"] for _ in range(2)]
        message = "fetching the video: 404"
        await api.record(
            EventFactory(failed).failed(FIRST, reason=FailureReason.INVALID_DATA, message=message, at=now()),
            EventFactory(cancelled).cancelled(at=now()),
        )
        answers = [(await client.get(f"{STATUS}/{id}")).json() for id in (failed, cancelled)]
    assert [(answer["status"], answer["error"]) for answer in answers] == [
        ("failed", message),
        ("failed", "cancelled on request"),
    ]


async def test_other_jobs_are_no_pipelines(api: ApiPlatform) -> None:
    job = await api.create()
    async with api.client() as client:
        assert (await client.get(f"{STATUS}/{job.id}")).status_code == 404
        assert (await client.get(f"{STATUS}/{NOBODY}")).status_code == 404
