"""Webhooks over HTTP: who is told what and when, signatures, and what is sent again."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from typing import Any

import fal_client
import httpx
import pytest
import standardwebhooks
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from replicate.client import Client
from replicate.webhook import InvalidSignatureError, Webhooks, WebhookSigningSecret

from tests.integration.simulator.conftest import finish, train
from tests.integration.simulator.receiver import Received, Receiver
from thornback.simulator.server import SimulatorServer

SCHNELL = "black-forest-labs/flux-schnell"
FAL_SCHNELL = "fal-ai/flux/schnell"


def paint(client: Client, receiver: Receiver, events: list[Any] | None = None) -> Any:
    """A prediction that tells of itself."""
    more: Any = {"webhook_events_filter": events} if events else {}
    return client.predictions.create(model=SCHNELL, input={"prompt": "a cat"}, webhook=receiver.url, **more)


def verified_by_fal(simulator: SimulatorServer, received: Received) -> bool:
    """As fal's documentation says: any of the published keys, over four lines."""
    names = ("request-id", "user-id", "timestamp")
    lines = [received.headers[f"x-fal-webhook-{name}"] for name in names]
    message = "\n".join([*lines, hashlib.sha256(received.body).hexdigest()]).encode()
    signature = bytes.fromhex(received.headers["x-fal-webhook-signature"])
    for key in httpx.get(simulator.jwks_url).json()["keys"]:
        public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "="))
        try:
            public.verify(signature, message)
        except InvalidSignature:
            continue
        return True
    return False


def test_a_training_tells_of_itself_from_start_to_end(
    simulator: SimulatorServer, rep: Client, dataset: str, receiver: Receiver
) -> None:
    training = train(rep, dataset, webhook=receiver.url, events=["start", "logs", "completed"])
    assert receiver.got == []
    simulator.advance(1)
    assert receiver.statuses == ["starting"]
    finish(simulator, training)
    assert receiver.statuses[1:] == ["processing"] * (len(receiver.got) - 2) + ["succeeded"]
    logs = [received.json["logs"] for received in receiver.got]
    assert all(longer.startswith(shorter) for shorter, longer in itertools.pairwise(logs))  # whole each time
    assert receiver.got[-1].json["output"] == training.output
    assert {received.path for received in receiver.got} == {"/hook?job=7"}


@pytest.mark.parametrize(
    ("events", "statuses"),
    [
        (None, ["processing", "succeeded"]),  # output, completed
        (["completed"], ["succeeded"]),
        (["start"], ["starting"]),
        (["start", "completed"], ["starting", "succeeded"]),
        (["logs"], ["processing"]),
    ],
)
def test_the_filter_chooses(
    simulator: SimulatorServer, rep: Client, receiver: Receiver, events: list[str] | None, statuses: list[str]
) -> None:
    paint(rep, receiver, events)
    simulator.run_all()
    assert receiver.statuses == statuses


def test_logs_come_at_most_twice_a_second(
    simulator: SimulatorServer, rep: Client, dataset: str, receiver: Receiver
) -> None:
    train(rep, dataset, webhook=receiver.url, events=["logs"])
    simulator.run_all()
    sent = [delivery.sent_at for delivery in simulator.deliveries]
    assert len(sent) > 5
    assert min((later - earlier).total_seconds() for earlier, later in itertools.pairwise(sent)) >= 0.5


def test_replicates_signature_is_what_two_libraries_expect(
    simulator: SimulatorServer, rep: Client, receiver: Receiver
) -> None:
    paint(rep, receiver)
    simulator.run_all()
    [*_, received] = receiver.got
    secret = simulator.webhook_secret
    body = json.loads(received.body)
    assert standardwebhooks.Webhook(secret).verify(received.body, dict(received.headers)) == body
    text = received.body.decode()
    Webhooks.validate(headers=dict(received.headers), body=text, secret=WebhookSigningSecret(key=secret), tolerance=300)
    with pytest.raises(InvalidSignatureError):
        Webhooks.validate(
            headers=dict(received.headers), body=f"{text} ", secret=WebhookSigningSecret(key=secret), tolerance=300
        )


