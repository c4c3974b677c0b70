"""Sending a dataset: kept where it can be trained on, refused in words where not."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.api import ApiPlatform, api_on
from tests.fixtures.s3 import S3Server
from tests.unit.datasets.image_sets import image_set, stored_in
from tests.unit.datasets.pictures_made import picture
from tests.unit.datasets.test_image_zip import zipped
from thornback.datasets.packing import pack
from thornback.jobs.lora import RemoteLoraConfig

DATASETS = "/api/v1/datasets"
ZIP = {"Content-Type": "application/zip"}


def _zip(tmp_path: Path, **more: bytes) -> bytes:
    return zipped(tmp_path / "mira.zip", {"a.png": picture(), "a.txt": b"TOK", "b.png": picture(), **more}).read_bytes()


def _use(api: ApiPlatform, uri: str, tmp_path: Path) -> int | None:
    config = RemoteLoraConfig(dataset=uri, captioning="manual")
    reader = image_set(str(tmp_path / "other"), ["x"])
    return pack(config, settings=api.settings, reader=reader, into=tmp_path / "into").images


async def test_what_was_sent_can_be_trained_on(api: ApiPlatform, tmp_path: Path) -> None:
    content = _zip(tmp_path)
    async with api.client() as client:
        answer = await client.post(DATASETS, content=content, headers=ZIP)
    assert answer.status_code == 201
    sent = answer.json()
    assert (sent["images"], sent["captions"], sent["size_bytes"]) == (2, 1, len(content))
    assert sent["sha256"] == hashlib.sha256(content).hexdigest()
    assert sent["uri"] == f"upload:{sent['id']}"
    assert _use(api, sent["uri"], tmp_path) == 2


async def test_it_may_lie_on_s3(tmp_path: Path, sqlite_url: str, s3: S3Server) -> None:
    storage = s3.uri(s3.make_bucket(), "runs")
    async with api_on(sqlite_url, tmp_path, storage=storage) as api, api.client() as client:
        uri = (await client.post(DATASETS, content=_zip(tmp_path), headers=ZIP)).json()["uri"]
        assert _use(api, uri, tmp_path) == 2


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"no zip", ZIP, 422),
        (b"", ZIP, 422),
        (b"{}", {"Content-Type": "application/json"}, 415),
        (b"x", {"Content-Type": "multipart/form-data; boundary=x"}, 415),
        (b"x", {"Content-Type": ""}, 415),
    ],
)
async def test_what_is_no_dataset(api: ApiPlatform, content: bytes, headers: dict[str, str], status: int) -> None:
    async with api.client() as client:
        answer = await client.post(DATASETS, content=content, headers=headers)
    assert answer.status_code == status
    assert stored_in(Path(api.settings.storage)) == []


async def test_a_broken_picture_is_named(api: ApiPlatform, tmp_path: Path) -> None:
    async with api.client() as client:
        answer = await client.post(DATASETS, content=_zip(tmp_path, **{"c.png": picture()[:70]}), headers=ZIP)
    assert answer.status_code == 422
    assert "c.png" in answer.json()["detail"]


@pytest.mark.parametrize("says_its_size", [True, False])
async def test_the_limit_holds_whether_the_size_is_told_or_not(
    api: ApiPlatform, tmp_path: Path, says_its_size: bool
) -> None:
    content = _zip(tmp_path)
    assert len(content) > 300

    async def pieces() -> AsyncIterator[bytes]:
        for first in range(0, len(content), 100):
            yield content[first : first + 100]

    body: Any = content if says_its_size else pieces()
    async with api.client(dataset_max_bytes=300) as client:
        answer = await client.post(DATASETS, content=body, headers=ZIP)
    assert answer.status_code == 413
    assert "THORNBACK_DATASET_MAX_BYTES" in answer.json()["detail"]


async def test_more_than_a_usual_body_may_come(api: ApiPlatform, tmp_path: Path) -> None:
    noise = picture("BMP", (800, 600))  # 1.4 MB; other bodies end at one
    async with api.client() as client:
        members = {"a.bmp": noise}
        content = zipped(tmp_path / "large.zip", members, compression=0).read_bytes()
        assert len(content) > 1 << 20
        answer = await client.post(DATASETS, content=content, headers=ZIP)
    assert answer.status_code == 201
