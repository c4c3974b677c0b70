"""The sender as an actor of a real Ray: killed while a receiver holds its messages, and again before it can."""

from __future__ import annotations

import os
import signal
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
import ray

from tests.fixtures.api import eventually
from tests.fixtures.notify import subscription
from tests.fixtures.ray import RayNode
from tests.fixtures.receivers import Post, Reply, receiving
from thornback.jobs.events import Attempt, EventFactory
from thornback.jobs.spec import parse_spec
from thornback.jobs.subscriptions import MessageState, Told
from thornback.jobs.webhook_changes import AddWebhook
from thornback.metrics.actor import connect, start_metrics_actor
from thornback.metrics.names import METRICS_ACTOR
from thornback.metrics.port import NewJob, Recorder
from thornback.notify.actor import NOTIFY_ACTOR, start_sender
from thornback.settings import Settings
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.webhooks import WebhookReader

EVENTS = 30


@pytest.fixture
async def settings(ray_node: RayNode, tmp_path: Path) -> AsyncIterator[Settings]:
    settings = ray_node.settings(tmp_path, fetch_allow="127.0.0.1", access="off")
    upgrade(settings.database_url)
    start_metrics_actor(settings)
    start_sender(settings)
    yield settings
    for name in (NOTIFY_ACTOR, METRICS_ACTOR):
        ray.kill(ray.get_actor(name, namespace=settings.namespace), no_restart=True)


def sender_pid(settings: Settings) -> int:
    actor: Any = ray.get_actor(NOTIFY_ACTOR, namespace=settings.namespace)
    health: dict[str, Any] = ray.get(actor.health.remote(), timeout=60)
    return int(health["pid"])


async def end_jobs(recorder: Recorder, count: int) -> set[str]:
    spec = parse_spec({"job_name": "a job", "config": {}}).model_dump(mode="json")
    ids = [str(uuid.uuid4()) for _ in range(count)]
    for id in ids:
        at = datetime.now(UTC)
        await recorder.create(NewJob(job_id=id, spec=spec, user="ada", at=at))
        await recorder.record([EventFactory(id).succeeded(Attempt(), at=at)])
    return set(ids)


@pytest.mark.slow
async def test_nothing_is_lost_when_the_sender_is_killed(settings: Settings) -> None:
    recorder = connect(settings)
    outbox = WebhookReader(open_engine(settings.database_url))
    taken: Counter[str] = Counter()
    ids: dict[str, set[str]] = {}
    is_silent = True

    def decide(post: Post) -> Reply:
        job_id = orjson.loads(post.body)["data"]["job"]["id"]
        ids.setdefault(job_id, set()).add(post.headers["webhook-id"])
        if is_silent:
            return Reply(after_s=None)
        taken[job_id] += 1
        return Reply()

    async with receiving(decide) as receiver:
        webhook = subscription(receiver.url("/in"), events=[Told.COMPLETED])
        await recorder.administer(AddWebhook(webhook=webhook))
        jobs = await end_jobs(recorder, EVENTS)
        await eventually(lambda: len(receiver.posts) >= 4, within_s=120)  # held by the receiver
        first = sender_pid(settings)
        os.kill(first, signal.SIGKILL)
        jobs |= await end_jobs(recorder, EVENTS)  # while nobody sends
        is_silent = False
        delivered = MessageState.DELIVERED
        await eventually(lambda: outbox.count(webhook.id).get(delivered, 0) >= len(jobs), within_s=200)
    assert taken.keys() == jobs
    assert {len(seen) for seen in ids.values()} == {1}
    assert sender_pid(settings) != first
