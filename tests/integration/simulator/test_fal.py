"""fal's client, synchronous: the queue, results, storage, and the list of requests."""

from __future__ import annotations

import json
from typing import Any

import fal_client
import fal_client.client as fal_module
import httpx
import pytest
from fal_client import FalClientHTTPError
from safetensors.numpy import load

from tests.integration.simulator.conftest import archive
from thornback.simulator.server import SimulatorServer

FAST = "fal-ai/flux-lora-fast-training"
SCHNELL = "fal-ai/flux/schnell"


def submit(client: fal_client.SyncClient, **inputs: Any) -> fal_client.SyncRequestHandle:
    """Order a LoRA with an uploaded data set."""
    url = client.upload(archive(), "application/zip", "ada.zip")
    return client.submit(FAST, {"images_data_url": url, "trigger_word": "TOK", "steps": 50, **inputs})


def test_a_training_from_the_queue_to_the_weights(simulator: SimulatorServer, fal: fal_client.SyncClient) -> None:
    first, second = submit(fal), submit(fal)
    assert first.status() == fal_client.Queued(position=0)
    assert second.status() == fal_client.Queued(position=1)

    simulator.advance(60)
    state = first.status(with_logs=True)
    assert isinstance(state, fal_client.InProgress)
    assert state.logs is not None
    assert state.logs[0]["message"] == "Downloaded 5 images"
    assert first.status() == fal_client.InProgress(logs=None)

    simulator.run_all()
    state = first.status(with_logs=True)
    assert isinstance(state, fal_client.Completed)
    assert state.logs is not None
    assert state.logs[-2]["message"].startswith("100%|██████████| 50/50 [00:15<00:00,  3.33it/s, loss=0.")
    assert state.metrics["inference_time"] == pytest.approx(60 + 50 * 0.3 + 15)
    result = first.get()
    lora = httpx.get(result["diffusers_lora_file"]["url"]).content
    assert len(lora) == result["diffusers_lora_file"]["file_size"]
    assert "transformer.transformer_blocks.0.attn.to_q.lora_A.weight" in load(lora)
    assert httpx.get(result["config_file"]["url"]).json()["steps"] == 50


def test_addresses_lack_the_sub_path(simulator: SimulatorServer, fal: fal_client.SyncClient) -> None:
    handle = fal.submit(SCHNELL, {"prompt": "a cat"})
    assert handle.status_url == f"{simulator.url}/fal-ai/flux/requests/{handle.request_id}/status"
    simulator.run_all()
    assert isinstance(fal.status(SCHNELL, handle.request_id), fal_client.Completed)
    with pytest.raises(FalClientHTTPError, match="Request not found"):
        fal.status("fal-ai/other/schnell", handle.request_id)


def test_pictures_of_a_prompt(simulator: SimulatorServer, fal: fal_client.SyncClient) -> None:
    size = {"width": 320, "height": 256}
    handle = fal.submit(SCHNELL, {"prompt": "a cat", "seed": 3, "num_images": 2, "image_size": size})
    simulator.run_all()
    result = handle.get()
    assert (result["seed"], result["prompt"], len(result["images"])) == (3, "a cat", 2)
    answer = httpx.get(result["images"][0]["url"])
    assert answer.headers["content-type"] == result["images"][0]["content_type"] == "image/jpeg"
    assert answer.content.startswith(b"\xff\xd8\xff")


def test_what_the_model_refuses_is_told_by_the_result(simulator: SimulatorServer, fal: fal_client.SyncClient) -> None:
    handle = fal.submit(FAST, {"steps": 0})
    simulator.run_all()
    state = handle.status()
    assert isinstance(state, fal_client.Completed)
    assert (state.error, state.error_type) == ("Invalid status code: 422", "validation_error")
    with pytest.raises(FalClientHTTPError) as caught:
        handle.get()
    assert caught.value.status_code == 422
    assert [fault["loc"] for fault in caught.value.response.json()["detail"]] == [
        ["body", "images_data_url"],
        ["body", "steps"],
    ]


@pytest.mark.parametrize(
    ("address", "kind"),
    [("http://127.0.0.1:9/data.zip", "file_download_error"), ("data:application/zip;base64,AAAA", "value_error")],
)
def test_a_data_set_that_cannot_be_had(
    simulator: SimulatorServer, fal: fal_client.SyncClient, address: str, kind: str
) -> None:
    handle = fal.submit(FAST, {"images_data_url": address})
    simulator.run_all()
    with pytest.raises(FalClientHTTPError) as caught:
        handle.get()
    [fault] = caught.value.response.json()["detail"]
    assert (fault["loc"], fault["type"]) == (["body", "images_data_url"], kind)


def test_too_few_pictures(simulator: SimulatorServer, fal: fal_client.SyncClient) -> None:
    url = fal.upload(archive(3), "application/zip", "few.zip")
    handle = fal.submit(FAST, {"images_data_url": url})
    simulator.run_all()
    with pytest.raises(FalClientHTTPError, match="3 images in the archive, at least 4"):
        handle.get()


def test_a_result_is_refused_while_it_is_made(simulator: SimulatorServer, fal: fal_client.SyncClient) -> None:
    handle = submit(fal)
    answer = httpx.get(handle.response_url, headers={"Authorization": f"Key {simulator.fal_key}"})
    assert (answer.status_code, answer.json()["detail"]) == (400, "Request is still in progress")


