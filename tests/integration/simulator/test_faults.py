"""Every fault there is, as the official clients and a receiver see it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import fal_client
import fal_client.client as fal_module
import httpx
import pytest
import standardwebhooks
from replicate.client import Client
from replicate.exceptions import ReplicateError

from tests.integration.simulator.conftest import finish, train
from tests.integration.simulator.receiver import Receiver
from tests.integration.simulator.test_webhooks import FAL_SCHNELL, SCHNELL, paint, verified_by_fal
from thornback.simulator.faults import KINDS
from thornback.simulator.scenario import Scenario
from thornback.simulator.server import SimulatorServer

tested: set[str] = set()
"""The faults that have a test below."""


def covers(*kinds: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Says which faults a test is about."""
    tested.update(kinds)
    return lambda test: test


def test_every_fault_has_a_test() -> None:
    assert tested == set(KINDS)


def create(client: Client) -> Any:
    """A prediction of the quick model."""
    return client.predictions.create(model=SCHNELL, input={"prompt": "a cat"})


@covers("drop")
def test_drop(simulator: SimulatorServer, rep: Client) -> None:
    simulator.faults.add("drop")
    with pytest.raises(httpx.RemoteProtocolError):
        create(rep)
    assert (len(simulator.orders), len(simulator.requests)) == (0, 1)
    assert create(rep).status == "starting"  # it befell one call


@covers("lost_answer")
def test_lost_answer(simulator: SimulatorServer, rep: Client) -> None:
    simulator.faults.add("lost_answer", on="replicate.predictions.create")
    with pytest.raises(httpx.RemoteProtocolError):
        create(rep)
    assert len(simulator.orders) == len(simulator.requests) == 1
    assert [order.id for order in rep.predictions.list()] == [simulator.orders[0].id]


def test_a_lost_answer_makes_fals_client_pay_again(
    simulator: SimulatorServer, fal: fal_client.SyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fal_module, "MAX_ATTEMPTS", 3)
    monkeypatch.setattr(fal_module, "BASE_DELAY", 0.001)
    simulator.faults.add("lost_answer", times=3)
    with pytest.raises(httpx.RemoteProtocolError):
        fal.submit(FAL_SCHNELL, {"prompt": "a cat"})
    assert len(simulator.orders) == 3


@covers("delay", "slow_answer")
@pytest.mark.parametrize("kind", ["delay", "slow_answer"])
def test_a_slow_call_is_taken_though_the_caller_has_gone(
    simulator: SimulatorServer, http: httpx.Client, kind: str
) -> None:
    simulator.faults.add(kind, seconds=0.1)
    with pytest.raises(httpx.ReadTimeout):
        http.post(f"/v1/models/{SCHNELL}/predictions", json={"input": {"prompt": "a cat"}}, timeout=0.03)
    assert len(simulator.orders) == (0 if kind == "delay" else 1)
    deadline = time.monotonic() + 10
    while len(simulator.orders) == 0 and time.monotonic() < deadline:
        http.get("/v1/account")
    assert len(simulator.orders) == 1


@covers("throttle")
def test_throttle(simulator: SimulatorServer, rep: Client, http: httpx.Client) -> None:
    simulator.faults.add("throttle", on="replicate.*.create")
    simulator.faults.add("throttle", on="replicate.account.get", retry_after=7)
    with pytest.raises(ReplicateError, match="Request was throttled") as caught:
        create(rep)
    assert caught.value.status == 429
    answer = http.get("/v1/account")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert len(simulator.orders) == 0


def test_the_limit_of_every_account() -> None:
    with SimulatorServer(Scenario(creates_per_minute=5)) as server:
        headers = {"Authorization": f"Bearer {server.replicate_token}"}
        with httpx.Client(base_url=server.url, headers=headers) as http:
            path, body = f"/v1/models/{SCHNELL}/predictions", {"input": {"prompt": "a cat"}}
            codes = [http.post(path, json=body).status_code for _ in range(7)]
            assert codes == [201] * 5 + [429] * 2
            server.advance(60)
            assert http.post(path, json=body).status_code == 201


@covers("low_credit")
def test_low_credit(simulator: SimulatorServer, http: httpx.Client) -> None:
    simulator.faults.add("low_credit", on="replicate.*.create")
    path, codes = f"/v1/models/{SCHNELL}/predictions", []
    for _ in range(8):
        codes += [
            http.post(f"/v1/models/{SCHNELL}/predictions", json={"input": {"prompt": "a"}}).status_code
            for _ in range(2)
        ]
        simulator.advance(1)
    assert codes == [201, 429] * 6 + [429] * 4  # one a second, six a minute
    simulator.faults.clear()
    assert http.post(path, json={"input": {"prompt": "a"}}).status_code == 201


