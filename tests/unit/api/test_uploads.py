"""Uploads in parts: nothing is lost, nothing is taken twice, and what cannot be of use is refused in words."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from serve_apps.api import staging as staging_module
from serve_apps.api import upload_check
from serve_apps.api.routes import uploads as routes
from serve_apps.api.staging import Staging
from serve_apps.api.tus import OFFSET_TYPE
from tests.fixtures.api import ApiPlatform, api_on, eventually, now, serving
from tests.fixtures.clips import small_clip
from tests.fixtures.s3 import S3Server
from tests.unit.datasets.image_sets import image_set
from tests.unit.datasets.pictures_made import picture
from tests.unit.datasets.test_image_zip import zipped
from thornback.artifacts.files import locate
from thornback.datasets.packing import pack, upload_uri
from thornback.errors import Unavailable, UploadLocked
from thornback.jobs.events import EventFactory
from thornback.jobs.lora import RemoteLoraConfig
from thornback.media.source import video_upload_uri

UPLOADS = "/api/v1/uploads"
TUS = {"Tus-Resumable": "1.0.0"}
SPEC: dict[str, Any] = {
    "kind": "lora",
    "backend": "ray",
    "job_name": "Mira",
    "config": {"base_model": "/models/flux", "trigger_word": "TOK"},
}


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    """A ZIP of two pictures and a caption, of a few kB."""
    members = {"a.png": picture(), "a.txt": b"TOK", "b.bmp": picture("BMP", (40, 30))}
    return zipped(tmp_path / "mira.zip", members, compression=0).read_bytes()


@dataclass
class Sender:
    """A client of one upload."""

    http: httpx2.AsyncClient
    url: str = ""

    async def begin(self, length: int, metadata: str = "filename bWlyYS56aXA=") -> httpx2.Response:
        headers = TUS | {"Upload-Length": str(length), "Upload-Metadata": metadata}
        answer = await self.http.post(UPLOADS, headers=headers)
        self.url = answer.headers.get("location", "")
        return answer

    async def send(self, offset: int, part: Any, **headers: str) -> httpx2.Response:
        said = TUS | {"Upload-Offset": str(offset), "Content-Type": OFFSET_TYPE} | headers
        return await self.http.patch(self.url, content=part, headers=said)

    async def offset(self) -> int:
        answer = await self.http.head(self.url, headers=TUS)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        return int(answer.headers["upload-offset"])

    async def look(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.http.get(self.url)).json()
        return found


@pytest.fixture
async def sender(api: ApiPlatform) -> AsyncIterator[Sender]:
    async with api.client() as client:
        yield Sender(client)


def _images(api: ApiPlatform, uri: str, tmp_path: Path) -> int | None:
    reader = image_set(str(tmp_path / "other"), ["x"])
    return pack(RemoteLoraConfig(dataset=uri), settings=api.settings, reader=reader, into=tmp_path / "into").images


def _checksum(part: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, part).digest()).decode()}"


async def test_what_came_in_parts_can_be_trained_on(
    api: ApiPlatform, sender: Sender, content: bytes, tmp_path: Path
) -> None:
    begun = await sender.begin(len(content))
    assert (begun.status_code, begun.headers["tus-resumable"]) == (201, "1.0.0")
    assert begun.headers["upload-expires"].endswith("GMT")
    assert await sender.offset() == 0
    first = await sender.send(0, content[:1000])
    assert (first.status_code, first.headers["upload-offset"]) == (204, "1000")
    assert (await sender.look())["state"] == "receiving"
    last = await sender.send(1000, content[1000:])
    assert (last.status_code, last.headers["upload-offset"]) == (204, str(len(content)))
    found = await sender.look()
    assert (found["state"], found["content"], found["images"], found["captions"]) == ("ready", "pictures", 2, 1)
    assert (found["filename"], found["sha256"]) == ("mira.zip", hashlib.sha256(content).hexdigest())
    assert _images(api, found["uri"], tmp_path) == 2
    assert await sender.offset() == len(content)
    assert (await sender.send(len(content), b"")).status_code == 204  # the answer was lost: asking again does no harm


async def test_it_may_end_on_s3(tmp_path: Path, sqlite_url: str, s3: S3Server, content: bytes) -> None:
    storage = s3.uri(s3.make_bucket(), "runs")
    async with api_on(sqlite_url, tmp_path, storage=storage) as api, api.client() as client:
        sender = Sender(client)
        await sender.begin(len(content))
        await sender.send(0, content)
        assert _images(api, (await sender.look())["uri"], tmp_path) == 2


async def test_it_says_what_it_can(api: ApiPlatform, sender: Sender) -> None:
    answer = await sender.http.options(UPLOADS)
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-extension"] == "creation,termination,checksum,expiration"
    assert answer.headers["tus-checksum-algorithm"] == "sha1,sha256"
    assert int(answer.headers["tus-max-size"]) == api.settings.video_max_bytes


async def test_only_the_right_offset_is_taken(sender: Sender, content: bytes) -> None:
    await sender.begin(len(content))
    await sender.send(0, content[:10])
    for wrong in (0, 9, 11, len(content)):
        answer = await sender.send(wrong, content[wrong : wrong + 5])
        assert (answer.status_code, answer.json()["offset"]) == (409, 10)
        assert answer.headers["tus-resumable"] == "1.0.0"
    assert await sender.offset() == 10


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
async def test_a_part_with_a_wrong_checksum_does_not_count(sender: Sender, content: bytes, algorithm: str) -> None:
    await sender.begin(len(content))
    good = {"Upload-Checksum": _checksum(content[:500], algorithm)}
    assert (await sender.send(0, content[:499] + b"?", **good)).status_code == 460
    assert await sender.offset() == 0
    assert (await sender.send(0, content[:500], **good)).status_code == 204
    assert (await sender.send(500, content[500:])).status_code == 204
    assert (await sender.look())["state"] == "ready"


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Tus-Resumable": ""}, 412, "unsupported_tus_version"),
        ({"Tus-Resumable": "0.2.2"}, 412, "unsupported_tus_version"),
        ({"Content-Type": "application/zip"}, 415, "unsupported_media_type"),
        ({"Upload-Offset": "-1"}, 400, "bad_header"),
        ({"Upload-Offset": "ten"}, 400, "bad_header"),
        ({"Upload-Offset": "9" * 40}, 400, "bad_header"),
        ({"Upload-Checksum": "md4 AAAA"}, 400, "bad_header"),
        ({"Upload-Checksum": "sha1 !"}, 400, "bad_header"),
    ],
)
async def test_parts_that_say_what_cannot_be_read(
    sender: Sender, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    await sender.begin(len(content))
    answer = await sender.send(0, content, **headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert await sender.offset() == 0


@pytest.mark.parametrize(
    ("length", "metadata", "status"),
    [
        ("0", "", 400),
        ("", "", 400),
        ("1e3", "", 400),
        (str((20 << 30) + 1), "", 413),
        ("10", "filename notbase64!", 400),
        ("10", "filename /w==", 400),  # no UTF-8
        ("10", "a YQ==,a Yg==", 400),
        ("10", "a " + "YQ==" * 2000, 400),
    ],
)
async def test_beginnings_that_lead_nowhere(sender: Sender, length: str, metadata: str, status: int) -> None:
    headers = TUS | {"Upload-Length": length, "Upload-Metadata": metadata}
    assert (await sender.http.post(UPLOADS, headers=headers)).status_code == status


@pytest.mark.parametrize("says_its_size", [True, False])
async def test_no_byte_after_the_end_is_taken(sender: Sender, content: bytes, says_its_size: bool) -> None:
    await sender.begin(len(content))
    await sender.send(0, content[:100])

    async def pieces() -> AsyncIterator[bytes]:
        yield content[100:]
        yield b"more"

    body: Any = content[100:] + b"more" if says_its_size else pieces()
    assert (await sender.send(100, body)).status_code == 413
    assert await sender.offset() == 100


async def test_a_zip_that_is_too_large_is_refused_with_its_first_bytes(api: ApiPlatform, content: bytes) -> None:
    async with api.client(dataset_max_bytes=2000) as client:
        sender = Sender(client)
        await sender.begin(len(content))
        answer = await sender.send(0, content[:100])
        assert answer.status_code == 422
        assert "THORNBACK_DATASET_MAX_BYTES" in answer.json()["detail"]
        found = await sender.look()
        assert (found["state"], found["problem"]) == ("refused", answer.json()["detail"])
        again = await sender.send(100, content[100:])
        assert (again.status_code, again.json()["detail"]) == (422, answer.json()["detail"])


async def test_without_the_extra_a_video_is_refused_with_its_first_bytes(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_check, "_reads_video", lambda: False)
    await sender.begin(5000)
    answer = await sender.send(0, b"\0\0\0\x20ftypisom" + b"\0" * 100)
    assert (answer.status_code, "thornback[video]" in answer.json()["detail"]) == (422, True)


async def test_a_video_under_whatever_name(api: ApiPlatform, sender: Sender, tmp_path: Path) -> None:
    small_clip(tmp_path / "clip.mp4")
    content = (tmp_path / "clip.mp4").read_bytes()
    await sender.begin(len(content), "filename Y2xpcC56aXA=")  # clip.zip
    assert (await sender.send(0, content)).status_code == 204
    found = await sender.look()
    assert (found["state"], found["content"]) == ("ready", "video")
    assert (found["video"]["width"], found["video"]["height"], found["video"]["codec"]) == (320, 180, "h264")
    kept = locate(video_upload_uri(api.settings.storage, found["id"]))
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == found["sha256"]


async def test_what_is_neither_pictures_nor_video(sender: Sender) -> None:
    await sender.begin(5000)
    answer = await sender.send(0, b"MZ" + b"\0" * 4998)
    assert answer.status_code == 422
    assert (await sender.look())["state"] == "refused"


async def test_a_broken_picture_is_named(api: ApiPlatform, sender: Sender, tmp_path: Path) -> None:
    content = zipped(tmp_path / "bad.zip", {"a.png": picture(), "c.png": picture()[:70]}).read_bytes()
    await sender.begin(len(content))
    answer = await sender.send(0, content)
    assert answer.status_code == 422
    assert "c.png" in answer.json()["detail"]
    assert not locate(upload_uri(api.settings.storage, sender.url.rpartition("/")[2])).exists()


async def test_one_that_was_given_up_is_gone(api: ApiPlatform, sender: Sender, content: bytes) -> None:
    await sender.begin(len(content))
    await sender.send(0, content[:50])
    assert (await sender.http.delete(sender.url, headers=TUS)).status_code == 204
    assert (await sender.http.head(sender.url, headers=TUS)).status_code == 404
    assert (await sender.send(50, content[50:])).status_code == 404


async def test_a_whole_one_can_go_while_no_job_needs_it(api: ApiPlatform, sender: Sender, content: bytes) -> None:
    await sender.begin(len(content))
    await sender.send(0, content)
    id = sender.url.rpartition("/")[2]
    job = await api.create_spec(SPEC | {"config": SPEC["config"] | {"dataset": f"upload:{id}"}})
    refused = await sender.http.delete(sender.url, headers=TUS)
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert f"is needed by job {job.id}, which is queued" in refused.json()["detail"]
    assert locate(upload_uri(api.settings.storage, id)).exists()
    await api.record(EventFactory(job.id).cancelled(at=now()))
    assert (await sender.http.delete(sender.url, headers=TUS)).status_code == 204
    assert not locate(upload_uri(api.settings.storage, id)).exists()
    assert (await sender.http.get(sender.url)).status_code == 404


async def test_one_that_went_with_its_job_says_so(api: ApiPlatform, sender: Sender, content: bytes) -> None:
    await sender.begin(len(content))
    await sender.send(0, content)
    locate(upload_uri(api.settings.storage, sender.url.rpartition("/")[2])).delete_file()
    answer = await sender.http.get(sender.url)
    assert (answer.status_code, answer.json()["code"]) == (410, "upload_gone")


async def test_a_whole_one_is_known_for_as_long_as_it_is_kept(api: ApiPlatform, sender: Sender, content: bytes) -> None:
    await sender.begin(len(content))
    await sender.send(0, content)
    folder = api.settings.home / "uploads"
    staging = Staging(folder, keep=timedelta(hours=24), keep_whole=timedelta(days=30))
    assert staging.sweep(now() + timedelta(days=29)) == []
    assert staging.sweep(now() + timedelta(days=31)) == [sender.url.rpartition("/")[2]]


async def test_one_left_alone_is_removed(api: ApiPlatform, content: bytes) -> None:
    async with api.client(upload_keep_hours=1e-9) as client:
        sender = Sender(client)
        await sender.begin(len(content))
        answer = await client.get(sender.url)
        assert (answer.status_code, answer.json()["code"]) == (410, "upload_gone")
        assert (await sender.send(0, content)).status_code == 410
    staging = Staging(api.settings.home / "uploads", keep=timedelta(hours=24))
    assert staging.sweep(now()) == []
    assert staging.sweep(now() + timedelta(hours=25)) == [sender.url.rpartition("/")[2]]
    assert list((api.settings.home / "uploads").iterdir()) == []


async def test_others_see_nothing_of_it(api: ApiPlatform, sender: Sender, content: bytes) -> None:
    await sender.begin(len(content))
    from serve_apps.api.principal import Principal, current_principal
    from thornback.access.roles import Role

    app = api.app()
    app.dependency_overrides[current_principal] = lambda: Principal(user="mallory", role=Role.TRAINER, via="key")
    async with api.client(app) as client:
        other = Sender(client, sender.url)
        for answer in (
            await client.head(sender.url, headers=TUS),
            await client.get(sender.url),
            await other.send(0, content),
            await client.delete(sender.url, headers=TUS),
        ):
            assert answer.status_code == 404
    assert await sender.offset() == 0


async def test_there_is_a_bound_on_unfinished_ones(
    sender: Sender, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging_module, "MAX_OPEN", 2)
    assert [(await sender.begin(10)).status_code for _ in range(3)] == [201, 201, 409]


async def test_a_full_disk_is_told_before_anything_is_sent(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging_module, "_FREE_BYTES", 1 << 60)
    answer = await sender.begin(10)
    assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")


async def test_two_replicas_do_not_write_into_one_upload(api: ApiPlatform, content: bytes) -> None:
    async with api.client() as one, api.client() as other:
        sender = Sender(one)
        await sender.begin(len(content))
        goes_on = asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield content[:100]
            await goes_on.wait()
            yield content[100:200]

        first = asyncio.create_task(sender.send(0, slowly()))
        second = Sender(other, sender.url)
        await eventually(lambda: _is_locked(api, sender.url))
        answer = await second.send(0, content[:100])
        assert (answer.status_code, answer.json()["code"]) == (423, "upload_locked")
        goes_on.set()
        assert (await first).headers["upload-offset"] == "200"
        assert (await second.send(200, content[200:])).status_code == 204
        assert (await second.look())["sha256"] == hashlib.sha256(content).hexdigest()


def _is_locked(api: ApiPlatform, url: str) -> bool:
    staging = Staging(api.settings.home / "uploads", keep=timedelta(hours=1))
    try:
        with staging.lock(url.rpartition("/")[2]):
            return False
    except UploadLocked:
        return True


@asynccontextmanager
async def _cut(host: str, url: str, part: bytes, *, of: int, checksum: str | None) -> AsyncIterator[None]:
    """Send a part of a PATCH's body, and hang up at the end of the block."""
    _, writer = await asyncio.open_connection(*host.split(":"))
    lines = [f"PATCH {url} HTTP/1.1", f"Host: {host}", "Tus-Resumable: 1.0.0", "Upload-Offset: 0"]
    lines += [f"Content-Type: {OFFSET_TYPE}", f"Content-Length: {of}"]
    lines += [f"Upload-Checksum: {checksum}"] if checksum else []
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + part)
    await writer.drain()
    yield
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("vouched", [False, True])
async def test_a_lost_connection_costs_nothing_that_is_known_to_be_right(
    api: ApiPlatform, tmp_path: Path, vouched: bool
) -> None:
    members = {"a.bmp": picture("BMP", (1000, 1000))}
    content = zipped(tmp_path / "large.zip", members, compression=0).read_bytes()
    half = len(content) // 2
    async with serving(api.app()) as host, httpx2.AsyncClient(base_url=f"http://{host}") as client:
        sender = Sender(client)
        await sender.begin(len(content))
        written = api.settings.home / "uploads" / sender.url.rpartition("/")[2] / "data"
        checksum = _checksum(content) if vouched else None
        async with _cut(host, sender.url, content[:half], of=len(content), checksum=checksum):
            await eventually(lambda: written.stat().st_size >= 1 << 20)
        await eventually(lambda: not _is_locked(api, sender.url))
        here = await sender.offset()
        assert here == 0 if vouched else 1 << 20 <= here <= half
        assert (await sender.send(here, content[here:])).status_code == 204
        assert (await sender.look())["sha256"] == hashlib.sha256(content).hexdigest()


