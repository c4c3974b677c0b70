"""Webhooks out: nothing is lost however the receiver fails and the sender dies, and bad receivers delay no others.

    python -m tests.benchmarks.notify_delivery [--events 2000] [--kills 3] [--seconds 20] [--rate 2]
        [--only faults|neighbours]

Faults: so many ends of jobs go to a receiver that fails three requests of ten (503, silence, reset, 429 with
Retry-After), and one message of fifty until it is replayed. The sender is a process of its own, killed (SIGKILL)
while it sends and started again. Its clock jumps to whatever is due next, so that a day of retries takes a minute;
sockets, the database and silence are real. Counted from what the receiver saw and what the database holds.

Neighbours: ends of jobs go to 50 receivers, of which 5 never answer and 5 take 3 s, on a real clock. Shown is how
long after its commit an event reached the healthy ones, beside the same with 50 healthy receivers.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import quantiles

import orjson
from standardwebhooks.webhooks import Webhook as Signer

from tests.fixtures.api import eventually
from tests.fixtures.notify import JumpingClock, subscription
from tests.fixtures.receivers import Decide, Post, Receiver, Reply, receiving
from thornback.jobs.events import Attempt, EventFactory
from thornback.jobs.spec import parse_spec
from thornback.jobs.subscriptions import Message, MessageState, Told, Webhook
from thornback.jobs.webhook_changes import AddWebhook, Replay
from thornback.metrics.local import LocalRecorder
from thornback.metrics.port import NewJob
from thornback.net.client import GuardedClient
from thornback.notify.clock import Clock, SystemClock
from thornback.notify.schedule import JITTER, PAUSES
from thornback.notify.sender import Sender
from thornback.notify.targets import TIMEOUT_S, open_targets, transport
from thornback.settings import Settings
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.webhooks import WebhookReader

FAULTS = {"503": 0.12, "silence": 0.05, "reset": 0.08, "429": 0.05}  # three of ten
REST_S = 20  # what Retry-After asks for
SILENCE_S = 0.5  # on the jumping clock: so long is waited for an answer
DOOMED = 50  # one message of so many is never taken before it is replayed
RECEIVERS, DEAD, SLOW, SLOW_S = 50, 5, 5, 3.0
DEADLINE_S = 900.0
SECOND = timedelta(seconds=1)


def settings_in(home: Path) -> Settings:
    """A platform of its own that may reach loopback."""
    return Settings(home=home, fetch_allow="127.0.0.1", access="off")


async def send(home: Path, timeout_s: float) -> None:
    """The sender's process, until it is killed."""
    recorder = LocalRecorder.open(settings_in(home))
    await recorder.start()
    await send_from(recorder, home, timeout_s, JumpingClock(home / "clock"))


async def send_from(recorder: LocalRecorder, home: Path, timeout_s: float, clock: Clock) -> None:
    """A sender that hears at once of what this recorder commits."""
    settings = settings_in(home)
    async with GuardedClient(transport=transport(settings)) as http:
        sender = Sender(
            recorder=recorder,
            engine=open_engine(settings.database_url),
            targets=open_targets(http, settings, timeout_s=timeout_s),
            settings=settings,
            clock=clock,
        )
        await sender.run()


@contextlib.asynccontextmanager
async def sender_process(home: Path, timeout_s: float) -> AsyncIterator[asyncio.subprocess.Process]:
    """Running; killed at the end."""
    words = ["-m", "tests.benchmarks.notify_delivery", "--child", str(home), "--timeout", str(timeout_s)]
    process = await asyncio.create_subprocess_exec(sys.executable, *words)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()