@covers("error")
@pytest.mark.parametrize("status", [400, 500, 503])
def test_error(simulator: SimulatorServer, rep: Client, status: int) -> None:
    simulator.faults.add("error", status=status)
    with pytest.raises(ReplicateError) as caught:
        create(rep)
    assert caught.value.status == status
    assert len(simulator.orders) == 0


def test_a_passing_503_is_asked_again_by_both_clients(
    simulator: SimulatorServer, rep: Client, fal: fal_client.SyncClient
) -> None:
    simulator.faults.add("error", on="*.get", status=503, times=1)
    simulator.faults.add("error", on="fal.requests.status", status=503, times=1)
    assert rep.accounts.current().username == "simulator"
    handle = fal.submit(FAL_SCHNELL, {"prompt": "a cat"})
    assert handle.status() == fal_client.Queued(position=0)


@covers("not_found")
def test_not_found(simulator: SimulatorServer, rep: Client) -> None:
    prediction = create(rep)
    simulator.faults.add("not_found", on="replicate.predictions.get")
    with pytest.raises(ReplicateError, match="could not be found"):
        prediction.reload()
    prediction.reload()


@covers("invalid_json")
def test_invalid_json(simulator: SimulatorServer, rep: Client) -> None:
    simulator.faults.add("invalid_json")
    with pytest.raises(json.JSONDecodeError):
        create(rep)
    assert len(simulator.orders) == 1


@covers("webhook_drop")
def test_webhook_drop(simulator: SimulatorServer, rep: Client, receiver: Receiver) -> None:
    simulator.faults.add("webhook_drop", on="webhook.completed")
    paint(rep, receiver, ["start", "completed"])
    simulator.run_all()
    simulator.advance(120)
    assert receiver.statuses == ["starting"]


@covers("webhook_duplicate")
def test_webhook_duplicate(simulator: SimulatorServer, rep: Client, receiver: Receiver) -> None:
    simulator.faults.add("webhook_duplicate")
    paint(rep, receiver, ["completed"])
    simulator.run_all()
    first, second = receiver.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


@covers("webhook_reorder")
def test_webhook_reorder(simulator: SimulatorServer, rep: Client, receiver: Receiver) -> None:
    simulator.faults.add("webhook_reorder", on="webhook.start")
    paint(rep, receiver, ["start", "completed"])
    simulator.run_all()
    assert receiver.statuses == ["succeeded", "starting"]


@covers("webhook_early")
def test_webhook_early(simulator: SimulatorServer, rep: Client, fal: fal_client.SyncClient, receiver: Receiver) -> None:
    simulator.faults.add("webhook_early", times=2)
    prediction = paint(rep, receiver, ["start", "completed"])
    assert [received.json["id"] for received in receiver.got] == [prediction.id]  # without turning the clock
    handle = fal.submit(FAL_SCHNELL, {"prompt": "a cat"}, webhook_url=receiver.url)
    assert receiver.got[1].json["request_id"] == handle.request_id
    simulator.run_all()
    assert receiver.statuses == ["starting", "OK", "succeeded"]


@covers("webhook_bad_signature", "webhook_tampered", "webhook_stale", "webhook_unsigned")
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("webhook_bad_signature", "No matching signature found"),
        ("webhook_tampered", "No matching signature found"),
        ("webhook_stale", "Message timestamp too old"),
        ("webhook_unsigned", "Missing required headers"),
    ],
)
def test_signatures_that_no_receiver_may_accept(
    simulator: SimulatorServer, rep: Client, receiver: Receiver, kind: str, words: str
) -> None:
    simulator.faults.add(kind)
    paint(rep, receiver, ["completed"])
    simulator.run_all()
    [received] = receiver.got
    with pytest.raises(standardwebhooks.WebhookVerificationError, match=words):
        standardwebhooks.Webhook(simulator.webhook_secret).verify(received.body, dict(received.headers))


@pytest.mark.parametrize("kind", ["webhook_bad_signature", "webhook_tampered"])
def test_fals_signatures_that_no_receiver_may_accept(
    simulator: SimulatorServer, fal: fal_client.SyncClient, receiver: Receiver, kind: str
) -> None:
    simulator.faults.add(kind)
    fal.submit(FAL_SCHNELL, {"prompt": "a cat"}, webhook_url=receiver.url)
    simulator.run_all()
    assert not verified_by_fal(simulator, receiver.got[0])


