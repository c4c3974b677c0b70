"""All that tells others what happened, in one process: reading the log, sending, and forgetting what is old."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NoReturn

import sqlalchemy as sa

from thornback.errors import ThornbackError
from thornback.jobs.subscriptions import Target
from thornback.jobs.webhook_changes import PruneMessages
from thornback.log import get_logger
from thornback.metrics.port import Recorder
from thornback.notify.clock import Clock
from thornback.notify.collector import Collector
from thornback.notify.courier import Courier, Policy
from thornback.notify.directory import Directory, open_sights
from thornback.notify.lanes import Limits
from thornback.notify.targets import Send
from thornback.notify.throttle import ProgressThrottle
from thornback.settings import Settings
from thornback.store.webhooks import WebhookReader

PRUNE_EVERY_S = 3600.0

log = get_logger("notify")


class Sender:
    """One per platform."""

    def __init__(
        self,
        *,
        recorder: Recorder,
        engine: sa.Engine,
        targets: Mapping[Target, Send],
        settings: Settings,
        clock: Clock,
        chance: random.Random | None = None,
    ) -> None:
        """Nothing is read yet.

        Args:
            recorder: the one writer.
            engine: for reading.
            targets: how to send to each kind.
            settings: limits, and what is kept how long.
            clock: of schedules.
            chance: draws the jitter.
        """
        self._recorder, self._clock = recorder, clock
        self._keep = timedelta(days=settings.notify_keep_days)
        reader = WebhookReader(engine)
        base = (settings.public_url or "").rstrip("/")
        directory = Directory(reader, open_sights(settings, engine))
        throttle = ProgressThrottle(timedelta(seconds=settings.notify_progress_s))
        policy = Policy(
            limits=Limits(total=settings.notify_at_once, each=settings.notify_per_receiver),
            disable_after=timedelta(days=settings.notify_disable_days),
            has_mail=settings.smtp_host is not None,
            base=base,
        )
        self.courier = Courier(
            recorder=recorder,
            reader=reader,
            directory=directory,
            throttle=throttle,
            targets=targets,
            clock=clock,
            policy=policy,
            chance=chance or random.Random(),  # noqa: S311 - spreads load, guards nothing
        )
        self.collector = Collector(
            recorder=recorder,
            reader=reader,
            directory=Directory(reader, open_sights(settings, engine)),
            throttle=throttle,
            now=clock.now,
            base=base,
            wake=self.courier.wake,
        )

    async def run(self) -> NoReturn:
        """Work for ever."""
        await asyncio.gather(self.collector.follow(), self.courier.run(), self._prune())
        raise AssertionError("none of them ends")

    def health(self) -> dict[str, Any]:
        """How it is doing."""
        courier = self.courier
        return {
            "cursor": self.collector.position,
            "on_their_way": courier.running,
            "taken": courier.taken,
            "failed": courier.failed,
        }

    async def _prune(self) -> NoReturn:
        while True:
            try:
                await self._recorder.administer(PruneMessages(before=self._clock.now() - self._keep))
            except ThornbackError as error:
                log.warning("old messages cannot be forgotten now", reason=error.message)
            await asyncio.sleep(PRUNE_EVERY_S)
