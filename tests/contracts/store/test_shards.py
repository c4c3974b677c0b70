"""Several writers of one PostgreSQL: numbers, visibility, and who may write."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator

import pytest

from tests.contracts.store.conftest import NOW, Store, epoch_row, job_id, spec, step_row
from thornback.errors import StoreUnavailable
from thornback.jobs.events import EventFactory, EventKind
from thornback.jobs.shards import Shard, shard_of
from thornback.metrics.port import NewJob
from thornback.store.engine import Limits, open_engine
from thornback.store.read import StoreReader
from thornback.store.webhooks import WebhookReader
from thornback.store.write import StoreWriter

SHARDS = 3


class Shards:
    """Three writers, and somebody who reads."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.writers = [self.writer(number) for number in range(SHARDS)]
        self.reader = StoreReader(open_engine(url))

    def writer(self, number: int, count: int = SHARDS) -> StoreWriter:
        """A process that has just begun."""
        limits = Limits(lock_s=0.5)
        writer = StoreWriter(open_engine(self.url, writer=True, limits=limits), shard=Shard(number, count))
        writer.latest_event_id()
        return writer

    def create(self, number: int) -> EventFactory:
        """A job of this shard."""
        while True:
            make = EventFactory(_uuid())
            if shard_of(job_id(make), SHARDS) == number:
                new = NewJob(job_id=job_id(make), spec=spec(), user="ada", at=NOW)
                self.writers[number].create(new)
                return make

    def close(self) -> None:
        """Of all."""
        for writer in self.writers:
            writer.close()
        self.reader.close()


def _uuid() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def shards(postgres_url: str) -> Iterator[Shards]:
    found = Shards(postgres_url)
    yield found
    found.close()


def test_a_job_has_one_shard_however_it_is_written() -> None:
    plain = "0190f2a4-0000-7000-8000-00000000abcd"
    assert shard_of(plain, 7) == shard_of(plain.upper(), 7) == shard_of(plain.replace("-", ""), 7)
    assert {shard_of(_uuid(), 3) for _ in range(200)} == {0, 1, 2}
    assert shard_of("no uuid", 1) == 0


def test_what_is_not_committed_yet_hides_what_was_numbered_after_it(shards: Shards) -> None:
    """A reader of all jobs that went beyond the gap would never see what appears in it."""
    first, second = shards.create(0), shards.create(1)
    cursor = shards.reader.latest_event_id()
    webhooks = WebhookReader(shards.reader.engine)

    slow = shards.writers[0]
    with slow._transaction(shared=True) as tx:
        tx.commit([epoch_row(first, 1)])
        late = shards.writers[1].commit([epoch_row(second, 1)])
        assert late.events[0].id > cursor + 1
        assert shards.reader.latest_event_id() == cursor
        assert webhooks.happened(cursor, {EventKind.METRICS}, limit=10) == ([], cursor)
        assert shards.reader.has_reached(late.events[0].id)
        # of its own job nothing is missing
        assert [event.id for event in shards.reader.events(cursor, job_id=job_id(second))] == [late.events[0].id]
    settled = shards.reader.latest_event_id()
    assert [event.job_id for event in shards.reader.events(cursor, until=settled)] == [job_id(first), job_id(second)]
    found, position = webhooks.happened(cursor, {EventKind.METRICS}, limit=10)
    assert ([event.id for event in found], position) == ([cursor + 1, late.events[0].id], settled)


def lose(writer: StoreWriter, make: EventFactory) -> None:
    """The server loses the process before its commit."""
    with writer._transaction(shared=True) as tx:
        tx.commit([epoch_row(make, 1)])
        raise ConnectionError


def test_a_writer_that_is_gone_hides_nothing(shards: Shards) -> None:
    first, second = shards.create(0), shards.create(1)
    with pytest.raises(ConnectionError):
        lose(shards.writers[0], first)
    (event,) = shards.writers[1].commit([epoch_row(second, 1)]).events
    assert shards.reader.latest_event_id() == event.id
    assert shards.reader.events(0, job_id=job_id(first))[-1].kind is EventKind.CREATED
    (event,) = shards.writers[0].commit([epoch_row(first, 1)]).events  # it is sent again
    assert event.data["epoch"] == 1