class Platform:
    """The database with its writer, where jobs end."""

    def __init__(self, home: Path) -> None:
        self.settings = settings_in(home)
        upgrade(self.settings.database_url)
        self.recorder = LocalRecorder.open(self.settings)
        self.outbox = WebhookReader(open_engine(self.settings.database_url))
        self._spec = parse_spec({"job_name": "a job", "config": {}}).model_dump(mode="json")

    async def end_jobs(self, count: int, ended: dict[str, float]) -> None:
        """So many jobs succeed; when each was committed goes into `ended`."""
        for _ in range(count):
            id, at = str(uuid.uuid4()), datetime.now(UTC)
            await self.recorder.create(NewJob(job_id=id, spec=self._spec, user="ada", at=at))
            await self.recorder.record([EventFactory(id).succeeded(Attempt(), at=at)])
            ended[id] = time.monotonic()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until it does."""
        await eventually(lambda: asyncio.to_thread(holds), within_s=DEADLINE_S)

    def messages(self, webhook: Webhook) -> list[Message]:
        """All of them."""
        found: list[Message] = []
        cursor: str | None = None
        while True:
            page = self.outbox.messages(webhook.id, limit=1000, cursor=cursor)
            found += page.messages
            cursor = page.next_cursor
            if cursor is None:
                return found


class FaultyReceiver:
    """Answers by chance, and remembers."""

    def __init__(self) -> None:
        self.chance = random.Random(7)
        self.faults: Counter[str] = Counter()
        self.posts: dict[str, list[Post]] = defaultdict(list)  # by job
        self.rests: list[tuple[int, int]] = []  # from, to: of the clock of the sender
        self.taken: set[str] = set()
        self.doomed: set[str] = set()
        self.count = 0

    def has_seen(self, attempts: int) -> bool:
        """True after so many."""
        return self.count >= attempts

    def decide(self, post: Post) -> Reply:
        """See Receiver."""
        job_id = orjson.loads(post.body)["data"]["job"]["id"]
        if job_id not in self.posts and self.chance.random() < 1 / DOOMED:
            self.doomed.add(job_id)
        self.posts[job_id].append(post)
        self.count += 1
        if job_id in self.doomed:
            return Reply(status=500)
        draw = self.chance.random()
        for fault, share in FAULTS.items():
            draw -= share
            if draw < 0:
                self.faults[fault] += 1
                return self._fault(fault, int(post.headers["webhook-timestamp"]))
        self.taken.add(job_id)
        return Reply()

    def _fault(self, fault: str, now: int) -> Reply:
        match fault:
            case "silence":
                return Reply(after_s=None)
            case "reset":
                return Reply(reset=True)
            case "429":
                self.rests.append((now, now + REST_S))
                return Reply(status=429, headers={"retry-after": str(REST_S)})
            case _:
                return Reply(status=503)


async def faults(home: Path, events: int, kills: int) -> None:
    """The first figure."""
    platform, faulty, ended = Platform(home), FaultyReceiver(), dict[str, float]()
    chance, began = random.Random(11), time.monotonic()
    await platform.recorder.start()
    async with receiving(faulty.decide) as receiver:
        webhook = subscription(receiver.url("/in"), events=[Told.COMPLETED])
        await platform.recorder.administer(AddWebhook(webhook=webhook))
        for turn in range(kills + 1):
            await platform.end_jobs(events // (kills + 1), ended)
            async with sender_process(home, SILENCE_S):
                if turn < kills:
                    wanted = faulty.count + chance.randint(events // 20, events // 5)
                    await platform.until(partial(faulty.has_seen, wanted))
                    print(f"  killed while it sent, after {faulty.count} attempts")
                else:
                    await platform.until(lambda: _settled(platform, webhook, len(ended)))
        report(platform.messages(webhook), faulty, webhook, ended)
        dead = platform.outbox.count(webhook.id).get(MessageState.DEAD, 0)
        faulty.doomed.clear()
        now = JumpingClock(home / "clock").now()
        await platform.recorder.administer(
            Replay(webhook_id=webhook.id, at=now, since=datetime(2000, 1, 1, tzinfo=UTC))
        )
        async with sender_process(home, SILENCE_S):
            await platform.until(lambda: _settled(platform, webhook, len(ended)))
        left = platform.outbox.count(webhook.id)
        print(f"  dead letters replayed {dead}, then in all {dict(left)}, taken {len(faulty.taken)} of {len(ended)}")
    await platform.recorder.close()
    print(f"  {time.monotonic() - began:.0f} s")


def _settled(platform: Platform, webhook: Webhook, events: int) -> bool:
    counts = platform.outbox.count(webhook.id)
    return counts.get(MessageState.WAITING, 0) == 0 and sum(counts.values()) == events


def report(messages: list[Message], faulty: FaultyReceiver, webhook: Webhook, ended: dict[str, float]) -> None:
    """Count."""
    states = Counter(message.state.value for message in messages)
    told = {message.job_id for message in messages if message.state is not MessageState.WAITING}
    delivered = {message.job_id for message in messages if message.state is MessageState.DELIVERED}
    ids = sum(len({post.headers["webhook-id"] for post in posts}) != 1 for posts in faulty.posts.values())
    bodies = sum(len({post.body for post in posts}) != 1 for posts in faulty.posts.values())
    posts = [post for posts in faulty.posts.values() for post in posts]
    forged = sum(not _is_signed(post, webhook) for post in posts)
    stale = sum(
        before.headers["webhook-timestamp"] >= after.headers["webhook-timestamp"]
        for seen in faulty.posts.values()
        for before, after in pairwise(seen)
    )
    print(f"  {len(ended)} events, {len(posts)} attempts, faults {dict(faulty.faults)}, doomed {len(faulty.doomed)}")
    print(
        f"  {dict(states)}; lost {len(ended.keys() - told)}, "
        f"said to be delivered and not taken {len(delivered - faulty.taken)}"
    )
    print(f"  events with more than one webhook-id {ids}, with more than one body {bodies}, wrong signatures {forged}")
    early, kept, rested, late = _schedule(messages, faulty.rests)
    print(
        f"  pauses: within the table and a fifth {kept}, longer by rests asked for {rested}, "
        f"too long {late}, too short {early}"
    )
    print(f"  attempts with the time of the one before {stale} (repeats of what a killed sender had on its way)")
    print(
        f"  events that were sent again because a killed sender could not keep the answer {_repeats(messages, faulty)}"
    )


def _repeats(messages: list[Message], faulty: FaultyReceiver) -> int:
    """Events that a killed sender had sent, and whose answer it could not keep."""
    seen = {message.job_id: len(message.tries) for message in messages}
    return sum(len(posts) > seen.get(job_id, 0) for job_id, posts in faulty.posts.items())


def _is_signed(post: Post, webhook: Webhook) -> bool:
    at = datetime.fromtimestamp(int(post.headers["webhook-timestamp"]), UTC)
    wanted = Signer(str(webhook.secret)).sign(post.headers["webhook-id"], at, post.body.decode())
    return post.headers["webhook-signature"] == wanted


def _schedule(messages: list[Message], rests: list[tuple[int, int]]) -> tuple[int, int, int, int]:
    """Pauses that are too short, within the table, longer because of rests, and too long."""
    early = kept = rested = late = 0
    for message in messages:
        for failures, (before, after) in enumerate(pairwise(message.tries)):
            pause, gap = PAUSES[failures], after.at - before.at
            last = before.at + pause * (1 + JITTER) + SECOND
            if gap < pause:
                early += 1
            elif after.at <= last:
                kept += 1
            elif _covered(last, after.at, rests):
                rested += 1
            else:
                late += 1
    return early, kept, rested, late


def _covered(begin: datetime, end: datetime, rests: list[tuple[int, int]]) -> bool:
    """True where rests fill the time; the clock does not move while anything can be sent."""
    at = begin.timestamp()
    for start, stop in sorted(rests):
        if start - 1 <= at < stop + 1:
            at = stop + 1
    return at >= end.timestamp() - 1


class Neighbours:
    """When what reached the healthy receivers."""

    def __init__(self, bad: int) -> None:
        self.arrived: list[tuple[str, float]] = []
        self._bad = bad

    def has_heard(self, events: int) -> bool:
        """True once so many have reached all of them."""
        return len(self.arrived) >= events * (RECEIVERS - DEAD - SLOW)

    def decide_for(self, number: int) -> Decide:
        """The answers of one receiver."""

        def decide(post: Post) -> Reply:
            if number < self._bad:
                return Reply(after_s=None)
            if number < 2 * self._bad:
                return Reply(after_s=SLOW_S)
            if number >= DEAD + SLOW:  # those that are healthy in both runs
                self.arrived.append((orjson.loads(post.body)["data"]["job"]["id"], time.monotonic()))
            return Reply()

        return decide


async def neighbours(home: Path, seconds: float, rate: float, *, bad: int) -> tuple[float, float]:
    """p50 and p99 in ms of commit to arrival at the 40 healthy ones."""
    platform, heard, ended = Platform(home), Neighbours(bad), dict[str, float]()
    await platform.recorder.start()
    async with contextlib.AsyncExitStack() as stack:
        for number in range(RECEIVERS):
            receiver: Receiver = await stack.enter_async_context(receiving(heard.decide_for(number)))
            hook = subscription(receiver.url(f"/{number}"), events=[Told.COMPLETED])
            await platform.recorder.administer(AddWebhook(webhook=hook))
        sending = asyncio.create_task(send_from(platform.recorder, home, TIMEOUT_S, SystemClock()))
        stack.callback(sending.cancel)
        count, warm = int(seconds * rate), 3
        for number in range(warm + count):
            await platform.end_jobs(1, ended)
            if number < warm:  # the sender starts
                await platform.until(partial(heard.has_heard, number + 1))
            await asyncio.sleep(1 / rate)
        await platform.until(partial(heard.has_heard, warm + count))
    await platform.recorder.close()
    known = list(ended)[warm:]
    waits = [(at - ended[job_id]) * 1000 for job_id, at in heard.arrived if job_id in set(known)]
    cuts = quantiles(waits, n=100)
    print(f"  {bad} dead and {bad} slow: {len(waits)} arrivals, p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms")
    return cuts[49], cuts[98]


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A home."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


async def run(arguments: argparse.Namespace) -> None:
    """Both figures."""
    if arguments.only != "neighbours":
        print(f"{arguments.events} events, three of ten requests fail, the sender is killed {arguments.kills} times:")
        with folder() as home:
            await faults(home, arguments.events, arguments.kills)
    if arguments.only != "faults":
        print(f"{RECEIVERS} receivers, {arguments.rate:g} events/s to each, {arguments.seconds:g} s:")
        with folder() as home:
            _, alone = await neighbours(home, arguments.seconds, arguments.rate, bad=0)
        with folder() as home:
            _, beside = await neighbours(home, arguments.seconds, arguments.rate, bad=DEAD)
        print(f"  p99 beside bad ones is {beside / alone:.2f} times that without")


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=2.0, help="events per second to each of the 50")
    parser.add_argument("--only", choices=["faults", "neighbours"])
    for name in ("--child", "--timeout"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        asyncio.run(send(Path(arguments.child), float(arguments.timeout)))
    else:
        asyncio.run(run(arguments))


if __name__ == "__main__":
    main()
