from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.providers.make import NOON, TRAINER, VERSION, ZIP, Clock, order
from tests.unit.providers.raw_server import DROP, answer, raw_server
from thornback.errors import AnswerLost, InvalidInput, OrderUnknown, ProviderRefused, ProviderUnavailable
from thornback.providers.port import OrderPhase
from thornback.providers.replicate import ReplicateProvider

Connect = Callable[[type[ReplicateProvider], str], ReplicateProvider]
NONE_KNOWN: frozenset[str] = frozenset()
UNKNOWN = answer({"detail": "The requested resource could not be found.", "status": 404}, 404)


def training(**fields: Any) -> dict[str, Any]:
    """A training as Replicate lists it, started a second after the order was written down."""
    return {
        "id": "t1",
        "model": TRAINER.partition(":")[0],
        "version": VERSION,
        "input": {"input_images": ZIP, "steps": 1000, "autocaption": True},
        "status": "starting",
        "created_at": "2026-11-21T12:00:01Z",
    } | fields


def page(*rows: dict[str, Any], next: str | None = None) -> bytes:
    return answer({"previous": None, "next": next, "results": list(rows)})


async def test_a_training_is_one_post_with_everything_in_it(connect: Connect) -> None:
    async with raw_server(answer({}), answer(training(), 201)) as server:
        sighting = await connect(ReplicateProvider, server.url).submit(order(webhook_url="https://us.example/w?job=1"))
    assert sighting.phase is OrderPhase.STARTING
    assert server.requests == [
        "GET /v1/models/acme/ada",
        f"POST /v1/models/ostris/flux-dev-lora-trainer/versions/{VERSION}/trainings",
    ]
    assert json.loads(server.bodies[1]) == {
        "input": {"input_images": ZIP, "steps": 1000},
        "destination": "acme/ada",
        "webhook": "https://us.example/w?job=1",
        "webhook_events_filter": ["start", "logs", "completed"],
    }
    assert "authorization: Bearer r8_x".lower() in server.heads[1].lower()


@pytest.mark.parametrize(
    ("endpoint", "path", "body"),
    [
        ("acme/m", "POST /v1/models/acme/m/predictions", {"input": {"prompt": "p"}}),
        (f"acme/m:{VERSION}", "POST /v1/predictions", {"input": {"prompt": "p"}, "version": VERSION}),
    ],
)
async def test_a_prediction_with_and_without_a_version(
    connect: Connect, endpoint: str, path: str, body: dict[str, Any]
) -> None:
    async with raw_server(answer(training(), 201)) as server:
        await connect(ReplicateProvider, server.url).submit(
            order(endpoint=endpoint, call="prediction", inputs={"prompt": "p"})
        )
    assert server.requests == [path]
    assert json.loads(server.bodies[0]) == body


async def test_a_missing_destination_is_made_once_and_private(connect: Connect) -> None:
    async with raw_server(UNKNOWN, answer({}, 201), answer(training(), 201)) as server:
        provider = connect(ReplicateProvider, server.url)
        await provider.submit(order())
        await provider.submit(order(number=2))
    assert [request.split()[0] for request in server.requests] == ["GET", "POST", "POST", "POST"]
    made = json.loads(server.bodies[1])
    assert (made["owner"], made["name"], made["visibility"]) == ("acme", "ada", "private")


async def test_another_order_may_make_the_destination_first(connect: Connect) -> None:
    async with raw_server(UNKNOWN, answer({"detail": "exists"}, 409), answer(training(), 201)) as server:
        assert (await connect(ReplicateProvider, server.url).submit(order())).provider_id == "t1"


async def test_without_a_destination_the_account_gets_one_for_the_job(connect: Connect) -> None:
    async with raw_server(answer({"username": "ada"}), UNKNOWN, answer({}), answer(training())) as server:
        await connect(ReplicateProvider, server.url).submit(order(destination=None))
    assert json.loads(server.bodies[3])["destination"] == "ada/thornback-job-1"
    async with raw_server(UNKNOWN) as server:
        with pytest.raises(InvalidInput, match=r"config\.destination"):
            await connect(ReplicateProvider, server.url).submit(order(destination=None))
    assert all(request.startswith("GET") for request in server.requests)


async def test_a_lost_order_is_found_by_its_model_and_inputs(connect: Connect) -> None:
    others = [
        training(id="t5", model="acme/other"),
        training(id="t4", version="another"),
        training(id="t3", input={"input_images": ZIP, "steps": 999}),
        training(id="t2"),
    ]
    async with raw_server(page(*others, training(id="t1", status="aborted"))) as server:
        found = await connect(ReplicateProvider, server.url).find(order(), known=frozenset({"t2"}))
    assert found is not None
    assert (found.provider_id, found.phase) == ("t1", OrderPhase.CANCELLED)


async def test_an_older_one_with_the_same_inputs_is_another(connect: Connect, clock: Clock) -> None:
    async with raw_server(page(training(created_at="2026-11-21T11:54:59Z"))) as server:
        provider = connect(ReplicateProvider, server.url)
        clock.pass_s(61)
        assert await provider.find(order(), known=NONE_KNOWN) is None