def test_cancelling_in_the_queue_at_work_and_afterwards(simulator: SimulatorServer, fal: fal_client.SyncClient) -> None:
    queued, working = submit(fal), submit(fal)
    queued.cancel()
    assert isinstance(queued.status(), fal_client.Completed)
    simulator.advance(30)
    working.cancel()
    assert isinstance(working.status(), fal_client.InProgress)  # it is only told
    simulator.advance(1)
    assert isinstance(working.status(), fal_client.Completed)
    for handle in (queued, working):
        with pytest.raises(FalClientHTTPError, match="cancelled"):
            handle.get()
        with pytest.raises(FalClientHTTPError) as caught:
            handle.cancel()
        assert caught.value.response.json() == {"status": "ALREADY_COMPLETED"}
    with pytest.raises(FalClientHTTPError) as caught:
        fal.cancel(FAST, "nobody")
    assert caught.value.response.json() == {"status": "NOT_FOUND"}


def test_the_status_stream_ends_with_the_request(simulator: SimulatorServer, fal: fal_client.SyncClient) -> None:
    handle = fal.submit(SCHNELL, {"prompt": "a cat"})
    headers = {"Authorization": f"Key {simulator.fal_key}"}
    with httpx.stream("GET", f"{handle.status_url}/stream?logs=1", headers=headers) as answer:
        lines = (line for line in answer.iter_lines() if line)
        states = [json.loads(next(lines).removeprefix("data: "))["status"]]
        simulator.run_all()
        states += [json.loads(line.removeprefix("data: "))["status"] for line in lines]
    assert states == ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"] or states == ["IN_QUEUE", "COMPLETED"]


def test_large_files_go_up_in_parts(
    simulator: SimulatorServer, fal: fal_client.SyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fal_module, "MULTIPART_THRESHOLD", 1000)
    monkeypatch.setattr(fal_module, "MULTIPART_CHUNK_SIZE", 400)
    body = bytes(range(250)) * 5
    url = fal.upload(body, "application/zip", "large.zip")
    assert httpx.get(url).content == body
    assert sum(seen.operation == "fal.files.part" for seen in simulator.requests) == 4


def test_the_older_way_of_uploading(simulator: SimulatorServer, fal: fal_client.SyncClient) -> None:
    simulator.faults.add("error", on="fal.files.upload", status=403)
    url = fal.upload(b"abc", "application/zip", "ada.zip")
    assert httpx.get(url).content == b"abc"
    assert [seen.operation for seen in simulator.requests[-3:]] == [
        "fal.storage.initiate",
        "fal.storage.put",
        "fal.output.download",
    ]


def test_files_live_as_long_as_was_asked(simulator: SimulatorServer, fal: fal_client.SyncClient) -> None:
    wish = {"X-Fal-Object-Lifecycle-Preference": '{"expiration_duration_seconds": 60}'}
    handle = fal.submit(SCHNELL, {"prompt": "a cat"}, headers=wish)
    simulator.run_all()
    address = handle.get()["images"][0]["url"]
    assert httpx.get(address).status_code == 200
    simulator.advance(60)
    assert httpx.get(address).status_code == 404


def listed(simulator: SimulatorServer, **query: Any) -> dict[str, Any]:
    """An answer of the list of requests."""
    answer = httpx.get(
        f"{simulator.url}/v1/models/requests/by-endpoint",
        params={"endpoint_id": SCHNELL, **query},
        headers={"Authorization": f"Key {simulator.fal_key}"},
    )
    body: dict[str, Any] = answer.raise_for_status().json()
    return body


def test_the_list_names_ended_requests_with_their_inputs(
    simulator: SimulatorServer, fal: fal_client.SyncClient
) -> None:
    handles = [fal.submit(SCHNELL, {"prompt": str(number)}) for number in range(3)]
    simulator.run_all()
    fal.submit(SCHNELL, {"prompt": "not yet"})
    first = listed(simulator, limit=2, expand="payloads")
    second = listed(simulator, limit=2, expand="payloads", cursor=first["next_cursor"])
    rows = first["items"] + second["items"]
    assert (first["has_more"], second["has_more"], second["next_cursor"]) == (True, False, None)
    assert {row["request_id"] for row in rows} == {handle.request_id for handle in handles}
    assert {row["json_input"]["prompt"] for row in rows} == {"0", "1", "2"}
    assert {row["status_code"] for row in rows} == {200}
    assert listed(simulator, status="error")["items"] == []
    assert listed(simulator, end="2020-01-01")["items"] == []
    [one] = listed(simulator, request_id=handles[1].request_id)["items"]
    assert "json_input" not in one


def test_an_unknown_endpoint_and_a_wrong_key(simulator: SimulatorServer, fal: fal_client.SyncClient) -> None:
    with pytest.raises(FalClientHTTPError, match="'fal-ai/nothing' not found"):
        fal.submit("fal-ai/nothing", {})
    stranger = fal_client.SyncClient(key="another:key")
    with pytest.raises(FalClientHTTPError) as caught:
        stranger.submit(SCHNELL, {"prompt": "a cat"})
    stranger._client.close()
    assert caught.value.status_code == 401
    assert len(simulator.orders) == 0
