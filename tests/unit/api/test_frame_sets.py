"""A video's dataset over HTTP: looked at, changed in a review, approved, and taken as a ZIP."""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.fixtures.api import FIRST, JOBS, ApiPlatform, Reports, now
from tests.unit.datasets.pictures_made import opened
from tests.unit.datasets.video_frames import ORIGIN, new_frames
from thornback.artifacts.layout import dataset_uri
from thornback.datasets.frame_folder import FrameFolder
from thornback.errors import StoreUnavailable
from thornback.jobs.events import Attempt, EventFactory
from thornback.jobs.state import JobState
from thornback.jobs.status import FailureReason
from thornback.jobs.video_stages import IN_ORDER, VideoStage
from thornback.jobs.wishes import Wish

SPEC: dict[str, Any] = {
    "kind": "video_lora",
    "backend": "ray",
    "job_name": "Fox",
    "config": {
        "video_url": "https://example.com/fox.mp4",
        "trigger_word": "ohwx",
        "review": True,
        "base_model": "/models/flux",
    },
}


@pytest.fixture
async def client(api: ApiPlatform) -> AsyncIterator[httpx2.AsyncClient]:
    async with api.client() as client:
        yield client


async def pipeline(api: ApiPlatform, stage: VideoStage = VideoStage.REVIEW) -> JobState:
    job = await api.create_spec(SPEC)
    entered = EventFactory(job.id).stage(FIRST, index=IN_ORDER.index(stage), name=stage.value, at=now())
    await api.record(Reports(job.id).started(), entered)
    return api.reader.job(job.id).state


def folder_of(api: ApiPlatform, job: JobState) -> FrameFolder:
    return FrameFolder(dataset_uri(api.settings.storage, job.user, job.id))


@pytest.fixture
async def job(api: ApiPlatform, tmp_path: Path) -> JobState:
    """A pipeline in review."""
    job = await pipeline(api)
    folder_of(api, job).write(new_frames(tmp_path / "work"), ORIGIN, for_review=True)
    return job


async def test_preview(client: httpx2.AsyncClient, job: JobState) -> None:
    answer = await client.get(f"{JOBS}/{job.id}/dataset")
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["revision"], shown["in_review"], shown["sealed"], shown["trigger_word"]) == (1, True, False, "ohwx")
    assert (shown["kept"], shown["dropped"], shown["total"]) == (2, 2, 4)
    assert shown["reasons"] == {"near_duplicate": 1, "unreadable": 1}
    assert (shown["source"]["name"], shown["zip"], shown["zip_url"]) == ("https://example.com/fox.mp4", None, None)
    first, _, duplicate, broken = shown["frames"]
    assert (first["caption"], first["captioned_by"], first["scores"]) == (
        "ohwx, number 0",
        "template",
        {"sharpness": 9.5},
    )
    assert (duplicate["reason"], duplicate["duplicate_of"]) == ("near_duplicate", "0000")
    assert duplicate["explanation"] == "looks like 0000.jpg"
    assert [frame["can_be_kept"] for frame in shown["frames"]] == [True, True, True, False]
    assert (broken["thumbnail_url"], broken["image_url"]) == (None, None)


async def test_pages(client: httpx2.AsyncClient, job: JobState) -> None:
    async def ids(**query: Any) -> tuple[list[str], int]:
        shown = (await client.get(f"{JOBS}/{job.id}/dataset", params=query)).json()
        return [frame["id"] for frame in shown["frames"]], shown["total"]

    assert await ids(limit=2, offset=1) == (["0001", "0002"], 4)
    assert await ids(kept=True) == (["0000", "0001"], 2)
    assert await ids(kept=False, offset=1) == (["0003"], 2)