def test_readers_that_follow_miss_nothing_while_three_write(shards: Shards) -> None:
    jobs = [shards.create(number) for number in range(SHARDS)]
    start = cursor = shards.reader.latest_event_id()
    commits = 40

    def write(number: int) -> None:
        for batch in range(commits):
            shards.writers[number].commit([step_row(jobs[number], 1, 3 * batch + n) for n in range(3)])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(SHARDS)]
    for thread in threads:
        thread.start()
    seen: list[int] = []
    while len(seen) < SHARDS * commits * 3:
        is_over = not any(thread.is_alive() for thread in threads)
        settled = shards.reader.latest_event_id()
        found = shards.reader.events(cursor, until=settled)
        seen += [event.id for event in found]
        cursor = max(cursor, settled)
        assert found or not is_over, f"{len(seen)} events seen, and nothing more comes"
    for thread in threads:
        thread.join()
    assert seen == sorted(set(seen)) == [event.id for event in shards.reader.events(start)]
    for make in jobs:
        rows = shards.reader.metrics(job_id(make), level="all")
        assert [row.batch for row in rows] == list(range(3 * commits))


def test_what_concerns_several_jobs_is_decided_alone(shards: Shards) -> None:
    """Two creates with one key make one job, on whichever shards they are."""
    done: list[str] = []

    def create(number: int) -> None:
        new = NewJob(job_id=_uuid(), spec=spec(), user="ada", at=NOW, idempotency_key="once", request_hash="same")
        made, _ = shards.writers[number].create(new)
        done.append(made.job.id)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(SHARDS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == SHARDS
    assert len(set(done)) == 1


def test_a_second_process_for_the_same_shard_is_noticed(shards: Shards) -> None:
    make = shards.create(0)
    twin = shards.writer(0)
    twin.commit([epoch_row(make, 1)])
    known = shards.reader.latest_event_id()
    shards.writers[0].commit([epoch_row(make, 2)])
    assert shards.writers[0].found_id == known  # and forgets what it had in memory
    assert shards.reader.job(job_id(make)).state.latest["val_loss"].epoch == 2
    twin.close()


def test_another_number_of_shards_takes_over_whole(shards: Shards) -> None:
    make = shards.create(0)
    newest = shards.reader.latest_event_id()
    fewer = [shards.writer(number, 2) for number in range(2)]
    for old in shards.writers:
        with pytest.raises(StoreUnavailable, match="THORNBACK_METRICS_SHARDS"):
            old.commit([epoch_row(make, 1)])
    writer = fewer[shard_of(job_id(make), 2)]
    (event,) = writer.commit([epoch_row(make, 1)]).events
    assert event.id == newest + 1
    alone = StoreWriter(open_engine(shards.url, writer=True))
    with pytest.raises(StoreUnavailable, match="THORNBACK_METRICS_SHARDS"):
        alone.commit([epoch_row(make, 2)])
    assert alone.latest_event_id() == event.id  # the first thing that a recorder does
    assert [event.id for event in alone.commit([epoch_row(make, 2)]).events] == [newest + 2]
    with pytest.raises(StoreUnavailable):
        writer.commit([epoch_row(make, 3)])
    for other in (*fewer, alone):
        other.close()


def test_numbers_go_on_after_a_writer_that_counts_by_itself(postgres_url: str) -> None:
    """The release before this one does, and so does one writer alone."""
    engine = open_engine(postgres_url, writer=True)
    store = Store(postgres_url, engine, StoreWriter(engine), StoreReader(engine))
    make = store.create()
    (before,) = store.writer.commit([epoch_row(make, 1)]).events
    store.writer.close()
    shards = Shards(store.url)
    (after,) = shards.writers[shard_of(job_id(make), SHARDS)].commit([epoch_row(make, 2)]).events
    assert after.id == before.id + 1
    shards.close()
