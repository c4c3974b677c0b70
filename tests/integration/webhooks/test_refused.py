"""What is refused changes nothing, and what could not be committed is asked for again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.fixtures.api import api_on, serving
from tests.integration.webhooks.conftest import REPLICATE, WHSEC, Provider, succeeded
from thornback.errors import StoreUnavailable
from thornback.store.engine import open_engine
from thornback.store.read import StoreReader
from thornback.webhooks.sign import sign_replicate


@pytest.fixture
async def sender(tmp_path: Path, sqlite_url: str) -> AsyncIterator[Provider]:
    async with (
        api_on(sqlite_url, tmp_path, replicate_webhook_secrets=WHSEC, webhook_max_bytes=20_000) as platform,
        platform.client() as client,
    ):
        yield Provider(platform, client)


def is_untouched(sender: Provider) -> bool:
    return sender.inbox() == [] and sender.platform.reader.latest_event_id() == 0


WRONG: Mapping[str, Mapping[str, Any]] = {
    "with another key": {"secret": b"some other key of thirty-two byt"},
    "too old": {"age_s": 301},
    "from the future": {"age_s": -310},
    "without a signature": {"headers": {"webhook-signature": ""}},
    "without an id": {"headers": {"webhook-id": ""}},
    "without a time": {"headers": {"webhook-timestamp": ""}},
    "with another id": {"headers": {"webhook-id": "msg_other"}},
    "with half a signature": {"headers": {"webhook-signature": "v1,AAAA"}},
    "with another version": {"headers": {"webhook-signature": "v2,AAAA"}},
}


@pytest.mark.parametrize("how", WRONG)
async def test_what_is_not_signed_well_is_refused(sender: Provider, how: str) -> None:
    answer = await sender.replicate(succeeded(), **WRONG[how])
    assert answer.status_code == 401
    assert answer.json()["code"] == "signature_invalid"
    assert is_untouched(sender)


async def test_a_body_that_was_altered_is_refused(sender: Provider) -> None:
    raw = json.dumps(succeeded()).encode()
    for body in (raw.replace(b"300", b"301"), json.dumps(succeeded(), indent=1).encode(), raw + b" ", b""):
        headers = dict(sign_replicate(raw, b"thirty-two bytes of a shared key", timestamp=0))
        assert (await sender.replicate(body, headers={"webhook-signature": headers["webhook-signature"]})).is_error
    assert is_untouched(sender)


async def test_a_body_that_is_too_large_is_not_read_to_its_end(sender: Provider) -> None:
    answer = await sender.replicate(succeeded(logs="x" * 20_000))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert is_untouched(sender)


async def test_an_answer_comes_before_a_body_that_is_too_large_has(sender: Provider) -> None:
    async with serving(sender.platform.app()) as address:
        host, port = address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"POST {REPLICATE} HTTP/1.1\r\nHost: {address}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(3):  # and never the chunk that would end it
            writer.write(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
        await writer.drain()
        assert b" 413 " in await reader.readline()
        writer.close()
    assert is_untouched(sender)


async def test_other_methods_and_unknown_providers(sender: Provider) -> None:
    assert (await sender.client.put(REPLICATE)).status_code == 405
    assert (await sender.client.post("/api/v1/webhooks/modal", json={})).status_code in (404, 405)


async def test_nothing_is_taken_unsigned_where_no_secret_is_configured(sender: Provider) -> None:
    async with sender.platform.client(replicate_webhook_secrets="") as client:
        bare = Provider(sender.platform, client)
        for answer in (await bare.replicate(succeeded()), await client.post(REPLICATE, json=succeeded())):
            assert answer.status_code == 401
            assert "THORNBACK_REPLICATE_WEBHOOK_SECRETS" in answer.json()["detail"]
        answer = await bare.fal({"request_id": "q1", "status": "OK"}, request_id="q1")
        assert answer.status_code == 401
        assert "FAL_KEY" in answer.json()["detail"]
    assert is_untouched(sender)


async def test_a_damaged_secret_is_named_and_not_shown(sender: Provider) -> None:
    async with sender.platform.client(replicate_webhook_secrets="whsec_%%%") as client:
        answer = await Provider(sender.platform, client).replicate(succeeded())
    assert answer.status_code == 401
    assert "THORNBACK_REPLICATE_WEBHOOK_SECRETS" in answer.json()["detail"]
    assert "%%%" not in answer.text


async def test_a_server_on_loopback_takes_webhooks_that_a_tunnel_brings(sender: Provider) -> None:
    headers = {"host": "tunnel.example.org"}
    assert (await sender.replicate(succeeded(), headers=headers)).status_code == 200
    # which goes for nothing else
    answer = await sender.client.get("/api/v1/webhooks/deliveries", headers=headers)
    assert answer.status_code == 421


class Away:
    """A recorder whose database is away."""

    feeds = ()

    async def receive(self, *_: Any, **__: Any) -> None:
        raise StoreUnavailable("the database does not answer")


async def test_while_the_database_cannot_be_written_the_provider_is_to_come_again(sender: Provider) -> None:
    app = sender.platform.app(recorder=Away())
    async with sender.platform.client(app) as client:
        answer = await Provider(sender.platform, client).replicate(succeeded(), delivery_id="msg_1")
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert "database" in answer.json()["detail"]
    assert "retry-after" in answer.headers
    assert is_untouched(sender)
    assert (await sender.replicate(succeeded(), delivery_id="msg_1")).json()["is_new"]


async def test_while_the_database_cannot_be_read_the_provider_is_to_come_again(
    sender: Provider, tmp_path: Path
) -> None:
    reader = StoreReader(open_engine(f"sqlite:///{tmp_path}/none.db"))
    async with sender.platform.client(sender.platform.app(reader=reader)) as client:
        answers: list[httpx2.Response] = [
            await Provider(sender.platform, client).replicate(succeeded()) for _ in range(2)
        ]
    reader.close()
    assert [answer.status_code for answer in answers] == [503, 503]
    assert is_untouched(sender)
