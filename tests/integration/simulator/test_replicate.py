"""Replicate's client, synchronous: trainings, predictions, models, files."""

from __future__ import annotations

import io
import re
import tarfile
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from PIL import Image
from replicate.client import Client
from replicate.exceptions import ReplicateError
from replicate.pagination import paginate
from safetensors.numpy import load

from tests.integration.simulator.conftest import DESTINATION, TRAINER, VERSION, archive, finish, train
from thornback.simulator.scenario import Scenario
from thornback.simulator.server import SimulatorServer

SCHNELL = "black-forest-labs/flux-schnell"


def made(client: Client, inputs: dict[str, Any]) -> Any:
    """A prediction of the quick model."""
    return client.predictions.create(model=SCHNELL, input=inputs)


def test_a_training_from_the_order_to_the_weights(simulator: SimulatorServer, rep: Client, dataset: str) -> None:
    training = train(rep, dataset)
    assert (training.status, training.logs, training.started_at) == ("starting", "", None)

    simulator.advance(21)  # 0.3 s, then 20 in the queue
    training.reload()
    assert training.status == "processing"
    assert training.started_at.endswith("Z")
    assert len(training.started_at.partition(".")[2]) == 10  # nanoseconds and the Z
    assert training.logs.startswith("20")
    assert "[ Initiating ]" in training.logs

    finish(simulator, training)
    assert training.status == "succeeded"
    assert "Extracted 10 files from zip to input_images" in training.logs  # five pictures, five captions
    assert re.search(r"flux_train_replicate:  50%\|█████     \| 20/40 \[00:21<00:21,  1.05s/it, lr: ", training.logs)
    assert training.destination == DESTINATION
    assert training.output["version"] in {f"{DESTINATION}:{v.id}" for v in rep.models.get(DESTINATION).versions.list()}


def test_the_archive_holds_a_lora_that_loads(simulator: SimulatorServer, rep: Client, dataset: str) -> None:
    training = train(rep, dataset)
    finish(simulator, training)
    body = httpx.get(training.output["weights"]).content
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        names = tar.getnames()
        lora = tar.extractfile("output/flux_train_replicate/lora.safetensors")
        assert lora is not None
        tensors = load(lora.read())
    assert "output/flux_train_replicate/config.yaml" in names
    assert "output/flux_train_replicate/captions/0.txt" in names
    a = tensors["transformer.transformer_blocks.0.attn.to_q.lora_A.weight"]
    assert (a.shape, a.dtype.name) == ((16, 3072), "float16")


def test_times_are_told_where_the_training_class_drops_them(
    simulator: SimulatorServer, rep: Client, dataset: str
) -> None:
    training = train(rep, dataset, steps=100)
    simulator.run_all()
    seen = rep.predictions.get(training.id)  # trainings can be had as predictions too
    assert seen.metrics is not None
    # 60 s of setting up, 100 steps of 1.05 s, 15 s of saving; and 20.3 s before
    assert seen.metrics["predict_time"] == pytest.approx(180.0)
    assert seen.metrics["total_time"] == pytest.approx(200.3)
    assert datetime.fromisoformat(str(seen.completed_at)) - datetime.fromisoformat(str(seen.created_at)) < timedelta(
        seconds=201
    )


def test_an_unknown_destination_is_refused(simulator: SimulatorServer, rep: Client) -> None:
    with pytest.raises(ReplicateError) as caught:
        rep.trainings.create(model=TRAINER, version=VERSION, destination="simulator/nobody", input={})
    assert (caught.value.status, caught.value.detail) == (404, "The specified training destination does not exist")
    assert len(simulator.orders) == 0


