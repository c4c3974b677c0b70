from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.unit.providers.make import order
from tests.unit.providers.raw_server import DROP, answer, raw_server
from thornback.errors import OrderUnknown, ProviderRefused, ProviderUnavailable
from thornback.providers.fal import FalProvider
from thornback.providers.port import Order, OrderPhase

Connect = Callable[[type[FalProvider], str], FalProvider]
APP = "fal-ai/wan-22-trainer/t2v-a14b"
NONE_KNOWN: frozenset[str] = frozenset()
DONE = {"status": "COMPLETED", "logs": [{"message": "100%"}], "metrics": {"inference_time": 9.5}}


def request(**fields: Any) -> Order:
    return order(**({"endpoint": APP, "call": "prediction", "inputs": {"prompt": "p"}, "destination": None} | fields))


async def test_an_order_is_one_post_to_the_whole_application(connect: Connect) -> None:
    async with raw_server(answer({"request_id": "q1", "queue_position": 3})) as server:
        provider = connect(FalProvider, server.url)
        sighting = await provider.submit(request(webhook_url="https://us.example/w?job=1&item=2"))
    assert (sighting.provider_id, sighting.phase, sighting.model) == ("q1", OrderPhase.STARTING, APP)
    (asked,) = server.requests
    path, _, query = asked.removeprefix("POST ").partition("?")
    assert path == f"/{APP}"
    assert parse_qs(query) == {"fal_webhook": ["https://us.example/w?job=1&item=2"]}
    assert json.loads(server.bodies[0]) == {"prompt": "p"}
    assert "authorization: key id:secret" in server.heads[0].lower()
    assert "user-agent: fal-client/" in server.heads[0].lower()


async def test_questions_go_to_the_first_two_parts(connect: Connect) -> None:
    async with raw_server(answer({"status": "IN_PROGRESS"})) as server:  # no logs: the client's parser would fail
        sighting = await connect(FalProvider, server.url).look(APP, "prediction", "q1")
    assert sighting.phase is OrderPhase.PROCESSING
    assert server.requests == ["GET /fal-ai/wan-22-trainer/requests/q1/status?logs=true"]


async def test_a_completed_request_is_read_with_its_result(connect: Connect) -> None:
    async with raw_server(answer(DONE), answer({"lora_file": {"url": "https://v3.fal.media/l"}})) as server:
        sighting = await connect(FalProvider, server.url).look(APP, "prediction", "q1")
    assert (sighting.phase, sighting.outputs) == (OrderPhase.SUCCEEDED, ("https://v3.fal.media/l",))
    assert (sighting.logs, sighting.predict_time_s) == ("100%", 9.5)
    assert server.requests[1] == "GET /fal-ai/wan-22-trainer/requests/q1"


@pytest.mark.parametrize(
    ("result", "phase", "error"),
    [
        (
            answer({"detail": [{"loc": ["body", "x"], "msg": "field required"}]}, 422),
            OrderPhase.FAILED,
            "body.x: field required",
        ),
        (
            answer({"detail": "Request timed out", "error_type": "request_timeout"}, 504),
            OrderPhase.FAILED,
            "Request timed out",
        ),
        (answer("boom", 422), OrderPhase.FAILED, "boom"),
        (answer({"detail": "Request cancelled"}, 400), OrderPhase.CANCELLED, "Request cancelled"),
    ],
)
async def test_only_the_result_tells_of_failure(connect: Connect, result: bytes, phase: OrderPhase, error: str) -> None:
    async with raw_server(answer(DONE), result) as server:
        sighting = await connect(FalProvider, server.url).look(APP, "prediction", "q1")
    assert (sighting.phase, sighting.error) == (phase, error)


@pytest.mark.parametrize("result", [answer("<html>nginx</html>", 502), answer({"detail": "slow down"}, 429), DROP])
async def test_a_result_that_does_not_come_says_nothing_of_the_run(connect: Connect, result: bytes) -> None:
    async with raw_server(answer(DONE), result, answer(DONE), result, answer(DONE), result) as server:
        with pytest.raises(ProviderUnavailable):
            await connect(FalProvider, server.url).look(APP, "prediction", "q1")


