"""Models and versions over HTTP: links that work, aliases, comparison, lineage."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.fixtures.api import ApiPlatform, Reports, api_on
from tests.fixtures.model_versions import classified, lora_bytes, onnx_bytes, trained
from tests.fixtures.s3 import S3Server
from thornback.artifacts.files import join, locate
from thornback.datasets.frame_set import DropReason, FrameRecord, FrameSet, VideoSource
from thornback.jobs.state import JobState
from thornback.models.publish import publish_version

MODELS = "/api/v1/models"


async def add(client: httpx2.AsyncClient, job: JobState, model: str = "mira") -> dict[str, Any]:
    answer = await client.post(f"{MODELS}/{model}/versions", json={"job_id": job.id})
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{MODELS}/{model}/versions/{answer.json()['version']}"
    body: dict[str, Any] = answer.json()
    return body


async def follow(client: httpx2.AsyncClient, url: str) -> httpx2.Response:
    """A signed link, by a client that knows nothing else."""
    assert url.startswith("http://127.0.0.1:8001/")
    parts = urlsplit(url)
    return await client.get(f"{parts.path}?{parts.query}")


async def test_a_finished_training_becomes_a_version(api: ApiPlatform) -> None:
    content = lora_bytes(2000, fill=7)
    job = await trained(api, content, learning_rate=4e-4)
    async with api.client() as client:
        version = await add(client, job)
        again = await client.post(f"{MODELS}/mira/versions", json={"job_id": job.id})
        file = await follow(client, version["model_url"])
        config = await follow(client, version["config_url"])
        moved = await client.get(f"{MODELS}/mira/versions/latest/model.safetensors")
        behind = await follow(client, moved.headers["location"])
    assert (version["model"], version["version"], version["aliases"]) == ("mira", 1, ["latest"])
    assert version["storage_key"] == f"loras/local/{job.id}/v1/model.safetensors"
    assert version["sha256"] == hashlib.sha256(content).hexdigest()
    assert version["size_bytes"] == len(content)
    assert (version["config"]["trigger"], version["config"]["learning_rate"]) == ("TOK", 4e-4)
    assert (again.status_code, again.json()["version"]) == (200, 1)
    assert file.content == content
    assert 'filename="mira-v1.safetensors"' in file.headers["content-disposition"]
    assert config.json()["sha256"] == version["sha256"]
    assert (moved.status_code, behind.content) == (307, content)


async def test_a_classifier_becomes_a_version_with_its_onnx_file(api: ApiPlatform) -> None:
    content = onnx_bytes()
    job = await classified(api, content, learning_rate=0.002)
    broken = await classified(api, content[:-1])
    async with api.client() as client:
        version = await add(client, job, "birds")
        moved = await client.get(f"{MODELS}/birds/versions/latest/model.onnx")
        file = await follow(client, moved.headers["location"])
        other = await client.get(f"{MODELS}/birds/versions/latest/model.safetensors")
        refused = await client.post(f"{MODELS}/birds/versions", json={"job_id": broken.id})
        lineage = (await client.get(f"{MODELS}/birds/versions/1/lineage")).json()
    assert version["storage_key"] == f"models/local/{job.id}/v1/model.onnx"
    assert file.content == content
    assert 'filename="birds-v1.onnx"' in file.headers["content-disposition"]
    assert (other.status_code, other.json()["detail"]) == (
        404,
        "version 1 of birds has no model.safetensors, but a model.onnx",
    )
    assert (refused.status_code, "no whole ONNX file" in refused.json()["detail"]) == (422, True)
    known = {"class_names": ["wren", "robin"], "val_accuracy": 0.9, "learning_rate": 0.002, "epochs": 3}
    assert version["config"].items() >= known.items()
    assert "trigger" not in version["config"]
    assert lineage["recorded"]["dataset"] == {"uri": "/data/birds", "clips": 80}
    assert lineage["job"]["kind"] == "convnext"


async def test_links_lead_to_where_the_client_found_us(api: ApiPlatform) -> None:
    job = await trained(api)
    async with api.client() as client:
        await add(client, job)
        headers = {"X-Forwarded-Host": "lora.example", "X-Forwarded-Proto": "https"}
        version = (await client.get(f"{MODELS}/mira/versions/1", headers=headers)).json()
        expires = datetime.fromisoformat(version["url_expires_at"])
        altered = await client.get(urlsplit(version["model_url"]).path, params={"expires": "9999999999"})
    assert version["model_url"].startswith("https://lora.example/api/v1/files/loras/")
    assert 3500 < (expires - datetime.now(UTC)).total_seconds() <= 3600
    assert altered.status_code == 403


async def test_on_s3_the_link_is_s3s_own(sqlite_url: str, tmp_path: Path, s3: S3Server) -> None:
    storage = s3.uri(s3.make_bucket(), "runs")
    async with api_on(sqlite_url, tmp_path, storage=storage) as api, api.client() as client:
        job = await trained(api, lora_bytes(100, fill=3))
        version = await add(client, job)
        plain = httpx2.get(version["model_url"])  # by anybody
        deleted = await client.delete(f"{MODELS}/mira/versions/1")
        gone = httpx2.get(version["model_url"])
    assert version["model_url"].startswith(s3.endpoint)
    assert version["storage_key"] == f"loras/local/{job.id}/v1/model.safetensors"
    assert plain.content == lora_bytes(100, fill=3)
    assert "mira-v1.safetensors" in plain.headers["content-disposition"]
    assert (deleted.status_code, gone.is_error) == (204, True)


async def test_lists(api: ApiPlatform) -> None:
    jobs = [await trained(api) for _ in range(4)]
    async with api.client() as client:
        for job in jobs[:3]:
            await add(client, job)
        await add(client, jobs[3], "other")
        models = (await client.get(MODELS)).json()
        first = (await client.get(f"{MODELS}/mira/versions", params={"limit": 2})).json()
        cursor = first["next_cursor"]
        rest = (await client.get(f"{MODELS}/mira/versions", params={"limit": 2, "cursor": cursor})).json()
        damaged = await client.get(MODELS, params={"cursor": "x"})
    assert [(model["name"], model["versions"], model["latest"]["version"]) for model in models["models"]] == [
        ("other", 1, 1),
        ("mira", 3, 3),
    ]
    assert (models["total"], first["total"], rest["next_cursor"]) == (2, 3, None)
    assert [version["version"] for version in first["versions"] + rest["versions"]] == [3, 2, 1]
    assert [version["aliases"] for version in first["versions"]] == [["latest"], []]
    assert damaged.status_code == 422


async def test_aliases_and_notes(api: ApiPlatform) -> None:
    jobs = [await trained(api) for _ in range(2)]
    async with api.client() as client:
        for job in jobs:
            await add(client, job)
        model = (await client.put(f"{MODELS}/mira/aliases/production", json={"version": 1})).json()
        noted = await client.patch(f"{MODELS}/mira/versions/production", json={"notes": "the best so far"})
        by_alias = (await client.get(f"{MODELS}/mira/versions/production")).json()
        refused = [
            await client.put(f"{MODELS}/mira/aliases/{alias}", json={"version": 1}) for alias in ("latest", "v2")
        ]
        unknown = await client.put(f"{MODELS}/mira/aliases/production", json={"version": 9})
        removed = [await client.delete(f"{MODELS}/mira/aliases/production") for _ in range(2)]
        gone = await client.get(f"{MODELS}/mira/versions/production")
    assert model["aliases"] == {"latest": 2, "production": 1}
    assert (noted.status_code, noted.json()["notes"]) == (200, "the best so far")
    assert (by_alias["version"], by_alias["notes"], by_alias["aliases"]) == (1, "the best so far", ["production"])
    assert [answer.status_code for answer in refused] == [422, 422]
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "model mira has no version 9")
    assert [answer.status_code for answer in removed] == [204, 204]
    assert gone.status_code == 404


async def test_delete(api: ApiPlatform) -> None:
    jobs = [await trained(api) for _ in range(2)]
    async with api.client() as client:
        first, second = [await add(client, job) for job in jobs]
        await client.put(f"{MODELS}/mira/aliases/production", json={"version": 1})
        in_use = await client.delete(f"{MODELS}/mira/versions/1")
        deleted = await client.delete(f"{MODELS}/mira/versions/2")
        again = await client.delete(f"{MODELS}/mira/versions/2")
        gone = await follow(client, second["model_url"])
        kept = await follow(client, first["model_url"])
        third = await add(client, jobs[1])
    assert (in_use.status_code, in_use.json()["code"]) == (409, "version_in_use")
    assert "production" in in_use.json()["detail"]
    assert [answer.status_code for answer in (deleted, again, gone, kept)] == [204, 404, 404, 200]
    assert not locate(join(api.settings.storage, f"loras/local/{jobs[1].id}/v2")).exists()
    assert third["version"] == 3


async def test_compare(api: ApiPlatform) -> None:
    jobs = [await trained(api, steps=40), await trained(api, steps=80, rank=32)]
    async with api.client() as client:
        for job in jobs:
            await add(client, job)
        found = (await client.get(f"{MODELS}/mira/compare", params={"a": "1"})).json()
        same = (await client.get(f"{MODELS}/mira/compare", params={"a": "2", "b": "v2"})).json()
        missing = await client.get(f"{MODELS}/mira/compare", params={"a": "1", "b": "7"})
    assert (found["a"]["version"], found["b"]["version"]) == (1, 2)
    assert found["changed"] == [
        {"field": "config.rank", "a": 16, "b": 32},
        {"field": "config.steps", "a": 40, "b": 80},
    ]
    assert found["same"]["config.trigger"] == "TOK"
    assert same["changed"] == []
    assert missing.status_code == 404


def frame(number: int, *, kept: bool = True) -> FrameRecord:
    return FrameRecord(
        id=f"{number:05d}",
        suffix=".jpg",
        time_s=number / 2,
        scene=number,
        width=1920,
        height=1080,
        size_bytes=3,
        sha256="ab" * 32,
        stored="images" if kept else "dropped",
        kept=kept,
        reason=None if kept else DropReason.BLURRED,
        caption="a photo of TOK" if kept else "",
    )


async def test_lineage_leads_from_the_version_to_the_video(api: ApiPlatform) -> None:
    """As a pipeline records it: the dataset's folder is named, and its dataset.json says the rest."""
    job = await trained(api)
    key = f"datasets/local/{job.id}"
    folder = locate(join(api.settings.storage, key))
    source = VideoSource(name="https://example.com/walk.mp4", sha256="cd" * 32, duration_s=12.5)
    frames = FrameSet(
        job_id=job.id,
        created_at=datetime.now(UTC),
        trigger_word="TOK",
        default_caption="a photo of TOK",
        source=source,
        frames=(frame(0), frame(1, kept=False), frame(2)),
    )
    (folder / "dataset.json").write_bytes(frames.model_dump_json().encode())
    (folder / "images" / "00002.jpg").write_bytes(b"\xff\xd8\xff")
    await publish_version(
        api.recorder,
        api.settings,
        model="mira",
        user="local",
        job_id=job.id,
        weights_uri=join(api.settings.run_uri(job.id), "lora.safetensors"),
        config={"trigger": "TOK", "frame_count": 2},
        lineage={"training": {"job_id": str(uuid.uuid4())}, "dataset": {"key": key}},
        now=datetime.now(UTC),
    )
    async with api.client() as client:
        lineage = (await client.get(f"{MODELS}/mira/versions/1/lineage")).json()
        picture = await follow(client, lineage["dataset"]["frames"][1]["image_url"])
        folder.delete_tree()
        await api.recorder.set_alias(
            user="local", model="mira", alias="production", version=1, by="ada", at=datetime.now(UTC)
        )
        await api.recorder.delete(job.id)
        later = (await client.get(f"{MODELS}/mira/versions/1/lineage")).json()
    assert lineage["version"]["version"] == 1
    assert lineage["job"] == {
        "id": job.id,
        "exists": True,
        "kind": "lora",
        "job_name": "Mira",
        "status": "completed",
        "parent_id": None,
    }
    assert (lineage["dataset"]["kept"], lineage["dataset"]["dropped"]) == (2, {"blurred": 1})
    assert [(item["id"], item["time_s"], item["scene"]) for item in lineage["dataset"]["frames"]] == [
        ("00000", 0.0, 0),
        ("00002", 1.0, 2),
    ]
    assert lineage["video"]["name"] == "https://example.com/walk.mp4"
    assert (picture.content, picture.headers["content-type"]) == (b"\xff\xd8\xff", "image/jpeg")
    assert (later["job"]["exists"], later["dataset"], later["recorded"]["dataset"]) == (False, None, {"key": key})