async def test_the_list_is_read_further_at_its_own_address(connect: Connect) -> None:
    """The next page's address comes from outside; our key must not go wherever it points."""
    first = page(training(id="t9", model="acme/x"), next="https://evil.example/v1/trainings?cursor=cD0y%26")
    async with raw_server(first, page(training())) as server:
        assert await connect(ReplicateProvider, server.url).find(order(), known=NONE_KNOWN) is not None
    assert server.requests == ["GET /v1/trainings", "GET /v1/trainings?cursor=cD0y%26"]


async def test_none_is_only_believed_once_an_order_would_be_listed(connect: Connect, clock: Clock) -> None:
    clock.pass_s(3600)
    async with raw_server(page()) as server:
        provider = connect(ReplicateProvider, server.url)
        clock.pass_s(59)
        with pytest.raises(ProviderUnavailable, match="still be on its way") as caught:
            await provider.find(order(), known=NONE_KNOWN)
        assert caught.value.details["retry_after_s"] == pytest.approx(1.05)
        clock.pass_s(1.05)
        assert await provider.find(order(), known=NONE_KNOWN) is None


async def test_an_attempt_of_ours_counts_from_when_it_was_made(connect: Connect, clock: Clock) -> None:
    """Orders wait for their turn under the rate, so they may leave long after they were written down."""
    async with raw_server(DROP, page()) as server:
        provider = connect(ReplicateProvider, server.url)
        clock.pass_s(300)
        prediction = order(call="prediction", endpoint="acme/m")
        with pytest.raises(AnswerLost):
            await provider.submit(prediction)
        with pytest.raises(ProviderUnavailable):
            await provider.find(prediction, known=NONE_KNOWN)


async def test_inputs_that_were_removed_leave_doubt(connect: Connect, clock: Clock) -> None:
    clock.pass_s(7200)
    async with raw_server(page(training(data_removed=True, input={}))) as server:
        with pytest.raises(ProviderUnavailable, match="may be this order") as doubt:
            await connect(ReplicateProvider, server.url).find(order(), known=NONE_KNOWN)
    assert doubt.value.details["may_be"] == ["t1"]


@pytest.mark.parametrize("body", [{"results": None}, {"results": [{"id": 7}]}, {"results": ["x"]}])
async def test_a_list_that_cannot_be_read_leaves_doubt(connect: Connect, clock: Clock, body: object) -> None:
    clock.pass_s(7200)
    async with raw_server(answer(body)) as server:
        with pytest.raises(ProviderUnavailable):
            await connect(ReplicateProvider, server.url).find(order(), known=NONE_KNOWN)


async def test_a_list_without_end_leaves_doubt(connect: Connect, clock: Clock) -> None:
    clock.pass_s(7200)
    async with raw_server(page(training(model="acme/x"), next="?cursor=again")) as server:
        with pytest.raises(ProviderUnavailable, match="may be behind them"):
            await connect(ReplicateProvider, server.url).find(order(), known=NONE_KNOWN)
    assert len(server.requests) == 20


@pytest.mark.parametrize(
    "raw", ['{"id":"t1","status":"processing","logs":"\x1b[1m 5%\r"}', '{"id":"t1","status":"aborted"}']
)
async def test_what_the_clients_own_classes_cannot_take_is_read(connect: Connect, raw: str) -> None:
    async with raw_server(answer(raw)) as server:
        assert (await connect(ReplicateProvider, server.url).look("", "training", "t1")).provider_id == "t1"
    assert server.requests == ["GET /v1/trainings/t1"]


async def test_an_id_from_outside_cannot_lead_elsewhere(connect: Connect) -> None:
    async with raw_server(UNKNOWN) as server:
        with pytest.raises(OrderUnknown):
            await connect(ReplicateProvider, server.url).look("", "prediction", "../models?x=")
    assert server.requests == ["GET /v1/predictions/..%2Fmodels%3Fx%3D"]


async def test_cancelling_what_has_ended_is_no_error(connect: Connect) -> None:
    refused = answer({"detail": "has ended"}, 400)
    async with raw_server(refused, answer(training(status="succeeded"))) as server:
        await connect(ReplicateProvider, server.url).cancel("", "training", "t1")
    assert server.requests == ["POST /v1/trainings/t1/cancel", "GET /v1/trainings/t1"]
    async with raw_server(refused, answer(training(status="processing"))) as server:
        with pytest.raises(ProviderRefused, match="has ended"):
            await connect(ReplicateProvider, server.url).cancel("", "training", "t1")


async def test_an_upload_is_tried_again_from_its_beginning(connect: Connect, tmp_path: Path) -> None:
    file = tmp_path / "set.zip"
    file.write_bytes(b"PK-the-whole-file")
    taken = answer({"id": "f1", "urls": {"get": "https://api.replicate.com/v1/files/f1"}}, 201)
    async with raw_server(DROP, taken) as server:
        address = await connect(ReplicateProvider, server.url).upload(file, content_type="application/zip")
    assert address == "https://api.replicate.com/v1/files/f1"
    assert [b"PK-the-whole-file" in body and b"application/zip" in body for body in server.bodies] == [True, True]


async def test_times_are_not_needed_to_find(connect: Connect) -> None:
    async with raw_server(page(training(created_at=None))) as server:
        found = await connect(ReplicateProvider, server.url).find(order(intended_at=None), known=NONE_KNOWN)
    assert found is not None
    assert order().intended_at == NOON