@covers("aborted")
def test_aborted(simulator: SimulatorServer, rep: Client, http: httpx.Client) -> None:
    simulator.faults.add("aborted")
    prediction = create(rep)
    simulator.run_all()
    body = http.get(f"/v1/predictions/{prediction.id}").json()
    assert body["status"] == "aborted"
    assert "started_at" not in body


@covers("fail")
def test_fail(simulator: SimulatorServer, rep: Client, dataset: str) -> None:
    simulator.faults.add("fail")
    training = train(rep, dataset)
    finish(simulator, training)
    assert training.status == "failed"
    assert training.error.startswith("CUDA out of memory")
    assert " 20/40 " in training.logs
    assert " 25/40 " not in training.logs


@covers("stuck")
def test_stuck(simulator: SimulatorServer, rep: Client) -> None:
    simulator.faults.add("stuck")
    prediction = create(rep)
    simulator.advance(100_000)
    prediction.reload()
    assert prediction.status == "starting"
    prediction.cancel()
    prediction.reload()
    assert prediction.status == "canceled"


@covers("vanish")
def test_vanish(simulator: SimulatorServer, rep: Client) -> None:
    simulator.faults.add("vanish")
    prediction = create(rep)
    simulator.advance(1799)
    prediction.reload()
    simulator.advance(1)
    with pytest.raises(ReplicateError, match="could not be found"):
        prediction.reload()
    assert rep.predictions.list().results == []


@covers("succeed_then_fail")
def test_succeed_then_fail(simulator: SimulatorServer, rep: Client, dataset: str) -> None:
    simulator.faults.add("succeed_then_fail")
    training = train(rep, dataset)
    finish(simulator, training)
    assert training.error == "Failed to create trained image after successful training run."
    assert "100%|██████████| 40/40" in training.logs
    assert training.output is None


@covers("expired_output")
def test_expired_output(simulator: SimulatorServer, rep: Client) -> None:
    simulator.faults.add("expired_output")
    prediction = create(rep)
    finish(simulator, prediction)
    assert prediction.status == "succeeded"
    assert httpx.get(prediction.output[0]).status_code == 404


@covers("data_removed")
def test_data_removed(simulator: SimulatorServer, rep: Client, receiver: Receiver) -> None:
    simulator.faults.add("data_removed")
    paint(rep, receiver, ["completed"])
    simulator.run_all()
    body = receiver.got[0].json
    assert (body["status"], body["data_removed"], body["output"]) == ("succeeded", True, None)


@covers("control_characters")
def test_control_characters(simulator: SimulatorServer, rep: Client, receiver: Receiver) -> None:
    simulator.faults.add("control_characters")
    prediction = paint(rep, receiver, ["completed"])
    simulator.run_all()
    with pytest.raises(json.JSONDecodeError):
        prediction.reload()
    [received] = receiver.got
    with pytest.raises(json.JSONDecodeError):
        json.loads(received.body)
    assert "\x1b[32mcolours\x1b[0m on\rthe line again\n" in received.json["logs"]


@covers("payload_error")
def test_payload_error(simulator: SimulatorServer, fal: fal_client.SyncClient, receiver: Receiver) -> None:
    simulator.faults.add("payload_error")
    handle = fal.submit(FAL_SCHNELL, {"prompt": "a cat"}, webhook_url=receiver.url)
    simulator.run_all()
    body = receiver.got[0].json
    assert (body["status"], body["payload"]) == ("OK", None)
    assert "not JSON serializable" in body["payload_error"]
    assert handle.get()["prompt"] == "a cat"


@covers("requeued")
def test_requeued(simulator: SimulatorServer, fal: fal_client.SyncClient, receiver: Receiver) -> None:
    simulator.faults.add("requeued")
    handle = fal.submit(FAL_SCHNELL, {"prompt": "a cat"}, webhook_url=receiver.url)
    simulator.run_all()
    body = receiver.got[0].json
    assert body["request_id"] == handle.request_id != body["gateway_request_id"]


@covers("unavailable")
def test_unavailable(simulator: SimulatorServer, fal: fal_client.SyncClient) -> None:
    simulator.faults.add("unavailable")
    handle = fal.submit(FAL_SCHNELL, {"prompt": "a cat"})
    simulator.run_all()
    state = handle.status()
    assert isinstance(state, fal_client.Completed)
    assert state.error_type == "runner_scheduling_failure"
    answer = httpx.get(handle.response_url, headers={"Authorization": f"Key {simulator.fal_key}"})
    assert (answer.status_code, answer.headers["x-fal-error-type"]) == (503, "runner_scheduling_failure")
