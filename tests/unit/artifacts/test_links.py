from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx
import pytest

from tests.fixtures.s3 import S3Server
from thornback.artifacts.files import join, locate
from thornback.artifacts.links import SECRET_FILE, Links
from thornback.errors import InvalidInput, LinkExpired, LinkRefused, NotFound
from thornback.settings import Settings

NOW = 1_800_000_000.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(home=tmp_path / "home")
    locate(join(made.storage, "loras/ä b/v1/model.safetensors")).write_bytes(b"weights")
    return made


def key_of(url: str) -> str:
    return unquote(urlsplit(url).path.removeprefix("/api/v1/files/"))


def come_back(links: Links, url: str, **changes: str | None) -> bytes:
    """What the API does with a link."""
    asked: dict[str, str | None] = {"filename": None, **dict(parse_qsl(urlsplit(url).query)), **changes}
    key = str(asked.pop("key", None) or key_of(url))
    place, _ = links.open(
        key,
        expires=str(asked["expires"]),
        signature=str(asked["signature"]),
        filename=asked["filename"],
    )
    return place.read_bytes()


def test_a_link_leads_to_its_file_until_it_expires(settings: Settings) -> None:
    time = NOW
    links = Links(settings, now=lambda: time)
    url = links.url(join(settings.storage, "loras/ä b/v1/model.safetensors"), expires_s=60)
    assert url.startswith(
        "http://127.0.0.1:8001/api/v1/files/loras/%C3%A4%20b/v1/model.safetensors?expires=1800000060&"
    )
    assert come_back(links, url) == b"weights"
    time = NOW + 59
    assert come_back(Links(settings, now=lambda: time), url) == b"weights"
    time = NOW + 60
    with pytest.raises(LinkExpired):
        come_back(links, url)


@pytest.mark.parametrize(
    "change",
    [
        {"expires": "1800000061"},
        {"expires": "never"},
        {"signature": ""},
        {"signature": "0" * 64},
        {"signature": "ö"},
        {"filename": "other.exe"},
        {"filename": None},
        {"key": "loras/other"},
        {"key": "../thornback.db"},
    ],
)
def test_nothing_of_it_can_be_altered(settings: Settings, change: dict[str, str | None]) -> None:
    links = Links(settings, now=lambda: NOW)
    url = links.url(join(settings.storage, "loras/ä b/v1/model.safetensors"), expires_s=60, filename="mine.safetensors")
    assert come_back(links, url) == b"weights"
    with pytest.raises(LinkRefused):
        come_back(links, url, **change)


def test_files_outside_the_storage_have_no_links(settings: Settings, tmp_path: Path) -> None:
    links = Links(settings)
    for uri in (str(settings.home / "thornback.db"), f"{settings.storage}/../thornback.db", settings.storage):
        with pytest.raises(InvalidInput, match="outside the storage"):
            links.url(uri, expires_s=60)
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (Path(settings.storage) / "out").symlink_to(secret)
    for name in ("out", "loras", "missing"):
        with pytest.raises(NotFound):
            come_back(links, links.url(join(settings.storage, name), expires_s=60))


@pytest.mark.parametrize("expires_s", [0, -5, 8 * 86_400, float("nan")])
def test_times_that_cannot_be(settings: Settings, expires_s: float) -> None:
    with pytest.raises(InvalidInput, match="expires_s"):
        Links(settings).url(join(settings.storage, "x"), expires_s=expires_s)


def test_the_public_address_is_used(settings: Settings) -> None:
    public = settings.model_copy(update={"public_url": "https://train.example/api-of/thornback/"})
    url = Links(public).url(join(settings.storage, "x"), expires_s=60)
    assert url.startswith("https://train.example/api-of/thornback/api/v1/files/x?")
    assert (
        Links(public).url(join(settings.storage, "x"), expires_s=60, base="http://here").startswith("http://here/api")
    )


def test_the_secret_is_made_once_and_is_the_owners_own(settings: Settings) -> None:
    file = join(settings.storage, "loras/ä b/v1/model.safetensors")
    with ThreadPoolExecutor(8) as pool:  # several processes start at once
        urls = list(pool.map(lambda _: Links(settings, now=lambda: NOW).url(file, expires_s=60), range(32)))
    assert len(set(urls)) == 1
    kept = settings.home / SECRET_FILE
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert [path.name for path in settings.home.iterdir() if "links" in path.name] == [SECRET_FILE]
    given = settings.model_copy(update={"links_secret": "one for all machines"})
    with pytest.raises(LinkRefused):
        come_back(Links(given, now=lambda: NOW), urls[0])


def test_on_s3_the_link_is_its_own(s3: S3Server, tmp_path: Path) -> None:
    storage = s3.uri(s3.make_bucket(), "base")
    settings = Settings(home=tmp_path, storage=storage)
    locate(join(storage, "a b.bin")).write_bytes(b"weights")
    url = Links(settings).url(join(storage, "a b.bin"), expires_s=60, filename='mine "1".bin')
    assert url.startswith(s3.endpoint)
    assert "X-Amz-Expires=60" in url
    answer = httpx.get(url, headers={"Range": "bytes=1-3"})
    assert (answer.status_code, answer.content) == (206, b"eig")
    assert answer.headers["content-disposition"] == 'attachment; filename="mine _1_.bin"'
    with pytest.raises(InvalidInput, match="expires_s"):
        Links(settings).url(join(storage, "a b.bin"), expires_s=8 * 86_400)
