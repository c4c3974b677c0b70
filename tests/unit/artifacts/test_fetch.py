"""Fetching a file: whole, checked, never half-visible, resumed, refused."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
from functools import partial
from pathlib import Path

import pytest
from tenacity import wait_none

from tests.fixtures.s3 import S3Server
from tests.fixtures.web import Answer, Web, WebRequest, web_server
from thornback.artifacts.fetch import Fetched, Unchanged, pause_s, shown
from thornback.artifacts.fetch import fetch as guarded_fetch
from thornback.artifacts.files import join, locate
from thornback.errors import AddressRefused, FetchFailed, OutputGone, Unavailable
from thornback.net.rules import AddressRules, Allowed

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20
AT_ONCE = wait_none()
LOOPBACK = AddressRules(allow=(Allowed.parse("127.0.0.1"),))

fetch = partial(guarded_fetch, rules=LOOPBACK)  # the servers of these tests live there


def _only(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_what_lies_there_is_what_was_sent(web: Web, tmp_path: Path) -> None:
    web.answers(Answer(headers={"Content-Type": "image/png"}, body=PNG))
    place = tmp_path / "deep" / "er" / "one.png"
    to = str(place)
    digest = hashlib.sha256(PNG).hexdigest()
    assert await fetch(f"{web.url}/one", to) == Fetched(
        uri=to, size_bytes=len(PNG), sha256=digest, content_type="image/png"
    )
    assert place.read_bytes() == PNG
    assert _only(tmp_path / "deep" / "er") == ["one.png"]


async def test_it_goes_to_s3_whole(web: Web, s3: S3Server) -> None:
    folder = s3.uri(s3.make_bucket(), "runs")
    web.answers(Answer(body=PNG))
    done = await fetch(f"{web.url}/one", join(folder, "a", "one.png"))
    assert locate(done.uri).read_bytes() == PNG
    assert [entry.path for entry in locate(folder).files()] == ["a/one.png"]


async def test_an_empty_file_is_a_file(web: Web, tmp_path: Path) -> None:
    web.answers(Answer())
    assert (await fetch(f"{web.url}/x", str(tmp_path / "x"))).size_bytes == 0
    assert (tmp_path / "x").read_bytes() == b""


async def test_a_cut_transfer_goes_on_where_it_stopped(web: Web, tmp_path: Path) -> None:
    def script(request: WebRequest) -> Answer:
        if "range" not in request.headers:
            return Answer(headers={"ETag": '"v1"'}, body=PNG[:2000], claims=len(PNG))
        first = int(request.headers["range"].removeprefix("bytes=").removesuffix("-"))
        assert request.headers["if-range"] == '"v1"'
        span = f"bytes {first}-{len(PNG) - 1}/{len(PNG)}"
        return Answer(status=206, headers={"ETag": '"v1"', "Content-Range": span}, body=PNG[first:])

    web.script = script
    done = await fetch(f"{web.url}/one", str(tmp_path / "one"), wait=AT_ONCE)
    assert (tmp_path / "one").read_bytes() == PNG
    assert done.sha256 == hashlib.sha256(PNG).hexdigest()
    assert len(web.requests) == 2


@pytest.mark.parametrize(
    "second",
    [
        Answer(headers={"ETag": '"v2"'}, body=PNG),  # If-Range: it has changed, so all of it comes
        Answer(status=206, headers={"Content-Range": f"bytes 0-9/{len(PNG)}"}, body=PNG[:10]),  # not what was asked
        Answer(status=416),
    ],
)
async def test_what_cannot_be_joined_starts_anew(web: Web, tmp_path: Path, second: Answer) -> None:
    cut = Answer(headers={"ETag": '"v1"'}, body=b"old" * 500, claims=len(PNG))
    web.answers(cut, second, Answer(body=PNG))
    done = await fetch(f"{web.url}/one", str(tmp_path / "one"), wait=AT_ONCE)
    assert (tmp_path / "one").read_bytes() == PNG
    assert (done.size_bytes, done.sha256) == (len(PNG), hashlib.sha256(PNG).hexdigest())


async def test_without_a_strong_etag_nothing_is_joined(web: Web, tmp_path: Path) -> None:
    web.answers(Answer(headers={"ETag": 'W/"v1"'}, body=PNG[:100], claims=len(PNG)), Answer(body=PNG))
    await fetch(f"{web.url}/one", str(tmp_path / "one"), wait=AT_ONCE)
    assert "range" not in web.requests[1].headers
    assert (tmp_path / "one").read_bytes() == PNG


async def test_a_body_that_is_always_cut_leaves_nothing(web: Web, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"what was there")
    web.answers(Answer(body=PNG[:-1], claims=len(PNG)))
    with pytest.raises(Unavailable, match="in 3 tries"):
        await fetch(f"{web.url}/one", str(tmp_path / "one"), wait=AT_ONCE, tries=3)
    assert len(web.requests) == 3
    assert _only(tmp_path) == ["one"]
    assert (tmp_path / "one").read_bytes() == b"what was there"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_passing_trouble_is_tried_again(web: Web, tmp_path: Path, status: int) -> None:
    web.answers(Answer(status=status), Answer(body=PNG))
    assert (await fetch(f"{web.url}/one", str(tmp_path / "one"), wait=AT_ONCE)).size_bytes == len(PNG)


@pytest.mark.parametrize("status", [404, 410])
async def test_what_is_gone_is_gone_at_the_first_answer(web: Web, tmp_path: Path, status: int) -> None:
    web.answers(Answer(status=status))
    with pytest.raises(OutputGone, match=str(status)):
        await fetch(f"{web.url}/one?sig=secret", str(tmp_path / "one"), wait=AT_ONCE)
    assert len(web.requests) == 1
    assert _only(tmp_path) == []


@pytest.mark.parametrize("status", [400, 401, 403, 451])
async def test_a_refusal_is_not_repeated_and_keeps_secrets(web: Web, tmp_path: Path, status: int) -> None:
    web.answers(Answer(status=status))
    with pytest.raises(FetchFailed) as caught:
        await fetch(f"{web.url}/one?sig=secret", str(tmp_path / "one"), wait=AT_ONCE)
    assert len(web.requests) == 1
    assert "secret" not in f"{caught.value}{caught.value.details}"
    assert caught.value.details["status"] == status


async def test_a_claimed_size_over_the_limit_is_refused_before_it_comes(web: Web, tmp_path: Path) -> None:
    web.answers(Answer(body=PNG))
    with pytest.raises(FetchFailed, match="more than the 100 bytes"):
        await fetch(f"{web.url}/one", str(tmp_path / "one"), max_bytes=100)
    assert _only(tmp_path) == []


async def test_an_endless_body_is_cut_at_the_limit(web: Web, tmp_path: Path) -> None:
    web.answers(Answer(body=bytes(1 << 16), endless=True))
    with pytest.raises(FetchFailed, match="more than"):
        await fetch(f"{web.url}/one", str(tmp_path / "one"), max_bytes=3 << 20)
    assert _only(tmp_path) == []


async def test_a_header_does_not_make_a_page_an_image(web: Web, tmp_path: Path) -> None:
    web.answers(Answer(headers={"Content-Type": "image/png"}, body=b"<!DOCTYPE html><title>404</title>"))
    with pytest.raises(FetchFailed, match="is text/html, wanted image/"):
        await fetch(f"{web.url}/one.png", str(tmp_path / "one.png"), accept={"image/"})
    assert _only(tmp_path) == []


async def test_bytes_of_no_known_kind_are_no_image(web: Web, tmp_path: Path) -> None:
    web.answers(Answer(headers={"Content-Type": "image/png"}, body=b"oops"))
    with pytest.raises(FetchFailed, match="octet-stream"):
        await fetch(f"{web.url}/one.png", str(tmp_path / "one.png"), accept={"image/"})


async def test_headers_stay_with_their_host(web: Web, tmp_path: Path) -> None:
    async with web_server() as other:
        other.answers(Answer(body=PNG))
        hops = [
            Answer(status=302, headers={"Location": "/two"}),
            Answer(status=307, headers={"Location": f"{other.url}/three"}),
        ]
        web.answers(*hops)
        key = {"Authorization": "Bearer r8_key", "X-Api-Key": "k"}
        await fetch(f"{web.url}/one", str(tmp_path / "one"), headers=key)
    assert web.paths == ["/one", "/two"]
    assert all(request.headers["authorization"] == "Bearer r8_key" for request in web.requests)
    assert other.paths == ["/three"]
    assert not {"authorization", "x-api-key"} & set(other.requests[0].headers)


async def test_it_does_not_follow_for_ever_nor_to_files(web: Web, tmp_path: Path) -> None:
    web.answers(Answer(status=302, headers={"Location": "/again"}))
    with pytest.raises(FetchFailed, match="redirects more than 5"):
        await fetch(f"{web.url}/one", str(tmp_path / "one"))
    web.answers(Answer(status=302, headers={"Location": "file:///etc/passwd"}))
    with pytest.raises(FetchFailed, match="neither https"):
        await fetch(f"{web.url}/one", str(tmp_path / "one"))


async def test_only_public_addresses_are_asked_unless_others_are_allowed(web: Web, tmp_path: Path) -> None:
    web.answers(Answer(body=PNG))
    with pytest.raises(AddressRefused, match="loopback"):
        await guarded_fetch(f"{web.url}/one", str(tmp_path / "one"))
    assert web.requests == []
    assert _only(tmp_path) == []


async def test_a_redirect_is_an_address_like_any_other(web: Web, tmp_path: Path) -> None:
    async with web_server() as inner:
        inner.answers(Answer(body=PNG))
        rules = AddressRules(allow=(Allowed.parse(web.url.removeprefix("http://")),))
        web.answers(Answer(status=302, headers={"Location": f"{inner.url}/admin"}))
        with pytest.raises(AddressRefused, match="loopback"):
            await guarded_fetch(f"{web.url}/one", str(tmp_path / "one"), rules=rules)
        assert (web.paths, inner.requests) == (["/one"], [])


async def test_what_the_caller_has_already_is_not_sent_again(web: Web, tmp_path: Path) -> None:
    def script(request: WebRequest) -> Answer:
        known = request.headers.get("if-none-match") == '"v1"'
        return Answer(status=304) if known else Answer(headers={"ETag": '"v1"'}, body=PNG)

    web.script = script
    done = await fetch(f"{web.url}/one", str(tmp_path / "one"))
    assert done.etag == '"v1"'
    with pytest.raises(Unchanged):
        await fetch(f"{web.url}/one", str(tmp_path / "two"), etag=done.etag)
    assert _only(tmp_path) == ["one"]
    web.script = lambda _: Answer(status=304)
    with pytest.raises(FetchFailed, match="304"):  # nobody said that we had anything
        await fetch(f"{web.url}/one", str(tmp_path / "two"))


async def test_what_has_come_is_told(web: Web, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    web.answers(Answer(headers={"ETag": '"v1"'}, body=PNG[:1000], claims=len(PNG)), Answer(body=PNG))
    await fetch(f"{web.url}/one", str(tmp_path / "one"), wait=AT_ONCE, tell=lambda here, of: told.append((here, of)))
    assert {of for _, of in told} == {len(PNG)}
    assert told[-1] == (len(PNG), len(PNG))


async def test_who_is_told_can_end_it(web: Web, tmp_path: Path) -> None:
    def tell(here: int, of: int | None) -> None:
        raise Unavailable("the disk is full")

    web.answers(Answer(body=PNG))
    with pytest.raises(Unavailable, match="disk is full"):
        await fetch(f"{web.url}/one", str(tmp_path / "one"), tell=tell)
    assert _only(tmp_path) == []


async def test_an_encoding_that_nobody_asked_for_is_refused(web: Web, tmp_path: Path) -> None:
    web.answers(Answer(headers={"Content-Encoding": "br"}, body=b"a bomb"))
    with pytest.raises(FetchFailed, match="not asked for: br"):
        await fetch(f"{web.url}/one", str(tmp_path / "one"))
    web.answers(Answer(headers={"Content-Encoding": "gzip"}, body=gzip.compress(bytes(1 << 22))))
    with pytest.raises(FetchFailed, match="more than"):
        await fetch(f"{web.url}/one", str(tmp_path / "one"), max_bytes=1 << 20)
    assert _only(tmp_path) == []


async def test_a_file_within_its_address(tmp_path: Path) -> None:
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    done = await fetch(url, str(tmp_path / "one"), accept={"image/"})
    assert (done.content_type, (tmp_path / "one").read_bytes()) == ("image/png", PNG)
    for broken in ("data:image/png;base64,***", "data:no-comma"):
        with pytest.raises(FetchFailed, match="cannot be read"):
            await fetch(broken, str(tmp_path / "two"))


async def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    async with web_server() as gone:
        url = gone.url
    with pytest.raises(Unavailable, match="in 2 tries"):
        await fetch(url, str(tmp_path / "one"), wait=AT_ONCE, tries=2)


async def test_a_server_that_never_ends_is_given_up(web: Web, tmp_path: Path) -> None:
    web.answers(Answer(body=b"", endless=True))
    with pytest.raises(Unavailable, match="was not here after"):
        await fetch(f"{web.url}/one", str(tmp_path / "one"), within_s=0.05)
    assert _only(tmp_path) == []


async def test_two_at_once_do_not_mix(web: Web, tmp_path: Path) -> None:
    web.script = lambda request: Answer(body=PNG if request.path == "/a" else PNG[::-1])
    to = str(tmp_path / "one")
    await asyncio.gather(*(fetch(f"{web.url}/{name}", to) for name in "abab"))
    assert (tmp_path / "one").read_bytes() in (PNG, PNG[::-1])
    assert _only(tmp_path) == ["one"]


def test_an_address_is_shown_without_its_secrets() -> None:
    assert shown("https://me:pw@host/a/b?sig=1#x") == "https://host/a/b"
    assert shown("data:image/png;base64,AAAAAAAAAAAAAAAAAAAA") == "data:image/png;base64,AAAAAAAA…"


def test_a_server_may_ask_for_patience_up_to_a_minute() -> None:
    assert [pause_s(2.0, asked) for asked in (None, 1.0, 30.0, 86_400.0)] == [2.0, 2.0, 30.0, 60.0]
