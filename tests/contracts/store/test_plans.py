"""Each query finds its rows by an index: no list, page or stream reads a whole large table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.contracts.store.conftest import NOW, RUN, Store, epoch_row, job_id, log_lines, step_row
from tests.contracts.store.test_inbox import delivery
from tests.contracts.store.test_items import told
from thornback.jobs.events import EventFactory
from thornback.jobs.status import JobStatus
from thornback.metrics.port import QueuePlace
from thornback.store.page import JobQuery
from thornback.store.read import StoreReader
from thornback.store.write import Arrival

_LARGE = "training_metrics|job_events|job_logs|job_items|provider_orders|webhook_deliveries"
_QUERY_WORDS = ("SELECT", "UPDATE", "DELETE")


@dataclass
class Plans:
    """Runs a call and asks the database how it runs each of its statements."""

    engine: sa.Engine
    sent: list[tuple[str, Any, bool]]

    def of(self, call: Callable[[], object]) -> str:
        """The plans of a call's statements, one step a line."""
        self.sent.clear()
        call()
        sent = list(self.sent)
        assert sent, "the call sent nothing"
        return "\n".join(self._plan(*statement) for statement in sent)

    def _plan(self, statement: str, parameters: Any, many: bool) -> str:
        parameters = parameters[0] if many else parameters
        with self.engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
                return "\n".join(row[3] for row in rows)
            # A small table is read whole and sorted unless that costs more; what is asked is whether an index serves.
            for way in ("seqscan", "bitmapscan", "sort"):
                connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
            rows = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).all()
            return "\n".join(row[0] for row in rows)


@pytest.fixture
def filled(store: Store) -> Store:
    """A little of everything."""
    for n in range(30):
        make = store.create(f"job {n}", at=NOW + timedelta(seconds=n))
        store.writer.commit(
            [
                epoch_row(make, 1),
                step_row(make, 1, 1),
                step_row(make, 1, 2),
                log_lines(make, 1, "a"),
                epoch_row(make, 2),
                told(make, 1, "failed", provider_id=f"first {n}"),
                told(make, 1, "sent", order=2, provider_id=f"second {n}"),
                make.described(RUN, {"provider": "replicate", "trainer": "flux", "training_steps": 9}, seq=0, at=NOW),
            ],
            [Arrival(delivery=delivery(make, f"{n} {m}", problem="odd" if m else None), events=[]) for m in range(2)],
        )
    with store.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
    return store


@pytest.fixture
def plans(filled: Store) -> Iterator[Plans]:
    """Listens to the reader and the writer of the store."""
    found = Plans(filled.engine, [])
    reader: StoreReader = filled.reader

    def note(connection: object, cursor: object, statement: str, parameters: Any, context: object, many: bool) -> None:
        if statement.startswith(_QUERY_WORDS) and "pg_advisory" not in statement:
            found.sent.append((statement, parameters, many))

    engines = (filled.engine, reader._engine)
    for engine in engines:
        sa.event.listen(engine, "before_cursor_execute", note)
    yield found
    for engine in engines:
        sa.event.remove(engine, "before_cursor_execute", note)


def _scans(plan: str, tables: str) -> list[str]:
    """Steps that read a whole table of these."""
    whole = re.compile(rf"(SCAN ({tables})|Seq Scan on ({tables}))\b(?!.*USING (COVERING )?INDEX)")
    return [line for line in plan.splitlines() if whole.search(line)]


def _sorts(plan: str) -> list[str]:
    return [line for line in plan.splitlines() if "TEMP B-TREE" in line or re.search(r"\bSort\b", line)]


