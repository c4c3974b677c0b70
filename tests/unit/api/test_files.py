"""Signed links to files of a storage in a folder."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from tests.fixtures.api import ApiPlatform
from thornback.artifacts.files import join, locate
from thornback.artifacts.links import Links

CONTENT = bytes(range(256)) * 8_000


@pytest.fixture
def links(api: ApiPlatform) -> Links:
    return Links(api.settings)


def link(api: ApiPlatform, links: Links, name: str, *, filename: str | None = None, content: bytes = CONTENT) -> str:
    uri = join(api.settings.storage, name)
    locate(uri).write_bytes(content)
    return links.url(uri, expires_s=60, filename=filename, base="http://127.0.0.1:8001")


async def test_a_link_gives_the_file(api: ApiPlatform, links: Links) -> None:
    async with api.client() as client:
        answer = await client.get(link(api, links, "loras/ä b/v1/model.safetensors", filename="Öl 1.safetensors"))
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].endswith("filename*=UTF-8''%C3%96l%201.safetensors")
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert 0 < int(answer.headers["cache-control"].removeprefix("private, max-age=")) <= 60


async def test_parts_go_with_the_file_that_they_began_with(api: ApiPlatform, links: Links) -> None:
    url = link(api, links, "dataset.zip")
    async with api.client() as client:
        first = await client.get(url, headers={"Range": "bytes=0-9"})
        rest = {"Range": "bytes=10-", "If-Range": first.headers["etag"]}
        second = await client.get(url, headers=rest)
        locate(join(api.settings.storage, "dataset.zip")).write_bytes(b"other")
        anew = await client.get(url, headers=rest)
        beyond = await client.get(url, headers={"Range": "bytes=99-"})
    assert (first.status_code, first.headers["content-range"]) == (206, f"bytes 0-9/{len(CONTENT)}")
    assert (second.status_code, first.content + second.content) == (206, CONTENT)
    assert (anew.status_code, anew.content) == (200, b"other")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */5")


@pytest.mark.parametrize(
    ("name", "filename", "expected"),
    [
        ("a.JPG", None, ("image/jpeg", "inline")),
        ("a.txt", None, ("text/plain; charset=utf-8", "inline")),
        ("a.jpg", "b.jpg", ("image/jpeg", "attachment")),
        ("a.zip", None, ("application/zip", "attachment")),
        ("a.html", None, ("application/octet-stream", "attachment")),
        ("a.svg", None, ("application/octet-stream", "attachment")),
        ("a", "a.html", ("application/octet-stream", "attachment")),
    ],
)
async def test_only_what_is_harmless_is_shown(
    api: ApiPlatform, links: Links, name: str, filename: str | None, expected: tuple[str, str]
) -> None:
    async with api.client() as client:
        answer = await client.get(link(api, links, name, filename=filename))
    said = answer.headers["content-disposition"].partition(";")[0]
    assert (answer.headers["content-type"], said) == expected
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_expired_altered_and_made_up_links_are_refused(api: ApiPlatform, links: Links) -> None:
    url = link(api, links, "a.bin")
    old = Links(api.settings, now=lambda: 1_000_000.0).url(join(api.settings.storage, "a.bin"), expires_s=60)
    outside = url.replace("/a.bin", "/../thornback.db")
    made_up = "http://127.0.0.1:8001/api/v1/files/a.bin"
    urls = [old, url.replace("a.bin", "b.bin"), f"{url}0", outside, made_up, f"{made_up}?expires=x&signature=y"]
    async with api.client() as client:
        answers = [await client.get(httpx2.URL(address)) for address in urls]
    refused = (403, "link_refused")
    # The client itself resolves `..`, and so asks for a path that there is not.
    found = [(answer.status_code, answer.json()["code"]) for answer in answers]
    assert found == [(403, "link_expired"), refused, refused, (404, "not_found"), refused, refused]
    assert all(answer.headers["content-type"] == "application/problem+json" for answer in answers)


async def test_a_signed_link_does_not_lead_out_of_the_storage(api: ApiPlatform, links: Links, tmp_path: Path) -> None:
    url = link(api, links, "a.bin")
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (Path(api.settings.storage) / "a.bin").unlink()
    async with api.client() as client:
        gone = await client.get(url)
        (Path(api.settings.storage) / "a.bin").symlink_to(secret)
        linked = await client.get(url)
    assert (gone.status_code, linked.status_code) == (404, 404)
