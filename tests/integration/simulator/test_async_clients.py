"""Both official clients on an event loop, on a clock that goes by itself."""

from __future__ import annotations

import io

import fal_client
import httpx
import pytest
from replicate.client import Client

from tests.integration.simulator.conftest import DESTINATION, TRAINER, VERSION, archive, point_fal_at
from thornback.simulator.server import SimulatorServer


async def test_replicate(fast_simulator: SimulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATE_BASE_URL", fast_simulator.url)
    monkeypatch.setenv("REPLICATE_API_TOKEN", fast_simulator.replicate_token)
    monkeypatch.setenv("REPLICATE_POLL_INTERVAL", "0.02")
    client = Client()
    upload = io.BytesIO(archive())
    upload.name = "ada.zip"
    file = await client.files.async_create(upload)
    await client.models.async_create("simulator", "ada", hardware="gpu-t4", visibility="private")
    training = await client.trainings.async_create(
        model=TRAINER, version=VERSION, destination=DESTINATION, input={"input_images": file.urls["get"], "steps": 30}
    )
    prediction = await client.predictions.async_create(
        model="black-forest-labs/flux-schnell", input={"prompt": "a cat"}
    )
    await prediction.async_wait()
    assert prediction.status == "succeeded"
    while training.status not in ("succeeded", "failed"):
        training = await client.trainings.async_get(training.id)
    assert training.status == "succeeded"
    assert [other.id for other in await client.trainings.async_list()] == [training.id]
    await client._async_client.aclose()


async def test_fal(fast_simulator: SimulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    point_fal_at(fast_simulator.url, monkeypatch)
    client = fal_client.AsyncClient(key=fast_simulator.fal_key)
    url = fal_client.encode(archive(), "application/zip")
    seen: list[fal_client.Status] = []
    result = await client.subscribe(
        "fal-ai/flux-lora-fast-training",
        {"images_data_url": url, "steps": 100},
        with_logs=True,
        interval=0.01,
        on_queue_update=seen.append,
    )
    assert isinstance(seen[-1], fal_client.Completed)
    assert any(isinstance(state, fal_client.InProgress) for state in seen)
    async with httpx.AsyncClient() as http:
        answer = await http.get(result["diffusers_lora_file"]["url"])
    assert answer.status_code == 200
    await (await client._client).aclose()
