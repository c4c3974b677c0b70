"""Captions from an endpoint over a real socket: asked as it has to be, tried again, and refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.chat import ChatServer
from tests.unit.datasets.pictures_made import picture
from thornback.datasets import pictures
from thornback.datasets.captions.http import HttpCaptioner, key_for
from thornback.errors import InvalidInput, Unavailable
from thornback.net.rules import AddressRules, Allowed
from thornback.settings import Settings


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "a.jpg", tmp_path / "b.png"]
    paths[0].write_bytes(picture("JPEG", (2048, 1024)))
    paths[1].write_bytes(picture("PNG", (40, 60)))
    return paths


def captioner(chat: ChatServer, **options: Any) -> HttpCaptioner:
    rules = AddressRules(allow=(Allowed.parse(chat.place),))
    return HttpCaptioner(**{"url": chat.url, "rules": rules, "longest_wait_s": 0.0, **options})


def test_what_it_is_asked(chat: ChatServer, images: list[Path]) -> None:
    said = captioner(chat, model="llava", key="sk-1").describe(images)
    assert said == ["A red fox sits in the snow."] * 2
    assert {body["model"] for body in chat.asked} == {"llava"}
    assert {headers["Authorization"] for headers in chat.headers} == {"Bearer sk-1"}
    shown = [pictures.check(content) for content in chat.pictures()]
    assert sorted((one.format, one.width, one.height) for one in shown) == [("JPEG", 40, 60), ("JPEG", 1024, 512)]
    assert "sk-1" not in repr(captioner(chat, key="sk-1"))


def test_without_a_key_none_is_sent(chat: ChatServer, images: list[Path]) -> None:
    captioner(chat, url=f"{chat.url}/chat/completions/").describe(images[:1])
    assert "Authorization" not in chat.headers[0]


def test_tried_again_while_it_is_busy(chat: ChatServer, images: list[Path]) -> None:
    chat.failures = [429, 503, 500]
    assert len(captioner(chat).describe(images)) == 2
    assert len(chat.asked) == 5


def test_given_up(chat: ChatServer, images: list[Path]) -> None:
    chat.failures = [503] * 50
    with pytest.raises(Unavailable, match="did not answer 5 times: status 503"):
        captioner(chat).describe(images[:1])
    assert len(chat.asked) == 5


@pytest.mark.parametrize(
    ("failure", "answer", "problem"),
    [
        (401, "", "status 401"),
        (404, "", "status 404"),
        (0, None, ""),
    ],
)
def test_what_will_not_help_is_not_tried_again(
    chat: ChatServer, images: list[Path], failure: int, answer: Any, problem: str
) -> None:
    chat.failures, chat.answer = [failure] if failure else [], answer
    if not problem:
        assert captioner(chat).describe(images[:1]) == [""]  # it said nothing
        return
    with pytest.raises(InvalidInput, match=problem):
        captioner(chat).describe(images[:1])
    assert len(chat.asked) == 1


def test_no_chat_endpoint(chat: ChatServer, images: list[Path]) -> None:
    with pytest.raises(InvalidInput, match="status 404"):
        captioner(chat, url=f"http://{chat.place}/other").describe(images[:1])


def test_private_addresses_are_refused(chat: ChatServer, images: list[Path]) -> None:
    with pytest.raises(InvalidInput, match="THORNBACK_FETCH_ALLOW"):
        HttpCaptioner(url=chat.url).describe(images[:1])
    assert chat.asked == []


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://llm.example/v1", "sk-1"),
        ("https://LLM.example:443/v1/chat/completions", "sk-1"),
        ("http://llm.example/v1", None),  # whoever listens in between would read it
        ("https://llm.example:8443/v1", None),
        ("https://llm.example.evil.example/v1", None),
        ("https://llm.example@evil.example/v1", None),
    ],
)
def test_the_operators_key_goes_to_one_server_only(tmp_path: Path, url: str, key: str | None) -> None:
    settings = Settings(home=tmp_path, captions_url="https://llm.example/v1", captions_key="sk-1")
    assert key_for(url, settings) == key
    assert key_for(url, Settings(home=tmp_path, captions_key="sk-1")) is None


def test_no_address(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is no address"):
        key_for("https://host:port", Settings(home=tmp_path, captions_url="https://llm.example", captions_key="sk-1"))
