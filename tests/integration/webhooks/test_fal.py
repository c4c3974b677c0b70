"""fal's webhooks, its published keys, and Replicate's secret where it is asked for."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fixtures.api import api_on
from tests.fixtures.web import Answer, Web
from tests.integration.webhooks.conftest import FAL_KEY, SECRET, WHSEC, Provider, succeeded
from tests.unit.webhooks.test_signatures import jwk
from thornback.jobs.events import EventFactory
from thornback.jobs.items import ItemStatus
from thornback.jobs.status import JobStatus

OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


def published(*keys: Ed25519PrivateKey) -> Answer:
    """A key set."""
    return Answer(body=json.dumps({"keys": [jwk(key.public_key()) for key in keys]}).encode())


@asynccontextmanager
async def server(home: Path, database_url: str, web: Web, **settings: Any) -> AsyncIterator[Provider]:
    settings = {"fal_key": None, "fal_jwks_url": f"{web.url}/jwks.json", "replicate_url": web.url} | settings
    async with api_on(database_url, home, **settings) as platform, platform.client() as client:
        yield Provider(platform, client)


@pytest.fixture
async def sender(tmp_path: Path, database_url: str, web: Web) -> AsyncIterator[Provider]:
    web.answers(published(OTHER_KEY, FAL_KEY))
    async with server(tmp_path, database_url, web, fal_key="key") as provider:
        yield provider


def finished(request_id: str = "q1", **fields: Any) -> dict[str, Any]:
    weights = {"url": "https://fal.example/lora.safetensors", "file_size": 89_745_224}
    payload = {"diffusers_lora_file": weights, "config_file": {"url": "https://fal.example/config.json"}}
    body = {"request_id": request_id, "gateway_request_id": "91ab", "status": "OK", "error": None, "payload": payload}
    return body | fields


async def test_a_request_that_is_done(sender: Provider, web: Web) -> None:
    job_id = await sender.ordered("fal", provider_id="q1")
    answers = [(await sender.fal(finished(), request_id="q1")).json() for _ in range(2)]
    assert [(answer["is_new"], answer["problem"]) for answer in answers] == [(True, None), (False, None)]
    item = sender.item(job_id)
    assert (item.status, item.outputs) == (
        ItemStatus.SUCCEEDED,
        ("https://fal.example/lora.safetensors", "https://fal.example/config.json"),
    )
    assert not sender.platform.reader.job(job_id).state.status.is_final  # its files are to be fetched first
    assert web.paths == ["/jwks.json"]  # asked once


async def test_a_request_that_failed(sender: Provider) -> None:
    job_id = await sender.ordered("fal", provider_id="q1")
    detail = [{"loc": ["body", "images_data_url"], "msg": "field required", "type": "value_error.missing"}]
    body = finished(status="ERROR", error="Invalid status code: 422", payload={"detail": detail})
    await sender.fal(body, request_id="q1")
    state = sender.platform.reader.job(job_id).state
    assert state.status is JobStatus.FAILED
    assert "field required" in (state.error_message or "")


async def test_a_result_that_fal_could_not_send_along(sender: Provider) -> None:
    job_id = await sender.ordered("fal", provider_id="q1")
    body = finished(payload=None, payload_error="Response payload is not JSON serializable")
    assert (await sender.fal(body, request_id="q1")).json()["problem"] is None
    assert sender.item(job_id).status is ItemStatus.SUCCEEDED
    assert sender.item(job_id).outputs == ()


async def test_before_our_own_call_returned(sender: Provider) -> None:
    job_id = await sender.ordered("fal")
    await sender.fal(finished(), request_id="q1", job=job_id, item=1, order=1)
    item = sender.item(job_id)
    assert (item.provider_id, item.status) == ("q1", ItemStatus.SUCCEEDED)
    at = datetime.now(UTC)
    sent = EventFactory(job_id).item(1, order=1, status="sent", provider="fal", provider_id="q1", at=at)
    await sender.platform.record(sent)
    assert sender.item(job_id).status is ItemStatus.SUCCEEDED


async def test_what_is_genuine_and_not_ours(sender: Provider) -> None:
    answer = await sender.fal(finished("theirs"), request_id="theirs")
    assert "nobody here ordered theirs" in answer.json()["problem"]
    for body in (b"hello", b'{"request_id": "q2"}', json.dumps(finished("q3", status="LATER")).encode()):
        request_id = "q3" if b"q3" in body else "q2"
        assert (await sender.fal(body, request_id=request_id)).json()["problem"]
    assert {row.provider_id for row in sender.dead()} == {"theirs", "q2", "q3"}
    ours = await sender.ordered(provider_id="r1")
    answer = await sender.fal(finished("r1"), request_id="r1", job=ours)
    assert "the order went to replicate" in answer.json()["problem"]


async def test_a_signature_for_another_request_or_of_another_key(sender: Provider) -> None:
    stranger = Ed25519PrivateKey.generate()
    for answer in (
        await sender.fal(finished("q1"), request_id="q2"),
        await sender.fal(finished("q1"), request_id="q1", key=stranger),
    ):
        assert answer.status_code == 401
    assert sender.inbox() == []


@pytest.mark.parametrize("answer", [Answer(status=500), Answer(body=b"<html>"), Answer(body=b'{"keys": []}')])
async def test_while_the_keys_cannot_be_had_fal_is_to_come_again(
    tmp_path: Path, sqlite_url: str, web: Web, answer: Answer
) -> None:
    web.answers(answer)
    async with server(tmp_path, sqlite_url, web, fal_key="key") as sender:
        refused = await sender.fal(finished(), request_id="q1")
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert "/jwks.json" in refused.json()["detail"]
        assert sender.inbox() == []


SECRET_PATHS: Sequence[str] = ["/v1/webhooks/default/secret"]


async def test_the_secret_is_asked_of_replicate_where_none_is_set(tmp_path: Path, sqlite_url: str, web: Web) -> None:
    web.answers(Answer(body=json.dumps({"key": WHSEC}).encode()))
    async with server(tmp_path, sqlite_url, web, replicate_api_token="r8_x") as sender:
        answers = [await sender.replicate(succeeded()) for _ in range(3)]
        forged = await sender.replicate(succeeded(), secret=b"another secret of some length...")
    assert [answer.status_code for answer in (*answers, forged)] == [200, 200, 200, 401]
    assert web.paths == SECRET_PATHS
    assert web.requests[0].headers["authorization"] == "Bearer r8_x"


@pytest.mark.parametrize(
    "answer", [Answer(status=401), Answer(body=b"[]"), Answer(body=b'{"key": "whsec_"}'), Answer(body=b'{"key": 7}')]
)
async def test_while_replicate_does_not_tell_the_secret_it_is_to_come_again(
    tmp_path: Path, sqlite_url: str, web: Web, answer: Answer
) -> None:
    web.answers(answer)
    async with server(tmp_path, sqlite_url, web, replicate_api_token="r8_x") as sender:
        refused = await sender.replicate(succeeded())
        assert refused.status_code == 503
        assert "secret" in refused.json()["detail"]
        assert sender.inbox() == []


async def test_secrets_that_are_set_are_not_asked_for(tmp_path: Path, sqlite_url: str, web: Web) -> None:
    second = base64.b64encode(b"the one that is to replace it...").decode()
    secrets = f"{WHSEC},whsec_{second}"
    async with server(
        tmp_path, sqlite_url, web, replicate_api_token="r8_x", replicate_webhook_secrets=secrets
    ) as sender:
        for secret in (SECRET, b"the one that is to replace it..."):
            assert (await sender.replicate(succeeded(), secret=secret)).status_code == 200
    assert web.paths == []