READS: dict[str, Callable[[Store, str], object]] = {
    "job": lambda store, job: store.reader.job(job),
    "epochs": lambda store, job: store.reader.metrics(job),
    "epochs after": lambda store, job: store.reader.metrics(job, after_id=3),
    "steps": lambda store, job: store.reader.metrics(job, level="step", limit=10),
    "all rows": lambda store, job: store.reader.metrics(job, level="all", limit=10),
    "rows of a phase": lambda store, job: store.reader.metrics(job, level="all", phase="val"),
    "logs": lambda store, job: store.reader.logs(job, after=3),
    "tail": lambda store, job: store.reader.logs(job, tail=10),
    "events": lambda store, job: store.reader.events(100, limit=10),
    "events until": lambda store, job: store.reader.events(10, until=50),
    "events of a job": lambda store, job: store.reader.events(10, job_id=job),
    "items": lambda store, job: store.reader.items(job),
    "order": lambda store, job: store.reader.order("replicate", "second 3"),
    "older order": lambda store, job: store.reader.order("replicate", "first 3"),
    "deliveries": lambda store, job: store.reader.deliveries(limit=3, cursor="20"),
    "dead letters": lambda store, job: store.reader.deliveries(state="dead", limit=3, cursor="20"),
    "deliveries of a job": lambda store, job: store.reader.deliveries(job_id=job, limit=3),
    "delivery": lambda store, job: store.reader.delivery(3),
    "newest delivery": lambda store, job: store.reader.newest_delivery("replicate", "p1"),
    "durations": lambda store, job: store.reader.durations("replicate", "flux"),
    "newest event": lambda store, job: store.reader.latest_event_id(),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
def test_reads_use_an_index(filled: Store, plans: Plans, read: Callable[[Store, str], object]) -> None:
    job = filled.reader.jobs(JobQuery()).jobs[7].state.id
    plan = plans.of(lambda: read(filled, job))
    assert _scans(plan, f"training_jobs|{_LARGE}") == []
    assert _sorts(plan) == []


def test_epochs_are_found_among_many_steps_by_their_own_index(filled: Store, plans: Plans) -> None:
    job = filled.reader.jobs(JobQuery()).jobs[0].state.id
    if filled.url.startswith("sqlite"):
        assert "ix_training_metrics_epochs" in plans.of(lambda: filled.reader.metrics(job))
    else:  # PostgreSQL chooses by size; the index has to be there and to serve
        with filled.engine.begin() as connection:
            connection.exec_driver_sql("DROP INDEX ix_training_metrics_job")
        assert "ix_training_metrics_epochs" in plans.of(lambda: filled.reader.metrics(job))


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "name", "-progress", "priority"])
@pytest.mark.parametrize("paged", [False, True])
def test_a_sorted_list_is_read_in_its_order(filled: Store, plans: Plans, sort: str, paged: bool) -> None:
    cursor = filled.reader.jobs(JobQuery(sort=sort, limit=3)).next_cursor if paged else None
    plan = plans.of(lambda: filled.reader.jobs(JobQuery(sort=sort, limit=3, cursor=cursor)))
    assert _sorts(plan) == []
    assert _scans(plan, "training_jobs") == []  # the total is counted in an index


FILTERS: dict[str, JobQuery] = {
    "status": JobQuery(status=(JobStatus.RUNNING,)),
    "user": JobQuery(user="ada"),
    "user, next page": JobQuery(user="ada", limit=3),
}


@pytest.mark.parametrize("query", FILTERS.values(), ids=FILTERS.keys())
def test_filters_that_are_used_often_have_an_index(filled: Store, plans: Plans, query: JobQuery) -> None:
    plan = plans.of(lambda: filled.reader.jobs(query))
    assert _scans(plan, "training_jobs") == []
    assert _sorts(plan) == []


def test_the_dispatcher_reads_active_jobs_alone(filled: Store, plans: Plans) -> None:
    ended = [EventFactory(row.state.id) for row in filled.reader.jobs(JobQuery()).jobs[2:]]
    filled.writer.commit([make.cancelled(at=NOW) for make in ended])
    with filled.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
    plan = plans.of(filled.reader.active)
    assert "ix_training_jobs_is_active" in plan


def test_open_orders_are_read_from_active_jobs_alone(filled: Store, plans: Plans) -> None:
    ended = [EventFactory(row.state.id) for row in filled.reader.jobs(JobQuery()).jobs[2:]]
    filled.writer.commit([make.cancelled(at=NOW) for make in ended])
    with filled.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
    plan = plans.of(lambda: filled.reader.open_orders("replicate"))
    assert "ix_training_jobs_is_active" in plan
    assert _scans(plan, f"training_jobs|{_LARGE}") == []


def test_the_writer_reads_no_table_whole(filled: Store, plans: Plans) -> None:
    make = filled.create("last")

    def write() -> None:
        arrivals = [Arrival(delivery=delivery(make, f"x {n}"), events=[told(make, n, "intended")]) for n in (1, 2)]
        filled.writer.commit([epoch_row(make, 1), log_lines(make, 1, "a")], arrivals)
        filled.writer.set_queue({job_id(make): QueuePlace(position=1)})
        filled.writer.delete(job_id(make))

    plan = plans.of(write)
    assert _scans(plan, f"training_jobs|{_LARGE}") == []