def test_bad_inputs_fail_the_training_and_not_the_call(simulator: SimulatorServer, rep: Client, dataset: str) -> None:
    training = train(rep, dataset, steps=1)
    finish(simulator, training)
    assert training.status == "failed"
    assert training.error == (
        'Prediction input failed validation: {"detail":[{"loc":["body","input","steps"],'
        '"msg":"ensure this value is greater than or equal to 3","type":"value_error.number.not_ge",'
        '"ctx":{"limit_value":3}}]}'
    )
    assert training.logs == ""
    assert training.started_at[:26] == training.completed_at[:26]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("{url}/nothing.zip", "404 Client Error"),
        ("http://127.0.0.1:9/data.zip", "ConnectError"),
        ("data:application/zip;base64,AAAA", "File is not a zip file"),
        ("data:application/zip;base64,?", "Invalid data URI"),
    ],
)
def test_a_data_set_that_cannot_be_had_fails_the_training(
    simulator: SimulatorServer, rep: Client, address: str, words: str
) -> None:
    training = train(rep, address.format(url=simulator.url))
    finish(simulator, training)
    assert training.status == "failed"
    assert words in training.error
    assert training.error in training.logs


def test_a_cancelled_training_stays_cancelled(simulator: SimulatorServer, rep: Client, dataset: str) -> None:
    training = train(rep, dataset)
    simulator.advance(60)
    training.cancel()
    simulator.advance(3600)
    training.reload()
    assert training.status == "canceled"
    assert training.output is None
    training.cancel()  # no error, no change
    assert rep.trainings.get(training.id).status == "canceled"


def test_lists_come_in_pages_newest_first(simulator: SimulatorServer, rep: Client) -> None:
    made = [rep.predictions.create(model=SCHNELL, input={"prompt": str(number)}).id for number in range(203)]
    pages = list(paginate(rep.predictions.list))
    assert [len(page) for page in pages] == [100, 100, 3]
    assert [prediction.id for page in pages for prediction in page] == made[::-1]
    assert pages[2].previous is not None
    assert rep.predictions.list(pages[2].previous).results[0].id == made[102]


def test_pictures_of_a_prompt(simulator: SimulatorServer, rep: Client) -> None:
    inputs = {"prompt": "a cat", "num_outputs": 2, "seed": 3, "aspect_ratio": "16:9", "output_format": "png"}
    first, again = (made(rep, inputs) for _ in range(2))
    finish(simulator, first, again)
    assert (first.version, first.logs) == ("hidden", "Using seed: 3\n")
    assert first.metrics["image_count"] == 2
    bodies = [httpx.get(url) for url in (*first.output, *again.output)]
    assert [answer.headers["content-type"] for answer in bodies] == ["image/png"] * 4
    picture = Image.open(io.BytesIO(bodies[0].content))
    assert (picture.format, picture.size) == ("PNG", (1360, 768))
    assert bodies[0].content == bodies[2].content  # the same prompt and seed
    assert bodies[0].content != bodies[1].content  # the next seed


@pytest.mark.parametrize(
    ("inputs", "status", "words"),
    [({}, 422, "prompt is required"), ({"prompt": ""}, 422, "prompt is required")],
)
def test_a_picture_needs_a_prompt(rep: Client, inputs: dict[str, str], status: int, words: str) -> None:
    with pytest.raises(ReplicateError) as caught:
        rep.predictions.create(model=SCHNELL, input=inputs)
    assert caught.value.status == status
    assert words in str(caught.value.detail)


def test_a_trained_model_makes_pictures_by_its_version(simulator: SimulatorServer, rep: Client, dataset: str) -> None:
    training = train(rep, dataset)
    finish(simulator, training)
    version = training.output["version"].rpartition(":")[2]
    by_version: Any = rep.predictions.create(version=version, input={"prompt": "TOK", "output_format": "jpg"})
    deployed = rep.deployments.predictions.create(DESTINATION, input={"prompt": "TOK"})
    finish(simulator, by_version)
    assert (by_version.model, by_version.version, by_version.status) == (DESTINATION, version, "succeeded")
    assert httpx.get(by_version.output[0]).headers["content-type"] == "image/jpeg"
    assert rep.predictions.get(deployed.id).status == "succeeded"
    with pytest.raises(ReplicateError, match="could not be found"):
        rep.predictions.create(model=DESTINATION, input={"prompt": "TOK"})  # only for official models


