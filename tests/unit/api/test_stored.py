"""What a job names and what is not there, or not theirs to name, is refused before it waits in the queue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serve_apps.api.views import event_message
from tests.fixtures.api import JOBS, ApiPlatform, Reports
from tests.unit.api.test_access import Guarded
from tests.unit.api.test_datasets import _zip
from thornback.access.roles import Role
from thornback.artifacts.files import join, locate
from thornback.artifacts.layout import uploads_uri
from thornback.artifacts.uploads import delete_upload, owner_of_upload

VIDEO, PICTURES = "0190a000-0000-7000-8000-00000000000a", "0190a000-0000-7000-8000-00000000000b"
MISSING = "0190a000-0000-7000-8000-00000000000c"
KEYS: dict[str, Any] = {"fal_key": "a:b"}


def pipeline(video: str, **training: Any) -> dict[str, Any]:
    config = {"video_url": video, "trigger_word": "TOK", "base_model": "/m", "training": training}
    return {"kind": "video_lora", "backend": "ray", "job_name": "cat", "config": config}


def lora(dataset: str, **config: Any) -> dict[str, Any]:
    given = {"dataset": dataset, "trigger_word": "TOK", "base_model": "/m", **config}
    return {"kind": "lora", "backend": "ray", "job_name": "cat", "config": given}


async def refusal(api: ApiPlatform, body: dict[str, Any], path: str = JOBS, **settings: Any) -> tuple[str, str] | None:
    """The field and what is wrong with it; None where it is taken."""
    for name in (f"{VIDEO}.video", f"{PICTURES}.zip"):
        locate(join(uploads_uri(api.settings.storage), name)).write_bytes(b"x")
    async with api.client(**KEYS, **settings) as client:
        answer = await client.post(path, json=body)
    if answer.status_code == 201:
        return None
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    return error["field"], error["message"]


@pytest.mark.parametrize(
    "body",
    [pipeline(f"upload:{VIDEO}"), lora(f"upload:{PICTURES}"), lora(f"upload:{PICTURES}", masks=f"upload:{PICTURES}")],
)
async def test_what_is_there(api: ApiPlatform, body: dict[str, Any]) -> None:
    assert await refusal(api, body) is None


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        (pipeline(f"upload:{MISSING}"), "config.video_url", f"there is no upload {MISSING}; send the file"),
        (pipeline(f"upload:{PICTURES}"), "config.video_url", "is a ZIP of pictures, and a video is needed"),
        (lora(f"upload:{MISSING}"), "config.dataset", f"there is no upload {MISSING}"),
        (lora(f"upload:{VIDEO}"), "config.dataset", "is a video, and a ZIP of pictures is needed"),
        (lora("upload:../x"), "config.dataset", "there is no upload ../x"),
        (lora(f"upload:{PICTURES}", masks=f"upload:{MISSING}"), "config.masks", "there is no upload"),
        (pipeline(f"upload:{VIDEO}", masks=f"upload:{MISSING}"), "config.training.masks", "there is no upload"),
    ],
)
async def test_what_is_not(api: ApiPlatform, body: dict[str, Any], field: str, problem: str) -> None:
    found = await refusal(api, body)
    assert found is not None
    assert found[0] == field
    assert problem in found[1]


async def test_in_the_words_of_the_source(api: ApiPlatform) -> None:
    body = {"videoUrl": f"upload:{MISSING}", "triggerWord": "TOK"}
    found = await refusal(api, body, "/api/lora/train")
    assert found is not None
    assert found[0] == "videoUrl"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (pipeline("s3://secret/film.mp4"), "config.video_url"),
        (lora("S3://secret/pictures"), "config.dataset"),
        (lora("/data", regularisation="s3://secret/x"), "config.regularisation"),
        ({"job_name": "x", "config": {"data": "s3://secret/x.csv"}}, "config.data"),
    ],
)
async def test_buckets_that_nobody_named(api: ApiPlatform, body: dict[str, Any], field: str) -> None:
    found = await refusal(api, body, fetch_buckets="films")
    assert found is not None
    assert found[0] == field
    assert "THORNBACK_FETCH_BUCKETS" in found[1]
    assert await refusal(api, body, fetch_buckets="sec*") is None


async def test_uploads_of_others_are_not_there(api: ApiPlatform, tmp_path: Path) -> None:
    guarded = Guarded(api)
    for name, role in (("root", Role.ADMIN), ("ada", Role.TRAINER), ("bob", Role.TRAINER)):
        await guarded.add(name, role)
    content = _zip(tmp_path)
    async with guarded.client("ada", **KEYS) as client:
        sent = await client.post("/api/v1/datasets", content=content, headers={"content-type": "application/zip"})
        body = lora(sent.json()["uri"])
        mine = await client.post(JOBS, json=body)
        assert mine.status_code == 201
    async with guarded.client("bob", **KEYS) as client:
        refused = await client.post(JOBS, json=body)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "config.dataset")
        await api.record(Reports(mine.json()["id"]).succeeded())
        assert (await client.post(f"{JOBS}/{mine.json()['id']}/retry", json={})).status_code == 201
    async with guarded.client("root", **KEYS) as client:
        assert (await client.post(JOBS, json=body)).status_code == 201
    id = sent.json()["id"]
    assert owner_of_upload(api.settings.storage, id) == "ada"
    delete_upload(api.settings.storage, id)
    assert owner_of_upload(api.settings.storage, id) is None


async def test_keys_in_a_configuration_are_not_shown(api: ApiPlatform) -> None:
    signed = "https://files.example/d.zip?X-Amz-Signature=0123456789abcdef&size=1"
    async with api.client(**KEYS) as client:
        job = (await client.post(JOBS, json=lora(signed))).json()
        shown = (await client.get(f"{JOBS}/{job['id']}")).text
        events = [event for event in api.reader.events(0) if event.kind.value == "created"]
        told = event_message(events[0])
    for text in (str(job), shown, str(told)):
        assert "0123456789abcdef" not in text
        assert "size=1" in text
    assert api.reader.job(job["id"]).state.spec["config"]["dataset"] == signed
