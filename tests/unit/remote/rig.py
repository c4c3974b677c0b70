"""A tracker over a real recorder and database, and a provider in memory."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from thornback.backends.port import submission_id
from thornback.jobs.events import Attempt, EventFactory
from thornback.jobs.items import ItemState
from thornback.jobs.spec import parse_spec
from thornback.jobs.state import JobState
from thornback.metrics.local import LocalRecorder
from thornback.metrics.port import Delivery, NewJob
from thornback.net.client import GuardedClient
from thornback.net.rules import AddressRules
from thornback.providers.catalogue import load_catalogue
from thornback.providers.memory import MemoryProvider, Taken
from thornback.providers.port import Provider
from thornback.remote.desk import Desk
from thornback.remote.interpret import events_of
from thornback.remote.schedule import Pace
from thornback.remote.tracker import Tracker
from thornback.settings import Settings
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.read import StoreReader

# A day in a second.
QUICK = Pace(
    first_s=0.01,
    quick_s=0.02,
    calm_s=0.02,
    trust_s=0.05,
    safety_s=0.1,
    overdue_s=5.0,
    retry_s=0.01,
    retry_cap_s=0.02,
    settle_s=0.01,
    inbox_s=0.02,
    cancel_s=5.0,
    fetch_s=0.2,
)
LORA: Mapping[str, Any] = {
    "job_name": "ada",
    "kind": "lora",
    "backend": "replicate",
    "config": {"dataset": "https://files.test/ada.zip", "trigger_word": "ADA", "steps": 100, "destination": "acme/ada"},
}


def now() -> datetime:
    """In UTC."""
    return datetime.now(UTC)


class Rig:
    """One platform with one provider."""

    def __init__(self, home: Path, *, provider: Provider | None = None, pace: Pace = QUICK, **settings: Any) -> None:
        values: dict[str, Any] = {"home": home, "replicate_api_token": "r8_test", "public_url": None}
        values["fetch_allow"] = "127.0.0.1"
        self.settings = Settings(**(values | settings))
        upgrade(self.settings.database_url)
        self.recorder = LocalRecorder.open(self.settings)
        self.recorder.begin()
        self.reader = StoreReader(open_engine(self.settings.database_url))
        self.memory = MemoryProvider(now)
        self.provider: Provider = provider or self.memory
        self.pace = pace
        self.http = GuardedClient(AddressRules.of(self.settings))
        self.tracker = Tracker(self.desk())
        self._task: asyncio.Task[Any] | None = None

    def desk(self) -> Desk:
        """Of a tracker that remembers nothing."""
        return Desk(
            provider=self.provider,
            recorder=self.recorder,
            reader=self.reader,
            settings=self.settings,
            catalogue=load_catalogue(self.settings),
            now=now,
            pace=self.pace,
            http=self.http,
        )

    def start(self) -> None:
        """Begin to follow."""
        self._task = asyncio.create_task(self.tracker.run())

    async def kill(self) -> None:
        """As a killed process: nothing is tidied up but the memory."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def restart(self) -> None:
        """Kill it, and begin anew."""
        await self.kill()
        self.tracker = Tracker(self.desk())
        self.start()

    async def forever(self) -> None:
        """Until it is killed."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """End everything."""
        await self.kill()
        await self.provider.close()
        await self.http.aclose()
        await self.recorder.close()
        self.reader.close()

    async def create(self, body: Mapping[str, Any] = LORA, **config: Any) -> str:
        """A job that the dispatcher has just handed over, but not told the tracker of yet."""
        spec = parse_spec({**body, "config": {**body["config"], **config}}).model_dump(mode="json")
        job_id = str(uuid.uuid4())
        await self.recorder.create(NewJob(job_id=job_id, spec=spec, user="ada", at=now()))
        scheduled = EventFactory(job_id).scheduled(Attempt(1), submission_id=submission_id(job_id, 1), at=now())
        await self.recorder.record([scheduled])
        return job_id

    async def order(self, body: Mapping[str, Any] = LORA, **config: Any) -> str:
        """A job that is followed."""
        job_id = await self.create(body, **config)
        await self.tracker.start(job_id)
        return job_id

    async def webhook(self, taken: Taken, *, body: str = "{}", **changes: Any) -> None:
        """What the API commits when the provider calls it."""
        sighting, order = replace(taken.sighting, **changes), taken.order
        item = self.item(order.job_id, order.item) or ItemState(
            job_id=order.job_id, item=order.item, order=order.number
        )
        training = self.job(order.job_id).kind == "lora"
        events = events_of(item, sighting, via="webhook", at=now(), is_training=training)
        delivery = Delivery(
            provider="replicate",
            delivery_id=uuid.uuid4().hex,
            received_at=now(),
            provider_id=sighting.provider_id,
            job_id=order.job_id,
            item=order.item,
            status=sighting.status,
            body=body,
        )
        await self.recorder.receive(delivery, events)

    async def cancel(self, job_id: str) -> None:
        """As the API asks for it."""
        await self.recorder.record([EventFactory(job_id).cancel_requested(user="ada", at=now())])

    def job(self, job_id: str) -> JobState:
        """As committed."""
        return self.reader.job(job_id).state

    def item(self, job_id: str, number: int = 1) -> ItemState | None:
        """As committed."""
        return next((item for item in self.reader.items(job_id) if item.item == number), None)

    async def taken(self, count: int = 1) -> list[Taken]:
        """What the provider in memory has taken, once it is so many."""
        await until(lambda: len(self.memory.taken) >= count, f"{count} orders taken")
        return list(self.memory.taken.values())

    async def until(self, job_id: str, holds: Callable[[JobState], object], what: str = "") -> JobState:
        """Wait until a job is as wanted."""
        await until(lambda: bool(holds(self.job(job_id))), f"{what}: {self.job(job_id)}")
        return self.job(job_id)

    async def ended(self, job_id: str) -> JobState:
        """Wait for the end of a job."""
        return await self.until(job_id, lambda job: job.final is not None, "the end")

    def log(self, job_id: str) -> list[str]:
        """All lines."""
        return [line for chunk in self.reader.logs(job_id) for line in chunk.lines]


async def until(holds: Callable[[], bool], what: str, *, within_s: float = 20.0) -> None:
    """Wait until something is true; fail where that takes long."""
    try:
        async with asyncio.timeout(within_s):
            while True:
                if holds():
                    return
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"not within {within_s:g} s: {what}") from None