async def test_a_key_that_is_refused_says_nothing_of_the_run(connect: Connect) -> None:
    async with raw_server(answer(DONE), answer({"detail": "no such key"}, 401)) as server:
        with pytest.raises(ProviderRefused, match="no such key"):
            await connect(FalProvider, server.url).look(APP, "prediction", "q1")


async def test_a_lost_order_is_found_among_those_that_have_ended(connect: Connect) -> None:
    rows = [
        {"request_id": "q3", "json_input": {"prompt": "other"}, "ended_at": "2026-11-21T12:01:00Z"},
        {"request_id": "q2", "json_input": {"prompt": "p"}, "ended_at": "2026-11-21T12:01:00Z", "status_code": 200},
    ]
    mine = {"request_id": "q1", "json_input": {"prompt": "p", "seed": 1}, "ended_at": None}
    first = answer({"items": rows, "has_more": True, "next_cursor": "Mg=="})
    async with raw_server(first, answer({"items": [mine], "has_more": False})) as server:
        found = await connect(FalProvider, server.url).find(request(), known=frozenset({"q2"}))
    assert found is not None
    assert (found.provider_id, found.phase) == ("q1", OrderPhase.PROCESSING)
    asked = [parse_qs(urlsplit(line.split()[1]).query) for line in server.requests]
    assert asked[0]["endpoint_id"] == [APP]
    assert asked[0]["expand"] == ["payloads"]
    assert asked[0]["start"] == ["2026-11-21T11:55:00+00:00"]
    assert asked[1]["cursor"] == ["Mg=="]


async def test_an_order_can_never_be_ruled_out(connect: Connect) -> None:
    """fal lists what has ended; one that waits in the queue is in no list, and a second would be paid for too."""
    async with raw_server(answer({"items": [], "has_more": False})) as server:
        with pytest.raises(ProviderUnavailable, match="not sent again") as caught:
            await connect(FalProvider, server.url).find(request(), known=NONE_KNOWN)
    assert caught.value.details["retry_after_s"] > 0


async def test_where_the_list_cannot_be_had_nothing_is_ruled_out_either(connect: Connect) -> None:
    async with raw_server(answer({"detail": "Not enough rights"}, 403)) as server:
        with pytest.raises(ProviderUnavailable, match="Not enough rights"):
            await connect(FalProvider, server.url).find(request(), known=NONE_KNOWN)


@pytest.mark.parametrize(
    "refusal", [answer({"status": "ALREADY_COMPLETED"}, 400), answer({"status": "NOT_FOUND"}, 404)]
)
async def test_cancelling_what_has_ended_is_no_error(connect: Connect, refusal: bytes) -> None:
    async with raw_server(refusal, answer(DONE), answer({"images": []})) as server:
        await connect(FalProvider, server.url).cancel(APP, "prediction", "q1")
    assert server.requests[0] == "PUT /fal-ai/wan-22-trainer/requests/q1/cancel"


async def test_cancelling_what_nobody_knows(connect: Connect) -> None:
    async with raw_server(answer({"detail": "no"}, 404)) as server:
        with pytest.raises(OrderUnknown):
            await connect(FalProvider, server.url).cancel(APP, "prediction", "q1")


async def test_an_upload_takes_the_clients_way_with_its_token(connect: Connect, tmp_path: Path) -> None:
    file = tmp_path / "set.zip"
    file.write_bytes(b"PK-the-whole-file")
    token = answer(
        {"token": "t0", "token_type": "Bearer", "base_url": "http://x", "expires_at": "2999-01-01T00:00:00+00:00"}
    )
    taken = answer({"access_url": "https://v3.fal.media/files/set.zip"})
    async with raw_server(token, taken) as server:
        address = await connect(FalProvider, server.url).upload(file, content_type="application/zip")
    assert address == "https://v3.fal.media/files/set.zip"
    assert [line.split("?")[0] for line in server.requests] == ["POST /storage/auth/token", "POST /files/upload"]
    assert "authorization: bearer t0" in server.heads[1].lower()
    assert server.bodies[1] == b"PK-the-whole-file"


async def test_an_upload_whose_answer_makes_no_sense(connect: Connect, tmp_path: Path) -> None:
    file = tmp_path / "set.zip"
    file.write_bytes(b"PK")
    async with raw_server(answer({"tok": 1})) as server:
        with pytest.raises(ProviderUnavailable, match="cannot be read"):
            await connect(FalProvider, server.url).upload(file)
