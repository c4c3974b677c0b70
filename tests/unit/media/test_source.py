"""Videos from the web, S3, uploads and paths: once, whole, within limits, and from nowhere else."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tenacity import wait_none

from tests.fixtures import odd_clips
from tests.fixtures.s3 import KEY, SECRET, S3Server
from tests.fixtures.web import Answer, Web, WebRequest
from thornback.artifacts import s3_store
from thornback.artifacts.files import locate
from thornback.errors import (
    AddressRefused,
    DataError,
    FetchFailed,
    InvalidInput,
    NotFound,
    OutputGone,
    ThornbackError,
    Unavailable,
)
from thornback.media.cache import MediaCache
from thornback.media.probe import VideoInfo
from thornback.media.source import Video, check_source, inspect, open_source, video_upload_uri
from thornback.settings import Settings

FILM = bytes(4) + b"ftypisom" + bytes(range(256)) * 200
SHA256 = hashlib.sha256(FILM).hexdigest()

MakeSettings = Callable[..., Settings]


@pytest.fixture
def make_settings(tmp_path: Path) -> MakeSettings:
    def make(**values: Any) -> Settings:
        chosen: dict[str, Any] = {"home": tmp_path / "home", "fetch_allow": "127.0.0.1", "disk_floor_bytes": 0} | values
        return Settings(**chosen)

    return make


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    return make_settings()


async def _get(uri: str, settings: Settings, **options: Any) -> tuple[Video, bytes]:
    async with open_source(uri, settings, wait=wait_none(), **options) as video:
        return video, video.path.read_bytes()


def _is_empty(settings: Settings) -> bool:
    root = settings.home / "media"
    return not [path for path in root.rglob("*") if path.is_file()]


async def test_a_video_of_the_web_is_fetched_once(web: Web, settings: Settings) -> None:
    def script(request: WebRequest) -> Answer:
        known = request.headers.get("if-none-match") == '"v1"'
        return Answer(status=304) if known else Answer(headers={"ETag": '"v1"'}, body=FILM)

    web.script = script
    told: list[tuple[int, int | None]] = []
    video, content = await _get(f"{web.url}/film", settings, tell=lambda here, of: told.append((here, of)))
    assert (video.sha256, video.size_bytes, video.was_here, content) == (SHA256, len(FILM), False, FILM)
    assert told[-1] == (len(FILM), len(FILM))
    again, content = await _get(f"{web.url}/film", settings)
    assert (again.sha256, again.was_here, content) == (SHA256, True, FILM)
    assert web.bytes_sent == len(FILM)


async def test_what_has_changed_there_is_fetched_anew(web: Web, settings: Settings) -> None:
    web.answers(Answer(headers={"ETag": '"v1"'}, body=FILM), Answer(headers={"ETag": '"v2"'}, body=FILM[::-1]))
    await _get(f"{web.url}/film", settings)
    video, content = await _get(f"{web.url}/film", settings)
    assert (video.was_here, content) == (False, FILM[::-1])
    assert web.requests[1].headers["if-none-match"] == '"v1"'


async def test_what_was_evicted_is_not_asked_for_as_if_it_were_here(web: Web, settings: Settings) -> None:
    web.answers(Answer(headers={"ETag": '"v1"'}, body=FILM))
    await _get(f"{web.url}/film", settings)
    [kept] = (settings.home / "media" / "videos").iterdir()
    kept.unlink()
    _, content = await _get(f"{web.url}/film", settings)
    assert content == FILM
    assert "if-none-match" not in web.requests[1].headers


async def test_a_cut_transfer_goes_on(web: Web, settings: Settings) -> None:
    def script(request: WebRequest) -> Answer:
        if "range" not in request.headers:
            return Answer(headers={"ETag": '"v1"'}, body=FILM[:2000], claims=len(FILM))
        span = f"bytes 2000-{len(FILM) - 1}/{len(FILM)}"
        return Answer(status=206, headers={"ETag": '"v1"', "Content-Range": span}, body=FILM[2000:])

    web.script = script
    video, _ = await _get(f"{web.url}/film", settings)
    assert video.sha256 == SHA256
    assert web.bytes_sent == len(FILM)


async def test_two_at_once_fetch_it_once(web: Web, settings: Settings) -> None:
    def script(request: WebRequest) -> Answer:
        known = "if-none-match" in request.headers
        return Answer(status=304) if known else Answer(headers={"ETag": '"v1"'}, body=FILM)

    web.script = script
    videos = await asyncio.gather(*(_get(f"{web.url}/film", settings) for _ in range(3)))
    assert sorted(video.was_here for video, _ in videos) == [False, True, True]
    assert web.bytes_sent == len(FILM)


async def test_it_stays_while_it_is_open_and_goes_when_there_is_no_room(web: Web, make_settings: MakeSettings) -> None:
    settings = make_settings(media_cache_max_bytes=0)
    web.answers(Answer(headers={"ETag": '"v1"'}, body=FILM))
    async with open_source(f"{web.url}/film", settings) as video:
        MediaCache.of(settings).make_room()
        assert await asyncio.to_thread(video.path.read_bytes) == FILM
    assert _is_empty(settings)


@pytest.mark.parametrize(
    ("answer", "kind", "why"),
    [
        (Answer(status=404), OutputGone, "gone"),
        (Answer(status=403), ThornbackError, "403"),
        (Answer(status=500), Unavailable, "500"),
        (Answer(body=b"<!doctype html><title>Watch</title>"), DataError, "text/html; give the address of the file"),
        (Answer(body=b"\x89PNG\r\n\x1a\n" + bytes(99)), DataError, "image/png"),
        (Answer(body=b"PK\x03\x04" + bytes(99)), DataError, "application/zip"),
        (Answer(body=FILM, claims=10**12), ThornbackError, "more than"),
        (Answer(body=FILM, endless=True), ThornbackError, "more than|at most"),
        (Answer(status=302, headers={"Location": "http://127.0.0.2/"}), AddressRefused, "loopback"),
        (Answer(status=302, headers={"Location": "file:///etc/passwd"}), ThornbackError, "neither https"),
    ],
)
async def test_what_cannot_be_had_is_told_and_leaves_nothing(
    web: Web, make_settings: MakeSettings, answer: Answer, kind: type[ThornbackError], why: str
) -> None:
    settings = make_settings(video_max_bytes=1_000_000)
    web.answers(answer)
    with pytest.raises(kind, match=why):
        await _get(f"{web.url}/film", settings)
    assert _is_empty(settings)


async def test_a_full_disk_is_seen_before_it_is_full(web: Web, make_settings: MakeSettings) -> None:
    settings = make_settings(disk_floor_bytes=10**18)
    web.answers(Answer(body=FILM))
    with pytest.raises(Unavailable, match="THORNBACK_DISK_FLOOR_BYTES"):
        await _get(f"{web.url}/film", settings)
    assert _is_empty(settings)


@pytest.fixture
def bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Addresses without keys: those are the environment's."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    name = s3.make_bucket()
    return lambda path: s3.uri(name, path).replace(f"{KEY}:{SECRET}@", "")


async def test_a_video_in_s3_is_copied_once(bucket: Callable[[str], str], settings: Settings) -> None:
    uri = bucket("films/one.mp4")
    locate(uri).write_bytes(FILM)
    told: list[tuple[int, int | None]] = []
    video, content = await _get(uri, settings, tell=lambda here, of: told.append((here, of)))
    assert (video.sha256, video.was_here, content) == (SHA256, False, FILM)
    assert told[-1] == (len(FILM), len(FILM))
    again, _ = await _get(uri, settings)
    assert (again.sha256, again.was_here) == (SHA256, True)
    locate(uri).write_bytes(FILM + b"more")
    anew, content = await _get(uri, settings)
    assert (anew.was_here, content) == (False, FILM + b"more")


async def test_s3_within_limits_and_rules(bucket: Callable[[str], str], make_settings: MakeSettings) -> None:
    uri = bucket("films/one.mp4")
    locate(uri).write_bytes(FILM)
    small = make_settings(video_max_bytes=2000)
    with pytest.raises(DataError, match="at most 2000"):
        await _get(uri, small)
    assert _is_empty(small)
    with pytest.raises(NotFound):
        await _get(bucket("films/two.mp4"), small)
    with pytest.raises(AddressRefused, match="THORNBACK_FETCH_ALLOW"):
        await _get(uri, make_settings(fetch_allow=""))


async def test_a_bucket_that_refuses_us_is_no_passing_fault(
    bucket: Callable[[str], str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = bucket("films/one.mp4")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3_store._open.cache_clear()
    with pytest.raises(FetchFailed, match=r"no credentials .*AWS_ACCESS_KEY_ID"):
        await _get(uri, settings)
    s3_store._open.cache_clear()


async def test_an_upload_is_used_where_it_lies(settings: Settings) -> None:
    uri = video_upload_uri(settings.storage, "01a1fc58-4562")
    locate(uri).write_bytes(FILM)
    video, content = await _get("upload:01a1fc58-4562", settings)
    assert (video.sha256, video.was_here, content) == (SHA256, True, FILM)
    assert str(video.path) == uri
    with pytest.raises(NotFound, match=r"^there is no video upload:02; send the file again") as missing:
        await _get("upload:02", settings)
    assert settings.storage not in missing.value.message


async def test_an_upload_in_s3_is_copied(bucket: Callable[[str], str], make_settings: MakeSettings) -> None:
    settings = make_settings(storage=bucket("runs"), fetch_allow="")
    locate(video_upload_uri(settings.storage, "01")).write_bytes(FILM)
    assert (await _get("upload:01", settings))[1] == FILM


async def test_a_path(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(FILM)
    video, _ = await _get(str(tmp_path / "film.mp4"), settings)
    assert (video.path, video.sha256) == (tmp_path / "film.mp4", SHA256)
    with pytest.raises(NotFound):
        await _get(str(tmp_path / "gone.mp4"), settings)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    for name in ("folder", "pipe", "device"):
        with pytest.raises(DataError, match="no file"):
            await _get(str(tmp_path / name), settings)


@pytest.mark.parametrize(
    ("host", "allow", "is_taken"),
    [
        ("127.0.0.1", None, True),
        ("::1", None, True),
        ("localhost", None, True),
        ("0.0.0.0", None, False),
        ("10.0.0.5", None, False),
        ("api.test", None, False),
        ("0.0.0.0", True, True),
        ("127.0.0.1", False, False),
    ],
)
def test_who_may_name_paths(make_settings: MakeSettings, host: str, allow: bool | None, is_taken: bool) -> None:
    settings = make_settings(host=host, allow_local_paths=allow)
    if is_taken:
        check_source("/films/one.mp4", settings)
        return
    with pytest.raises(InvalidInput, match="THORNBACK_ALLOW_LOCAL_PATHS"):
        check_source("/films/one.mp4", settings)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "film.mp4",
        "../film.mp4",
        "~/film.mp4",
        "/films/\0.mp4",
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "ftp://a.test/film.mp4",
        "concat:/a.mp4|/b.mp4",
        "pipe:0",
        "data:video/mp4;base64,AAAA",
        "gs://bucket/film.mp4",
        "upload:",
        "upload:../x",
        "upload:a/b",
        "upload:a?b",
        "http://",
        "http://10.0.0.1/film.mp4",
        "https://me:hunter2@a.test/film.mp4",
        "http://a.test:22/film.mp4",
        "s3://hunter1:hunter2@bucket/film.mp4",
        "s3://bucket/film.mp4?endpoint_override=http://169.254.169.254",
        "S3://bucket/film.mp4",
        "https:/a.test/x",
    ],
)
def test_what_no_video_can_be_named_by(make_settings: MakeSettings, uri: str) -> None:
    settings = make_settings(fetch_allow="")
    with pytest.raises((InvalidInput, AddressRefused)) as caught:
        check_source(uri, settings)
    assert "hunter2" not in f"{caught.value}{caught.value.details}"


async def test_a_video_is_looked_through_once(
    settings: Settings, make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = odd_clips.count_up(tmp_path / "clip.mp4")
    async with open_source(str(clip), settings) as video:
        info = await inspect(video, settings)
        assert (info.codec, info.frames) == ("h264", 48)

        def never(*_: object) -> VideoInfo:
            raise AssertionError("it was looked through again")

        monkeypatch.setattr("thornback.media.source.probe_apart", never)
        assert await inspect(video, settings) == info
        with pytest.raises(DataError, match="THORNBACK_VIDEO_MAX_SECONDS"):  # what is kept is measured anew
            await inspect(video, make_settings(video_max_seconds=1.0))
