"""One poll loop per replica, fanned out to the replica's live clients.

Where several recorders share the jobs there is one loop for each, which feeds those who follow a job, and one for
those who follow all jobs, in the order of the events' ids. A loop runs while somebody listens. Each client has a
bounded queue; a client that is too slow, or that comes with a cursor from the past, reads what it misses from the
database by its own cursor and then goes on live, so that it gets every event once and in order whatever happens in
between.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import NoReturn, Protocol, Self, TypeVar

from thornback.errors import Unavailable
from thornback.jobs.events import EventKind
from thornback.jobs.shards import shard_of
from thornback.log import get_logger
from thornback.metrics.port import Recorder, StreamEvent
from thornback.store.read import StoreReader
from thornback.telemetry import catalogue

T = TypeVar("T")

POLL_S = 10.0  # longest wait inside one poll; a new client does not have to wait for it
READY_S = 5.0  # how long a client waits for the loop to know its place before it gets a 503
QUEUE_EVENTS = 1000  # per client
REPLAY_EVENTS = 1000  # per statement
_log = get_logger("hub")


class TooManyStreams(Unavailable):
    """This replica has as many live clients as it may have."""

    code = "too_many_streams"


class HubClosed(Unavailable):
    """The replica shuts down; the client should come back and reach another."""


class Asks(Protocol):
    """Asks the database off the event loop."""

    def __call__(self, question: Callable[[StoreReader], T], /) -> Awaitable[T]:
        """The answer to `question`."""
        ...


class Subscription:
    """One client's place in the stream. Use it in one task, as a context manager."""

    def __init__(self, hub: Hub, lane: Lane, *, job_id: str | None, counted: bool, user: str | None = None) -> None:
        self.job_id = job_id
        self.counted = counted
        self.user = user
        self.position = 0  # every event up to here has been handed out
        self.is_replayed = False  # the last answer of `next` came from the database and carries no states
        self.was_reset = False  # the client's cursor was not one of ours: it starts over
        self._hub, self._lane = hub, lane
        self._queue: deque[StreamEvent] = deque()
        self._lost = True  # the queue does not reach back to `position`: read the database first
        self._target = 0
        self._wake = asyncio.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._hub.leave(self)

    @property
    def is_live(self) -> bool:
        """False while the client is reading what it missed."""
        return not self._lost and self.position >= self._target

    def push(self, events: Sequence[StreamEvent]) -> None:
        """Called by the hub: queue events, or note that the client is too slow to hold them."""
        if self._lost:
            return
        if len(self._queue) + len(events) > QUEUE_EVENTS:
            self._lost = True
            self._queue.clear()
        else:
            self._queue.extend(events)
        self._wake.set()

    def wake(self) -> None:
        """Let `next` return early, with no events where there are none."""
        self._wake.set()

    async def next(self, timeout_s: float) -> list[StreamEvent]:
        """The next events in order; none after `timeout_s` or `wake`.

        Raises:
            HubClosed: the replica shuts down.
            StoreUnavailable: what was missed cannot be read; the position is kept.
        """
        if not self.is_live and (events := await self._replay()):
            self.is_replayed = True
            return events
        self.is_replayed = False
        if not self._queue and not self._lost and not self._hub.is_closed:
            await self._wait(timeout_s)
        self._wake.clear()
        if self._hub.is_closed:
            raise HubClosed("the server restarts")
        return self._take()

    async def _replay(self) -> list[StreamEvent]:
        """Read from the database until there is something to hand out or the live queue takes over."""
        while not self.is_live:
            if self._lost:
                # From here on the queue collects; the database is asked for everything before.
                self._queue.clear()
                self._lost = False
                self._target = max(self._lane.position, self.position)
                continue
            after, until = self.position, self._target
            events = await self._hub.events(after, until=until, job_id=self.job_id)
            self.position = events[-1].id if len(events) == REPLAY_EVENTS else until
            if events:
                return events
        return []

    def _take(self) -> list[StreamEvent]:
        events = [event for event in self._queue if event.id > self.position]
        self._queue.clear()
        if events:
            self.position = events[-1].id
        return events

    async def _wait(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return


class Lane:
    """A poll loop and the clients that it feeds."""

    def __init__(self, feed: Recorder, ask: Asks) -> None:
        self.position = 0  # newest event that was published
        self._feed, self._ask = feed, ask
        self._clients: dict[str | None, set[Subscription]] = {}  # None: all jobs
        self._wanted = asyncio.Event()
        self._ready = asyncio.Event()

    @property
    def clients(self) -> list[Subscription]:
        """Whom it feeds now."""
        return [client for some in self._clients.values() for client in some]

    def add(self, client: Subscription) -> None:
        """Begin to feed a client."""
        self._clients.setdefault(client.job_id, set()).add(client)
        self._wanted.set()

    def remove(self, client: Subscription) -> bool:
        """Stop to; False where it was not fed."""
        clients = self._clients.get(client.job_id, set())
        if client not in clients:
            return False
        clients.remove(client)
        if not clients:
            del self._clients[client.job_id]
        if not self._clients:
            self._wanted.clear()
        return True

    async def ready(self) -> None:
        """Wait until the loop knows its place. Raises Unavailable."""
        try:
            async with asyncio.timeout(READY_S):
                await self._ready.wait()
        except TimeoutError:
            raise Unavailable("the event stream cannot be read at the moment; try again later") from None

    async def run(self) -> NoReturn:
        """Feed for ever."""
        failures = 0
        while True:
            await self._wanted.wait()
            try:
                if not self._ready.is_set():
                    self.position = await self._ask(lambda store: store.latest_event_id())
                    self._ready.set()
                await self._step()
                failures = 0
            except Exception as error:  # noqa: BLE001 - this loop feeds every client and must outlive any error
                failures += 1
                _log.warning("the event stream is interrupted", error=str(error), failures=failures)
                await asyncio.sleep(min(2.0, 0.05 * 2**failures) * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            if not self._clients:
                self._ready.clear()

    async def _step(self) -> None:
        page = await self._feed.poll(self.position, timeout_s=POLL_S)
        if page.catch_up:
            await self._read_gap(page.cursor)
        else:
            self._publish(page.events)
            _measure_lag(page.events)
            self.position = max(self.position, page.cursor)

    async def _read_gap(self, until: int) -> None:
        """The recorder's memory does not reach back to our position: read the rest once for everybody."""
        while self._clients and self.position < until:
            after = self.position
            events = await self._ask(lambda store: store.events(after, until=until, limit=REPLAY_EVENTS))  # noqa: B023
            self._publish(events)
            self.position = events[-1].id if len(events) == REPLAY_EVENTS else until

    def _publish(self, events: Sequence[StreamEvent]) -> None:
        by_job: dict[str, list[StreamEvent]] = {}
        for event in events:
            by_job.setdefault(event.job_id, []).append(event)
        for job_id, mine in by_job.items():
            for client in self._clients.get(job_id, ()):
                client.push(mine)
        if events:
            for client in self._clients.get(None, ()):
                client.push(events)


class Hub:
    """Feeds the clients of one replica."""

    def __init__(
        self, recorder: Recorder, ask: Asks, *, max_streams: int, max_streams_per_user: int | None = None
    ) -> None:
        self.is_closed = False
        self._ask = ask
        self._max_streams = max_streams
        self._max_per_user = max_streams if max_streams_per_user is None else max_streams_per_user
        self._by_user: Counter[str] = Counter()
        self._count = 0
        self._of_all = Lane(recorder, ask)
        feeds = recorder.feeds
        # One recorder publishes the events of all jobs in their order anyway.
        self._of_jobs = [self._of_all] if len(feeds) == 1 else [Lane(feed, ask) for feed in feeds]
        self._lanes = [*dict.fromkeys((self._of_all, *self._of_jobs))]
        self._tasks: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def position(self) -> int:
        """The newest event that those who follow all jobs were given."""
        return self._of_all.position

    @property
    def client_count(self) -> int:
        """Live clients of this replica."""
        return self._count

    def start(self) -> None:
        """Begin to serve; call it inside the event loop."""
        self._loop = asyncio.get_running_loop()
        self._tasks = [self._loop.create_task(lane.run(), name="hub") for lane in self._lanes]

    def close(self) -> None:
        """Tell every client to go elsewhere; their handlers end by themselves."""
        self.is_closed = True
        for lane in self._lanes:
            for client in lane.clients:
                client.wake()

    def close_soon(self) -> None:
        """`close` from another thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.close)

    async def stop(self) -> None:
        """Close and end the loop."""
        self.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def join(
        self, *, job_id: str | None, after: int | None, counted: bool = True, user: str | None = None
    ) -> Subscription:
        """A place in the stream of one job, or of all.

        Args:
            job_id: whose events; None for all jobs.
            after: the last event that the client has; None: from now on.
            counted: False for short waits of our own, which the cap on streams does not concern.

        Raises:
            TooManyStreams: the cap is reached.
            Unavailable: neither database nor recorder answers.
            HubClosed: the replica shuts down.
        """
        if self.is_closed:
            raise HubClosed("the server restarts")
        if counted and self._count >= self._max_streams:
            catalogue.STREAMS_REFUSED.add()
            raise TooManyStreams(f"this server has {self._max_streams} live clients already; try again later")
        if counted and user is not None and self._by_user[user] >= self._max_per_user:
            catalogue.STREAMS_REFUSED.add()
            raise TooManyStreams(f"{user} has {self._max_per_user} live clients here already; close some of them")
        lane = self._lane_of(job_id)
        client = Subscription(self, lane, job_id=job_id, counted=counted, user=user)
        lane.add(client)
        self._count += counted
        catalogue.STREAMS.set(self._count)
        if counted and user is not None:
            self._by_user[user] += 1
        try:
            await self._place(client, lane, after)
        except BaseException:
            self.leave(client)
            raise
        return client

    def leave(self, client: Subscription) -> None:
        """Forget a client; a second call changes nothing."""
        if not self._lane_of(client.job_id).remove(client):
            return
        self._count -= client.counted
        catalogue.STREAMS.set(self._count)
        if client.counted and client.user is not None:
            self._by_user[client.user] -= 1
            self._by_user += Counter()  # those with none are forgotten

    async def events(self, after: int, *, until: int, job_id: str | None) -> list[StreamEvent]:
        """Committed events from the database, at most `REPLAY_EVENTS`."""
        return await self._ask(lambda store: store.events(after, job_id=job_id, until=until, limit=REPLAY_EVENTS))

    def _lane_of(self, job_id: str | None) -> Lane:
        return self._of_all if job_id is None else self._of_jobs[shard_of(job_id, len(self._of_jobs))]

    async def _place(self, client: Subscription, lane: Lane, after: int | None) -> None:
        await lane.ready()
        if after is None:
            client.position = lane.position
        elif after <= lane.position or await self._ask(lambda store: store.has_reached(after)):
            client.position = after
        else:  # from another database: nothing that we know of the client is true
            client.was_reset = True
            client.position = 0 if client.job_id is not None else lane.position


def _measure_lag(events: Sequence[StreamEvent]) -> None:
    """One value a page, of its newest event; what a provider says has the provider's time, which may lie far back."""
    ours = [event for event in events if event.kind is not EventKind.ITEM]
    if ours:
        catalogue.STREAM_LAG.observe((datetime.now(UTC) - ours[-1].at).total_seconds())
