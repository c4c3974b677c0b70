"""Image sets over HTTP: made, listed, looked at, taken as pictures and as one ZIP."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx2
import pytest

from serve_apps.api import views
from tests.fixtures.api import JOBS, ApiPlatform, api_on, now
from tests.fixtures.image_sets import PROMPTS, failed, image_set, pixels, stored
from tests.fixtures.remote import TRAINING, training
from tests.fixtures.s3 import S3Server
from thornback.artifacts.files import locate
from thornback.artifacts.layout import image_uri
from thornback.datasets.image_zip import check_zip
from thornback.jobs.events import EventKind
from thornback.metrics.port import StreamEvent

SETS = "/api/v1/image-sets"
TOKEN: dict[str, Any] = {"replicate_api_token": "r8_test"}
BODY: dict[str, Any] = {"character": "ada", "prompts": ["front view", "in profile"]}


async def test_a_set_is_a_job(api: ApiPlatform) -> None:
    async with api.client(**TOKEN) as client:
        answer = await client.post(SETS, json={**BODY, "count": 3, "seed": 7, "tags": {"for": "test"}})
        assert answer.status_code == 201
        made = answer.json()
        assert answer.headers["location"] == f"{SETS}/{made['id']}"
        job = (await client.get(f"{JOBS}/{made['id']}")).json()["job"]
    assert (job["kind"], job["backend"], job["tags"]) == ("image_set", "replicate", {"for": "test"})
    assert job["config"] | {"count": 3, "seed": 7, "character": "ada"} == job["config"]
    assert made["job_name"] == job["job_name"] == "ada, 3 images"
    assert (made["status"], made["total"], made["done"], made["failed"]) == ("queued", 3, 0, 0)
    assert made["success_rate"] is None
    assert [item["prompt"] for item in made["items"]] == ["front view", "in profile", "front view"]
    assert {item["status"] for item in made["items"]} == {"waiting"}


async def test_the_same_key_makes_one_set(api: ApiPlatform) -> None:
    key = {"Idempotency-Key": "k1"}
    async with api.client(**TOKEN) as client:
        first, second = [(await client.post(SETS, json=BODY, headers=key)).json() for _ in range(2)]
        other = await client.post(SETS, json={**BODY, "seed": 1}, headers=key)
    assert first["id"] == second["id"]
    assert other.status_code == 409


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"character": "ada"}, "body"),
        ({**BODY, "count": 0}, "count"),
        ({**BODY, "unknown": 1}, "unknown"),
        ({**BODY, "backend": "ray"}, "backend"),
        ({**BODY, "backend": "fal"}, "backend"),  # without a key
        ({**BODY, "model": "no-such-model"}, "model"),
        ({"character": "ada", "prompt_template": "{nobody}", "count": 1}, "prompt_template"),
    ],
)
async def test_what_is_wrong_is_named_as_it_was_sent(api: ApiPlatform, body: dict[str, Any], field: str) -> None:
    async with api.client(**TOKEN) as client:
        answer = await client.post(SETS, json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert "config." not in answer.json()["detail"]


async def test_without_a_provider_it_says_what_to_set(api: ApiPlatform) -> None:
    async with api.client() as client:
        answer = await client.post(SETS, json=BODY)
    assert answer.status_code == 422
    assert "THORNBACK_REPLICATE_API_TOKEN" in answer.json()["detail"]


async def test_how_far_it_is(api: ApiPlatform) -> None:
    job, told = await image_set(api)
    await api.record(*stored(api, told, 1), *failed(told, 2), told.item(3, "intended"))
    async with api.client() as client:
        first = (await client.get(f"{SETS}/{job.id}")).json()
        await api.record(*failed(told, 2, order=2))
        then = (await client.get(f"{SETS}/{job.id}")).json()
        rows = (await client.get(SETS)).json()
        items = (await client.get(f"{JOBS}/{job.id}/items")).json()

    # The second image failed once and has another try.
    assert (first["total"], first["done"], first["failed"], first["success_rate"]) == (3, 1, 0, 1.0)
    assert (then["total"], then["done"], then["failed"], then["success_rate"]) == (3, 1, 1, 0.5)
    assert rows["total"] == 1
    assert rows["image_sets"] == [{name: then[name] for name in rows["image_sets"][0]}]
    one, two, three = then["items"]
    assert items["items"] == [one, two, three]
    assert (one["item"], one["status"], one["order"], one["prompt"]) == (1, "stored", 1, PROMPTS[0])
    assert one["storage_key"] == f"training-images/{job.id}/Ada_L_training_01.jpg"
    assert one["image_url"] == f"{SETS}/{job.id}/images/1"
    assert (one["provider"], one["provider_id"]) == ("replicate", f"{TRAINING}11")
    assert one["webhook_at"] is not None
    assert (two["status"], two["order"], two["error"]) == ("failed", 2, "NSFW content detected")
    assert (two["webhook_at"], two["via"], two["image_url"]) == (None, "poll", None)
    assert three["status"] == "intended"


async def test_a_set_that_ended_has_no_more_tries(api: ApiPlatform) -> None:
    job, told = await image_set(api)
    lost = told.item(3, "succeeded", via="poll")  # and its file was gone before it could be fetched
    await api.record(*failed(told, 1), told.item(2, "cancelled", via="poll"), lost)
    async with api.client() as client:
        before = (await client.get(f"{SETS}/{job.id}")).json()
        await api.record(told.succeeded())
        after = (await client.get(f"{SETS}/{job.id}")).json()
    assert (before["failed"], before["success_rate"]) == (0, None)
    assert (after["done"], after["failed"], after["success_rate"]) == (0, 2, 0.0)


async def test_items_of_a_training(api: ApiPlatform) -> None:
    job, _ = await training(api)
    async with api.client() as client:
        items = (await client.get(f"{JOBS}/{job.id}/items")).json()["items"]
        other = await client.get(f"{SETS}/{job.id}")
    assert [(item["item"], item["status"], item["provider_id"]) for item in items] == [(1, "processing", TRAINING)]
    assert items[0]["prompt"] is None
    assert other.status_code == 404


async def test_an_image(api: ApiPlatform) -> None:
    job, told = await image_set(api)
    await api.record(*stored(api, told, 1), *failed(told, 2))
    async with api.client() as client:
        answer = await client.get(f"{SETS}/{job.id}/images/1")
        again = await client.get(f"{SETS}/{job.id}/images/1", headers={"If-None-Match": answer.headers["etag"]})
        missing = [await client.get(f"{SETS}/{job.id}/images/{number}") for number in (2, 3, 9)]
    assert (answer.status_code, answer.content) == (200, pixels(1))
    assert answer.headers["content-type"] == "image/jpeg"
    assert "max-age" in answer.headers["cache-control"]
    assert (again.status_code, again.content) == (304, b"")
    assert [found.status_code for found in missing] == [404, 404, 404]
    assert "NSFW" in missing[0].json()["detail"]


async def test_an_image_elsewhere_is_not_given_out(api: ApiPlatform, tmp_path: Path) -> None:
    job, told = await image_set(api)
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"secret")
    inside = image_uri(api.settings.storage, job.id, "Ada", 1)
    for number, uri in enumerate((str(secret), f"{inside}/../../../../secret.jpg"), 1):
        await api.record(told.item(number, "stored", uri=uri, content_type="image/jpeg"))
    async with api.client() as client:
        answers = [await client.get(f"{SETS}/{job.id}/images/{number}") for number in (1, 2)]
        archive = await client.get(f"{SETS}/{job.id}/images.zip")
    assert [answer.status_code for answer in (*answers, archive)] == [404, 404, 404]


async def test_a_file_that_is_no_image_is_not_shown(api: ApiPlatform) -> None:
    job, told = await image_set(api)
    uri = image_uri(api.settings.storage, job.id, "Ada", 1)
    locate(uri).write_bytes(b"<script>")
    await api.record(told.item(1, "stored", uri=uri, content_type="image/svg+xml", sha256="0" * 64))
    async with api.client() as client:
        answer = await client.get(f"{SETS}/{job.id}/images/1")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"


def _check_zip(content: bytes, tmp_path: Path) -> dict[str, bytes]:
    (tmp_path / "set.zip").write_bytes(content)
    report = check_zip(tmp_path / "set.zip")
    assert (report.images, report.captions) == (2, 2)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


async def test_the_zip_is_a_dataset(api: ApiPlatform, tmp_path: Path) -> None:
    job, told = await image_set(api)
    async with api.client() as client:
        nothing = await client.get(f"{SETS}/{job.id}/images.zip")
        await api.record(*stored(api, told, 1), *failed(told, 2), *stored(api, told, 3))
        answer = await client.get(f"{SETS}/{job.id}/images.zip", params={"trigger_word": "TOK"})
    assert nothing.status_code == 404
    assert _check_zip(answer.content, tmp_path) == {
        "Ada_L_training_01.jpg": pixels(1),
        "Ada_L_training_01.txt": f"TOK, {PROMPTS[0]}".encode(),
        "Ada_L_training_03.jpg": pixels(3),
        "Ada_L_training_03.txt": f"TOK, {PROMPTS[2]}".encode(),
    }
    assert (answer.headers["x-images-included"], answer.headers["x-images-total"]) == ("2", "3")
    assert 'filename="Ada_L_training.zip"' in answer.headers["content-disposition"]


async def test_it_may_lie_on_s3(tmp_path: Path, sqlite_url: str, s3: S3Server) -> None:
    storage = s3.uri(s3.make_bucket(), "runs")
    async with api_on(sqlite_url, tmp_path, storage=storage) as api, api.client() as client:
        job, told = await image_set(api)
        await api.record(*stored(api, told, 1), *stored(api, told, 2))
        item = (await client.get(f"{SETS}/{job.id}")).json()["items"][0]
        image = await client.get(item["image_url"])
        archive = await client.get(f"{SETS}/{job.id}/images.zip")
    assert item["storage_key"] == f"training-images/{job.id}/Ada_L_training_01.jpg"
    assert image.content == pixels(1)
    assert len(_check_zip(archive.content, tmp_path)) == 4


async def test_cancel(api: ApiPlatform) -> None:
    job, told = await image_set(api)
    async with api.client() as client:
        answer = await client.post(f"{SETS}/{job.id}/cancel")
        assert (await client.get(f"{JOBS}/{job.id}")).json()["job"]["cancel_requested"]
        await api.record(told.succeeded())
        late = await client.post(f"{SETS}/{job.id}/cancel")
        other = await client.post(f"{SETS}/{(await training(api))[0].id}/cancel")
    assert (answer.status_code, answer.json()["id"]) == (202, job.id)
    assert late.status_code == 409
    assert other.status_code == 404


async def test_the_stream_tells_of_each_image_as_it_arrives(api: ApiPlatform) -> None:
    job, told = await image_set(api)
    await api.record(*stored(api, told, 2), told.facts(images_total=3, images_done=1, images_failed=0))
    await api.record(told.succeeded())
    async with api.client() as client:
        items = await _items_of_stream(client, job.id)
    assert [(item["item"], item["status"]) for item in items] == [
        (2, "intended"),
        (2, "sent"),
        (2, "succeeded"),
        (2, "stored"),
    ]
    assert [item["image_url"] for item in items] == [None, None, None, f"{SETS}/{job.id}/images/2"]


async def _items_of_stream(client: httpx2.AsyncClient, job_id: str) -> list[dict[str, Any]]:
    text = (await client.get(f"{JOBS}/{job_id}/events", params={"after": 0, "kinds": "item"})).text
    blocks = [dict(line.split(": ", 1) for line in block.splitlines() if ": " in line) for block in text.split("\n\n")]
    return [json.loads(block["data"])["data"] for block in blocks if block.get("event") == "item"]


def test_the_weights_of_a_training_are_no_image() -> None:
    data = {"item": 1, "order": 1, "status": "stored", "content_type": "application/x-tar", "provider": "fal"}
    event = StreamEvent(id=3, job_id="j", kind=EventKind.ITEM, at=now(), data=data)
    assert views.item_message(event)["image_url"] is None
    assert views.event_message(event)["data"]["image_url"] is None