async def _has(sender: Sender, offset: int) -> bool:
    return await sender.offset() == offset


async def test_a_client_that_falls_silent_lets_go(
    api: ApiPlatform, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "IDLE_S", 0.05)
    async with serving(api.app()) as host, httpx2.AsyncClient(base_url=f"http://{host}") as client:
        sender = Sender(client)
        await sender.begin(len(content))
        never = asyncio.Event()

        async def stuck() -> AsyncIterator[bytes]:
            yield content[:300]
            await never.wait()

        task = asyncio.create_task(sender.send(0, stuck()))
        await eventually(lambda: _has(sender, 300))
        assert (await sender.send(300, content[300:])).status_code == 204
        task.cancel()


async def test_what_could_not_be_kept_is_kept_when_asked_again(
    api: ApiPlatform, sender: Sender, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sender.begin(len(content))

    def away(*_: Any) -> Any:
        raise Unavailable("the storage does not answer")

    monkeypatch.setattr(upload_check, "keep", away)
    assert (await sender.send(0, content)).status_code == 503
    assert ((await sender.look())["state"], await sender.offset()) == ("checking", len(content))
    monkeypatch.undo()
    assert (await sender.send(len(content), b"")).status_code == 204
    assert (await sender.look())["state"] == "ready"


async def test_networks_that_know_no_patch(sender: Sender, content: bytes) -> None:
    await sender.begin(len(content))
    headers = TUS | {"Upload-Offset": "0", "Content-Type": OFFSET_TYPE, "X-HTTP-Method-Override": "PATCH"}
    assert (await sender.http.post(sender.url, content=content, headers=headers)).status_code == 204
    assert (await sender.look())["state"] == "ready"
    assert (await sender.http.post(sender.url, content=content, headers=TUS)).status_code == 400


async def test_pages_of_other_sites_cannot_send(sender: Sender, content: bytes) -> None:
    await sender.begin(len(content))
    assert (await sender.send(0, content, Origin="http://evil.example")).status_code == 403
