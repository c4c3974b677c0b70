"""A sender on a clock that jumps, with receivers that answer as they are told."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from tests.fixtures.api import FIRST, ApiPlatform, eventually
from tests.fixtures.notify import JumpingClock
from thornback.jobs.events import EventFactory
from thornback.jobs.status import FailureReason
from thornback.jobs.subscriptions import Message, MessageState, Target, Webhook
from thornback.jobs.webhook_changes import AddWebhook
from thornback.notify.answer import Answer, judge
from thornback.notify.sender import Sender
from thornback.notify.targets import Send
from thornback.store.engine import open_engine
from thornback.store.webhooks import WebhookReader

OK = judge(200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Got:
    """One attempt, as its receiver saw it."""

    at: datetime
    address: str
    id: str
    body: str

    @property
    def told(self) -> str:
        return str(orjson.loads(self.body)["type"])

    @property
    def data(self) -> Mapping[str, Any]:
        data: Mapping[str, Any] = orjson.loads(self.body)["data"]
        return data


class World:
    """One platform; a sender while `sending`."""

    def __init__(self, api: ApiPlatform, **settings: Any) -> None:
        self.api = api
        self.settings = api.settings.model_copy(update={"access": "off", "notify_progress_s": 10.0} | settings)
        self.clock = JumpingClock()
        self.got: list[Got] = []
        self.answers: dict[str, Callable[[Got], Answer]] = defaultdict(lambda: lambda _: OK)
        self.hang: set[str] = set()  # addresses that never answer
        self.engine = open_engine(api.settings.database_url)
        self.outbox = WebhookReader(self.engine)

    async def add(self, webhook: Webhook) -> Webhook:
        await self.api.recorder.administer(AddWebhook(webhook=webhook))
        return webhook

    async def fail(self, name: str = "a job", *, user: str = "ada", message: str = "NaN") -> str:
        """A job that fails."""
        job = await self.api.create(name, user=user)
        await self.api.record(
            EventFactory(job.id).failed(FIRST, reason=FailureReason.DIVERGED, message=message, at=self.clock.now())
        )
        return job.id

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[Sender]:
        sender = self.make()
        task = asyncio.create_task(sender.run())
        try:
            yield sender
            assert not task.done(), task.exception()
        finally:
            task.cancel()
            await asyncio.wait([task])

    def make(self) -> Sender:
        return Sender(
            recorder=self.api.recorder,
            engine=self.engine,
            targets=self.targets(),
            settings=self.settings,
            clock=self.clock,
            chance=random.Random(1),
        )

    def targets(self) -> Mapping[Target, Send]:
        async def send(webhook: Webhook, address: str, event_id: str, body: str, now: datetime) -> Answer:
            got = Got(at=now, address=address, id=event_id, body=body)
            self.got.append(got)
            if address in self.hang:
                await asyncio.Event().wait()
            return self.answers[address](got)

        return dict.fromkeys(Target, send)

    def messages(self, webhook: Webhook) -> list[Message]:
        """The oldest first."""
        return list(self.outbox.messages(webhook.id).messages)[::-1]

    async def until(self, webhook: Webhook, state: MessageState, count: int = 1) -> list[Message]:
        """Wait for so many messages in a state."""
        await eventually(lambda: self.outbox.count(webhook.id).get(state, 0) >= count)
        return self.messages(webhook)

    def close(self) -> None:
        self.engine.dispose()


def since(got: Got, first: Got) -> timedelta:
    """How long after."""
    return got.at - first.at
