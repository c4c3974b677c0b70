"""Who is told of the jobs of a storm: a receiver of webhooks that stumbles now and then, and what it must hear."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from zlib import crc32

from tests.fixtures.notify import subscription
from tests.fixtures.receivers import Post, Reply, receiving
from thornback.jobs.subscriptions import TOLD_OF, Told
from thornback.jobs.webhook_changes import AddWebhook
from thornback.metrics.actor import connect
from thornback.notify.envelope import event_id_of
from thornback.settings import Settings
from thornback.store.read import StoreReader

EVENTS = tuple(told for told in dict.fromkeys(TOLD_OF.values()) if not told.is_best_effort and told is not Told.ALERT)
_STUMBLE_EVERY = 5  # of the messages, so many are refused or cut at their first attempt, and taken at the second


class Listener:
    """What came, by the id of the message."""

    def __init__(self) -> None:
        self.url = ""
        self.taken: Counter[str] = Counter()  # answered with 200
        self._stumbled: set[str] = set()

    def decide(self, post: Post) -> Reply:
        """How to answer."""
        id = post.headers["webhook-id"]
        # by the id and not by chance: a storm of the same seed stumbles alike
        turn = crc32(id.encode()) % (2 * _STUMBLE_EVERY)
        if turn < 2 and id not in self._stumbled:
            self._stumbled.add(id)
            return Reply(status=503) if turn else Reply(reset=True)
        self.taken[id] += 1
        return Reply()


@contextmanager
def listening() -> Iterator[Listener]:
    """One in a thread of its own, which answers whatever its process is busy with."""
    listener, over, ready = Listener(), threading.Event(), threading.Event()

    async def serve() -> None:
        async with receiving(listener.decide) as receiver:
            listener.url = receiver.url("/told")
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),), name="listener")
    thread.start()
    try:
        assert ready.wait(30)
        yield listener
    finally:
        over.set()
        thread.join()


async def subscribe(listener: Listener, settings: Settings) -> None:
    """From now on the listener is told of everything that happens to a job."""
    webhook = subscription(listener.url, events=EVENTS, at=datetime.now(UTC))
    assert await connect(settings).administer(AddWebhook(webhook=webhook))


def to_be_told(reader: StoreReader) -> set[str]:
    """The ids of all messages about jobs that are there."""
    kinds = {kind for kind, told in TOLD_OF.items() if told in EVENTS}
    events = reader.events(0, limit=1_000_000)
    return {event_id_of(event.job_id, event.id) for event in events if event.kind in kinds}


def not_told(listener: Listener, reader: StoreReader) -> list[str]:
    """Sentences on what was not heard, and on what nobody said."""
    wanted, heard = to_be_told(reader), set(listener.taken)
    there = {id.rpartition("_")[0] for id in wanted}
    found = [f"message {id} was never delivered" for id in sorted(wanted - heard)]
    # what was told of a job that is deleted by now cannot be looked up
    return found + [f"message {id} tells of nothing" for id in heard - wanted if id.rpartition("_")[0] in there]