def test_fals_signature_is_verified_by_its_published_keys(
    simulator: SimulatorServer, fal: fal_client.SyncClient, receiver: Receiver
) -> None:
    handle = fal.submit(FAL_SCHNELL, {"prompt": "a cat"}, webhook_url=receiver.url)
    simulator.run_all()
    [received] = receiver.got
    assert verified_by_fal(simulator, received)
    assert received.headers["x-fal-webhook-request-id"] == handle.request_id
    body = received.json
    assert (body["request_id"], body["gateway_request_id"], body["status"]) == (*[handle.request_id] * 2, "OK")
    assert body["payload"] == handle.get()
    altered = Received(received.path, received.headers, received.body + b" ")
    assert not verified_by_fal(simulator, altered)


def test_fal_tells_of_failures_in_both_forms(
    simulator: SimulatorServer, fal: fal_client.SyncClient, receiver: Receiver
) -> None:
    fal.submit(FAL_SCHNELL, {}, webhook_url=receiver.url)
    simulator.run_all()
    simulator.faults.add("unavailable")
    fal.submit(FAL_SCHNELL, {"prompt": "a cat"}, webhook_url=receiver.url)
    simulator.run_all()
    refused, unavailable = (received.json for received in receiver.got)
    assert (refused["status"], refused["error"]) == ("ERROR", "Invalid status code: 422")
    assert refused["payload"]["detail"][0]["loc"] == ["body", "prompt"]
    assert unavailable["payload"]["error_type"] == "runner_scheduling_failure"


def test_only_the_last_webhook_is_sent_again(simulator: SimulatorServer, rep: Client, receiver: Receiver) -> None:
    receiver.answers = [500] * 4
    paint(rep, receiver, ["start", "completed"])
    simulator.run_all()
    assert receiver.statuses == ["starting", "succeeded"]
    simulator.advance(61)
    assert receiver.statuses == ["starting"] + ["succeeded"] * 4
    last = receiver.got[1:]
    assert len({received.headers["webhook-id"] for received in last}) == 1
    attempts = [delivery for delivery in simulator.deliveries if delivery.event == "completed"]
    waits = [(later.sent_at - earlier.sent_at).total_seconds() for earlier, later in itertools.pairwise(attempts)]
    assert waits == pytest.approx([1.0, 2.0, 4.0])
    assert [delivery.accepted for delivery in attempts] == [False, False, False, True]


def test_replicate_gives_up_after_a_minute(simulator: SimulatorServer, rep: Client, receiver: Receiver) -> None:
    receiver.answers = [503] * 20
    paint(rep, receiver, ["completed"])
    simulator.run_all()
    simulator.advance(3600)
    assert len(receiver.got) == 7


def test_fal_gives_up_within_two_hours(
    simulator: SimulatorServer, fal: fal_client.SyncClient, receiver: Receiver
) -> None:
    receiver.answers = [503] * 20
    fal.submit(FAL_SCHNELL, {"prompt": "a cat"}, webhook_url=receiver.url)
    simulator.run_all()
    simulator.advance(7200)
    assert len(receiver.got) == 11
    simulator.advance(7200)
    assert len(receiver.got) == 11
    first, last = simulator.deliveries[0], simulator.deliveries[-1]
    assert (last.sent_at - first.sent_at).total_seconds() <= 7200


def test_a_receiver_that_is_away_is_noted(simulator: SimulatorServer, rep: Client) -> None:
    rep.predictions.create(model=SCHNELL, input={"prompt": "a cat"}, webhook="http://127.0.0.1:9/hook")
    simulator.run_all()
    assert {delivery.answer for delivery in simulator.deliveries} == {None}
    assert "ConnectError" in str(simulator.deliveries[0].error)
