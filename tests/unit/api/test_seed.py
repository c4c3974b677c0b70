"""The source's addresses: its curl lines as they stand, with another host."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx2
import pytest

from tests.fixtures.api import JOBS, ApiPlatform
from tests.fixtures.remote import PAGE, TRAINING, AskedTracker, Told, training
from thornback.errors import ProviderUnavailable

LOGS, SYNC, STATUS = "/api/replicate/training-logs", "/api/replicate/sync-completed", "/api/modal/model-status"
VERSION = "acme/mymodel:" + "7d1f" * 16
TOKEN: dict[str, Any] = {"replicate_api_token": "r8_test"}


def app(api: ApiPlatform, tracker: AskedTracker) -> Any:
    return api.app(trackers=tracker, **TOKEN)


@pytest.mark.parametrize("by", ["job", "provider"])
async def test_the_log_of_a_training_is_as_new_as_the_provider(api: ApiPlatform, by: str) -> None:
    job, told = await training(api)
    tracker = AskedTracker()

    async def news(job_id: str) -> None:
        await api.record(
            told.stage(1, "training"),
            told.log("flux_train_replicate:  31%|███  | 93/300 [01:01<02:15]"),
            told.progress(36.35, eta_s=135),
        )

    tracker.on_sync = news
    async with api.client(app(api, tracker)) as client:
        answer = await client.get(f"{LOGS}/{job.id if by == 'job' else TRAINING}")
    body = answer.json()
    assert answer.status_code == 200, body
    assert tracker.synced == [job.id]
    assert (body["status"], body["providerStatus"]) == ("running", "processing")
    assert (body["progress"], body["progressOrigin"], body["stage"]) == (36.35, "parsed", "training")
    assert 100 < body["etaSeconds"] <= 135
    assert body["logs"] == "flux_train_replicate:  31%|███  | 93/300 [01:01<02:15]\n"
    assert (body["url"], body["trainingId"], body["error"]) == (PAGE, TRAINING, None)
    assert (body["synced"], body["syncProblem"]) == (True, None)
    assert api.reader.job(job.id).state.progress == 36.35


async def test_a_provider_that_is_away_leaves_what_is_known(api: ApiPlatform) -> None:
    job, told = await training(api)
    await api.record(told.progress(20.0))
    tracker = AskedTracker()
    tracker.error = ProviderUnavailable("replicate does not answer")
    async with api.client(app(api, tracker)) as client:
        body = (await client.get(f"{LOGS}/{job.id}")).json()
    assert (body["progress"], body["synced"], body["syncProblem"]) == (20.0, False, "replicate does not answer")


async def test_many_readers_are_one_question(api: ApiPlatform) -> None:
    job, _ = await training(api)
    tracker = AskedTracker()
    async with api.client(app(api, tracker)) as client:
        answers = await asyncio.gather(*(client.get(f"{LOGS}/{job.id}") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert tracker.synced == [job.id]


async def test_a_job_of_this_cluster_and_one_that_ended_are_not_asked_about(api: ApiPlatform) -> None:
    own = await api.create("own")
    job, told = await training(api)
    await api.record(told.succeeded())
    tracker = AskedTracker()
    async with api.client(app(api, tracker)) as client:
        bodies = [(await client.get(f"{LOGS}/{id}")).json() for id in (own.id, job.id)]
    assert [body["providerStatus"] for body in bodies] == ["starting", "succeeded"]
    assert [body["synced"] for body in bodies] == [True, True]
    assert tracker.synced == []


async def test_a_training_that_ended_unnoticed_is_put_right(api: ApiPlatform) -> None:
    job, told = await training(api)
    tracker = AskedTracker()

    async def ended(job_id: str) -> None:
        await api.record(told.item(1, "succeeded", provider_id=TRAINING, via="sync"), told.succeeded())

    tracker.on_sync = ended
    async with api.client(app(api, tracker)) as client:
        answer = await client.post(SYNC, json={"modelId": job.id, "replicateModelVersion": VERSION})
        again = await client.post(SYNC, json={"modelId": TRAINING})
        status = await client.get(f"{STATUS}/{TRAINING}")
    body = answer.json()
    assert answer.status_code == 200, body
    assert (body["success"], body["status"], body["progress"], body["imported"]) == (True, "completed", 100.0, False)
    assert body["modelUrl"] == VERSION
    assert again.json() == body
    assert tracker.synced == [job.id]
    assert status.json() == {name: value for name, value in body.items() if name not in ("success", "imported")}
    assert api.reader.job(job.id).state.fact("provider_version") == VERSION


async def test_a_training_that_was_started_elsewhere_is_taken_over(api: ApiPlatform) -> None:
    tracker = AskedTracker()

    async def take_over(provider_id: str) -> str:
        job, told = await training(api)
        await api.record(told.succeeded())
        return job.id

    tracker.on_import = take_over
    async with api.client(app(api, tracker)) as client:
        body = (await client.post(SYNC, json={"modelId": TRAINING})).json()
        known = await client.post("/api/v1/training/import", json={"provider_id": TRAINING})
        new = await client.post("/api/v1/training/import", json={"provider": "replicate", "provider_id": "another1"})
    assert (body["status"], body["imported"], body["trainingId"]) == ("completed", True, TRAINING)
    assert tracker.imported == [TRAINING, "another1"]
    assert (known.status_code, known.json()["job"]["id"]) == (200, body["id"])
    assert (new.status_code, new.headers["location"]) == (201, f"{JOBS}/{new.json()['job']['id']}")


async def test_the_answer_waits_for_the_files_of_a_training_that_is_over(api: ApiPlatform) -> None:
    job, told = await training(api)
    tracker = AskedTracker()
    fetching: list[asyncio.Task[None]] = []

    async def ended(job_id: str) -> None:
        await api.record(told.item(1, "succeeded", provider_id=TRAINING, via="sync"))
        fetching.append(asyncio.create_task(fetch()))

    async def fetch() -> None:
        await asyncio.sleep(0.05)
        await api.record(told.succeeded())

    tracker.on_sync = ended
    async with api.client(app(api, tracker)) as client:
        body = (await client.post(SYNC, json={"modelId": job.id})).json()
    await fetching[0]
    assert body["status"] == "completed"


@pytest.mark.parametrize(
    ("id", "code"), [("nobody-knows-it", "order_unknown"), ("6891adb6-3d22-457b-b3ca-2241a0811393", "job_not_found")]
)
async def test_what_nobody_knows_is_a_404(api: ApiPlatform, id: str, code: str) -> None:
    async with api.client(app(api, AskedTracker())) as client:
        answer = await client.post(SYNC, json={"modelId": id})
    assert (answer.status_code, answer.json()["code"]) == (404, code)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", [LOGS, STATUS])
async def test_an_unknown_id_is_a_404(api: ApiPlatform, path: str) -> None:
    async with api.client() as client:
        answers = [await client.get(f"{path}/{id}") for id in ("MODEL_ID", str(uuid.uuid4()))]
    assert [answer.status_code for answer in answers] == [404, 404]


async def test_the_status_of_a_model_names_it(api: ApiPlatform) -> None:
    job, told = await training(api)
    await api.record(
        told.artifact("lora.safetensors", f"{api.settings.run_uri(job.id)}/lora.safetensors"), told.succeeded()
    )
    async with api.client() as client:
        body = (await client.get(f"{STATUS}/{job.id}")).json()
    assert (body["id"], body["name"], body["status"], body["progress"]) == (job.id, "MYMODEL", "completed", 100.0)
    assert body["triggerWord"] == "MYMODEL"
    assert body["modelUrl"] == f"http://127.0.0.1:8001{JOBS}/{job.id}/artifacts/lora.safetensors"


@pytest.mark.parametrize(
    ("version", "url"), [(VERSION, VERSION), ("7d1f", "acme/mymodel:7d1f"), ("other/one:7d1f", "other/one:7d1f")]
)
async def test_a_version_is_told_with_its_model(api: ApiPlatform, version: str, url: str) -> None:
    job, told = await training(api)
    await api.record(told.facts(provider_version=version), told.succeeded())
    async with api.client() as client:
        assert (await client.get(f"{STATUS}/{job.id}")).json()["modelUrl"] == url


async def test_sync_of_one_job(api: ApiPlatform) -> None:
    job, told = await training(api)
    own = await api.create("own")
    tracker = AskedTracker()

    async def news(job_id: str) -> None:
        await api.record(told.progress(50.0))

    tracker.on_sync = news
    async with api.client(app(api, tracker)) as client:
        answer = await client.post(f"{JOBS}/{job.id}/sync")
        refused = await client.post(f"{JOBS}/{own.id}/sync")
        tracker.error = ProviderUnavailable("replicate does not answer")
        other, _ = await _another(api)
        away = await client.post(f"{JOBS}/{other}/sync")
    assert answer.json()["job"]["progress_percent"] == 50.0
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert (away.status_code, away.json()["code"]) == (503, "provider_unavailable")


async def _another(api: ApiPlatform) -> tuple[str, Told]:
    job, told = await training(api)
    return job.id, told


async def test_where_nothing_follows_the_provider_it_says_so(api: ApiPlatform) -> None:
    job, _ = await training(api)
    async with api.client() as client:
        body: dict[str, Any] = (await client.get(f"{LOGS}/{job.id}")).json()
        refused: httpx2.Response = await client.post(SYNC, json={"modelId": job.id})
    assert body["syncProblem"] == "nothing follows replicate here"
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