async def test_pictures(client: httpx2.AsyncClient, job: JobState) -> None:
    frame = (await client.get(f"{JOBS}/{job.id}/dataset")).json()["frames"][2]
    for url in (frame["thumbnail_url"], frame["image_url"]):
        answer = await client.get(url)
        assert answer.headers["content-type"] == "image/jpeg"
        assert opened(answer.content).size == (48, 32)
        again = await client.get(url, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "frames/0009/thumbnail",
        "frames/0009/image",
        "frames/0003/thumbnail",
        "frames/0003/image",
        "dataset.zip",
    ],
)
async def test_what_is_not_there(client: httpx2.AsyncClient, job: JobState, path: str) -> None:
    answer = await client.get(f"{JOBS}/{job.id}/dataset/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("id", ["..%2F..%2Fdataset", "%2Fetc%2Fpasswd", ".hidden", "a" * 101])
async def test_names_lead_nowhere_else(client: httpx2.AsyncClient, job: JobState, id: str) -> None:
    for kind in ("image", "thumbnail"):
        assert (await client.get(f"{JOBS}/{job.id}/dataset/frames/{id}/{kind}")).status_code in (404, 422)


async def test_changes(client: httpx2.AsyncClient, api: ApiPlatform, job: JobState) -> None:
    changes = {"0000": {"caption": "[trigger] in snow"}, "0001": {"kept": False}, "0002": {"kept": True}}
    answer = await client.patch(f"{JOBS}/{job.id}/dataset", json={"revision": 1, "frames": changes})
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["revision"], shown["kept"], shown["total"]) == (2, 2, 3)
    assert [(frame["kept"], frame["caption"]) for frame in shown["frames"]] == [
        (True, "ohwx in snow"),
        (False, "ohwx, number 1"),
        (True, "a photo of ohwx"),
    ]
    assert shown["frames"][1]["reason"] == "dropped_by_user"
    late = await client.patch(f"{JOBS}/{job.id}/dataset", json={"revision": 1, "frames": changes})
    assert late.status_code == 409
    assert "now of revision 2" in late.json()["detail"]
    assert folder_of(api, job).read().revision == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"frames": {"0000": {"kept": False}}}, "revision"),
        ({"revision": 1, "frames": {}}, "frames"),
        ({"revision": 1, "frames": {"0000": {"keep": False}}}, "frames.0000.keep"),
        ({"revision": 1, "frames": {"0009": {"kept": False}}}, "frames.0009"),
        ({"revision": 1, "frames": {"0000": {"caption": " "}}}, "frames.0000.caption"),
        ({"revision": 1, "frames": {"0003": {"kept": True}}}, "frames.0003.kept"),
        ({"revision": 1, "frames": {"0000": {"kept": False}, "0001": {"kept": False}}}, "frames"),
    ],
)
async def test_what_cannot_be_changed(
    client: httpx2.AsyncClient, api: ApiPlatform, job: JobState, body: Any, field: str
) -> None:
    answer = await client.patch(f"{JOBS}/{job.id}/dataset", json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert folder_of(api, job).read().revision == 1


async def test_approved_as_it_was_seen(client: httpx2.AsyncClient, api: ApiPlatform, job: JobState) -> None:
    approve = f"{JOBS}/{job.id}/approve"
    drop = {"revision": 1, "frames": {"0001": {"kept": False}}}
    assert (await client.patch(f"{JOBS}/{job.id}/dataset", json=drop)).status_code == 200
    stale = await client.post(approve, json={"revision": 1})
    assert (stale.status_code, stale.json()["code"]) == (409, "conflict")
    assert Wish.APPROVE not in api.reader.job(job.id).state.asked
    answer = await client.post(approve, json={"revision": 2})
    assert answer.status_code == 202
    assert list(answer.json()["job"]["asked"]) == ["approve"]

    late = {"revision": 2, "frames": {"0001": {"kept": True}}}
    refused = await client.patch(f"{JOBS}/{job.id}/dataset", json=late)
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert (await client.get(f"{JOBS}/{job.id}/dataset")).json()["in_review"] is False


async def test_what_is_approved_is_closed_before_anybody_hears_of_it(
    client: httpx2.AsyncClient, api: ApiPlatform, job: JobState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that comes in between is refused, and an approval that was cut off is given again."""

    async def away(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("the database is away")

    record = api.recorder.record
    monkeypatch.setattr(api.recorder, "record", away)
    approve = f"{JOBS}/{job.id}/approve"
    assert (await client.post(approve, json={"revision": 1})).status_code == 503
    late = await client.patch(f"{JOBS}/{job.id}/dataset", json={"revision": 1, "frames": {"0001": {"kept": False}}})
    assert (late.status_code, late.json()["detail"]) == (
        409,
        "this dataset was approved; nothing in it changes any more",
    )
    shown = (await client.get(f"{JOBS}/{job.id}/dataset")).json()
    assert (shown["kept"], shown["sealed"], shown["in_review"]) == (2, True, True)
    monkeypatch.setattr(api.recorder, "record", record)
    assert (await client.post(approve, json={"revision": 1})).status_code == 202


@pytest.mark.parametrize("how", ["parked", "retried"])
async def test_in_review_while_no_driver_is_there(
    client: httpx2.AsyncClient, api: ApiPlatform, job: JobState, how: str
) -> None:
    make = EventFactory(job.id)
    lost = make.retried(Attempt(2), reason=FailureReason.DRIVER_LOST, message="killed", at=now())
    await api.record(make.parked(FIRST, at=now()) if how == "parked" else lost)
    assert api.reader.job(job.id).state.status.is_waiting
    drop = {"revision": 1, "frames": {"0001": {"kept": False}}}
    assert (await client.patch(f"{JOBS}/{job.id}/dataset", json=drop)).status_code == 200
    assert (await client.get(f"{JOBS}/{job.id}/dataset")).json()["in_review"] is True
    assert (await client.post(f"{JOBS}/{job.id}/approve", json={"revision": 2})).status_code == 202
    assert (await client.get(f"{JOBS}/{job.id}/dataset")).json()["in_review"] is False


async def test_approved_without_a_body(client: httpx2.AsyncClient, job: JobState) -> None:
    assert (await client.post(f"{JOBS}/{job.id}/approve")).status_code == 202


async def test_what_the_training_got(
    client: httpx2.AsyncClient, api: ApiPlatform, job: JobState, tmp_path: Path
) -> None:
    folder = folder_of(api, job)
    assert (await client.post(f"{JOBS}/{job.id}/approve")).status_code == 202
    folder.seal()
    folder.pack(tmp_path / "zip")
    shown = (await client.get(f"{JOBS}/{job.id}/dataset")).json()
    assert (shown["sealed"], shown["in_review"], shown["zip"]["images"]) == (True, False, 2)
    assert shown["frames"][2]["image_url"] is None
    answer = await client.get(shown["zip_url"])
    assert answer.headers["content-type"] == "application/zip"
    assert int(answer.headers["content-length"]) == len(answer.content) == shown["zip"]["size_bytes"]
    assert 'filename="Fox.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["0000.jpg", "0000.txt", "0001.jpg", "0001.txt"]


@pytest.mark.parametrize("stage", [VideoStage.FRAMES, VideoStage.TRAIN])
async def test_only_in_review(client: httpx2.AsyncClient, api: ApiPlatform, tmp_path: Path, stage: VideoStage) -> None:
    job = await pipeline(api, stage)
    folder_of(api, job).write(new_frames(tmp_path / "work"), ORIGIN, for_review=True)
    drop = {"revision": 1, "frames": {"0001": {"kept": False}}}
    answers = [
        await client.patch(f"{JOBS}/{job.id}/dataset", json=drop),
        await client.post(f"{JOBS}/{job.id}/approve"),
    ]
    assert [answer.status_code for answer in answers] == [409, 409]
    assert folder_of(api, job).read().revision == 1


async def test_before_there_is_one(client: httpx2.AsyncClient, api: ApiPlatform) -> None:
    waiting, other = await api.create_spec(SPEC), await api.create()
    for id, problem in ((waiting.id, "not there (yet)"), (other.id, "of kind convnext"), ("0" * 8, "")):
        answer = await client.get(f"{JOBS}/{id}/dataset")
        assert answer.status_code == (404 if problem else 422)
        assert problem in answer.json()["detail"]
    assert (await client.post(f"{JOBS}/{waiting.id}/approve")).status_code == 409