def test_waiting_holds_the_answer_back() -> None:
    with SimulatorServer(Scenario(speed=50)) as server:
        client = Client(api_token=server.replicate_token, base_url=server.url)
        prediction = client.models.predictions.create(SCHNELL, input={"prompt": "a cat"}, wait=30)
        client._client.close()
    assert prediction.status == "succeeded"


def test_waiting_ends_when_the_time_is_over(simulator: SimulatorServer, http: httpx.Client) -> None:
    answer = http.post(
        f"/v1/models/{SCHNELL}/predictions", json={"input": {"prompt": "a cat"}}, headers={"Prefer": "wait=0"}
    )
    assert (answer.status_code, answer.json()["status"]) == (202, "starting")


def test_outputs_and_predictions_are_emptied_after_an_hour(
    simulator: SimulatorServer, rep: Client, http: httpx.Client
) -> None:
    prediction: Any = rep.predictions.create(model=SCHNELL, input={"prompt": "a cat"})
    finish(simulator, prediction)
    [address] = prediction.output
    simulator.advance(3599)
    assert httpx.get(address).status_code == 200
    simulator.advance(1)
    assert httpx.get(address).status_code == 404
    body = http.get(f"/v1/predictions/{prediction.id}").json()
    assert (body["data_removed"], body["output"], body["input"], body["logs"]) == (True, None, {}, "")
    assert body["status"] == "succeeded"


def test_parts_of_a_file_can_be_had(simulator: SimulatorServer, rep: Client, dataset: str) -> None:
    training = train(rep, dataset)
    finish(simulator, training)
    address = training.output["weights"]
    whole = httpx.get(address)
    rest = httpx.get(address, headers={"Range": "bytes=1000-", "If-Range": whole.headers["etag"]})
    assert (rest.status_code, rest.content) == (206, whole.content[1000:])
    assert rest.headers["content-range"] == f"bytes 1000-{len(whole.content) - 1}/{len(whole.content)}"
    other = httpx.get(address, headers={"Range": "bytes=1000-", "If-Range": '"another"'})
    assert (other.status_code, other.content) == (200, whole.content)
    assert httpx.get(address, headers={"Range": f"bytes={len(whole.content)}-"}).status_code == 416


def test_files_go_up_and_come_back(rep: Client, http: httpx.Client) -> None:
    content = archive()  # once: a ZIP holds the time at which it was made
    upload = io.BytesIO(content)
    upload.name = "ada.zip"
    file = rep.files.create(upload, metadata={"for": "ada"})
    assert (file.name, file.content_type, file.metadata) == ("ada.zip", "application/zip", {"for": "ada"})
    assert file.size == len(content)
    assert http.get(f"/v1/files/{file.id}/download").content == content
    assert [other.id for other in rep.files.list()] == [file.id]
    assert rep.files.delete(file.id)
    with pytest.raises(ReplicateError, match="404"):
        rep.files.get(file.id)


def test_models_come_and_go(rep: Client) -> None:
    model = rep.models.create("simulator", "ada", hardware="gpu-t4", visibility="private")
    assert (rep.models.get("simulator/ada").name, model.visibility) == ("ada", "private")
    with pytest.raises(ReplicateError, match="already exists"):
        rep.models.create("simulator", "ada", hardware="gpu-t4", visibility="private")
    with pytest.raises(ReplicateError, match="permission"):
        rep.models.create("somebody", "else", hardware="gpu-t4", visibility="private")
    assert rep.models.delete("simulator/ada")
    with pytest.raises(ReplicateError, match="could not be found"):
        rep.models.get("simulator/ada")
    assert rep.models.get(TRAINER).versions.get(VERSION).id == VERSION


def test_the_account_and_what_it_can_rent(simulator: SimulatorServer, rep: Client) -> None:
    assert rep.accounts.current().username == "simulator"
    assert "gpu-h100" in {hardware.sku for hardware in rep.hardware.list()}
    assert rep.webhooks.default.secret().key == simulator.webhook_secret


@pytest.mark.parametrize("token", [None, "r8_another"])
def test_strangers_are_turned_away(simulator: SimulatorServer, token: str | None) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = httpx.get(f"{simulator.url}/v1/account", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["title"] == "Unauthenticated"