async def test_what_cannot_become_a_version(api: ApiPlatform) -> None:
    running, broken = await trained(api, ends=False), await trained(api, b"not a model")
    done = await trained(api)
    outside = await api.create()
    reports = Reports(outside.id)
    await api.record(
        reports.started(), reports.artifact("lora.safetensors", "/etc/passwd", type="lora"), reports.succeeded()
    )
    async with api.client() as client:
        await add(client, done)
        answers = [
            await client.post(f"{MODELS}/{model}/versions", json={"job_id": job_id})
            for model, job_id in (
                ("mira", running.id),
                ("mira", broken.id),
                ("mira", outside.id),
                ("other", done.id),
                ("mira", str(uuid.uuid4())),
                ("mira", "no id"),
                ("-mira", done.id),
            )
        ]
        nothing = [await client.get(f"{MODELS}/{path}") for path in ("nobody", "nobody/versions", "mira/versions/2")]
    assert [answer.status_code for answer in answers] == [409, 422, 409, 409, 404, 422, 422]
    assert [answer.status_code for answer in nothing] == [404, 404, 404]
    assert "no whole safetensors file" in answers[1].json()["detail"]


@pytest.mark.parametrize("path", ["mira/versions/..", "mira/versions/1%2f..", "..%2f..%2fetc/versions"])
async def test_nothing_but_names(api: ApiPlatform, path: str) -> None:
    async with api.client() as client:
        answer = await client.get(f"{MODELS}/{path}")
    assert answer.status_code in (404, 422)
