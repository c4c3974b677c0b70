"""The checker: what was asked for and acknowledged, against what the database, the provider and the files say.

In Jepsen's words: everything acknowledged must be there, once, and nothing else. Each finding is a sentence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import sqlalchemy as sa

from tests.faults.plan import Fate, Planned
from tests.faults.user import Asked
from thornback.artifacts.files import locate
from thornback.artifacts.layout import images_uri, temp_root
from thornback.errors import JobNotFound
from thornback.jobs.state import JobState
from thornback.jobs.status import FailureReason, JobStatus
from thornback.settings import Settings
from thornback.simulator.orders import Order
from thornback.simulator.webhooks import Delivery
from thornback.store.page import JobQuery
from thornback.store.read import StoreReader

_FINALS = ("succeeded", "failed", "cancelled")


@dataclass
class Verdict:
    """What was looked at, and what is wrong, by kind."""

    jobs: int = 0
    rows: int = 0
    orders: int = 0
    deliveries: int = 0
    told: int = 0
    in_doubt: int = 0  # jobs that ended because fal cannot say whether it took an order: never paid twice
    wrong_ends: list[str] = field(default_factory=list)
    jobs_lost_or_doubled: list[str] = field(default_factory=list)
    rows_lost_or_doubled: list[str] = field(default_factory=list)
    orders_doubled: list[str] = field(default_factory=list)
    deliveries_lost: list[str] = field(default_factory=list)
    messages_lost: list[str] = field(default_factory=list)
    files_wrong: list[str] = field(default_factory=list)
    not_free: list[str] = field(default_factory=list)

    @property
    def findings(self) -> list[str]:
        """All of them."""
        return [f"{name}: {text}" for name, texts in vars(self).items() if isinstance(texts, list) for text in texts]


def check(
    asked: Collection[Asked],
    *,
    reader: StoreReader,
    settings: Settings,
    orders: Iterable[Order] = (),
    deliveries: Iterable[Delivery] = (),
) -> Verdict:
    """After a storm, when everything has come to rest."""
    verdict = Verdict(jobs=len(asked) + sum(one.retry_id is not None for one in asked))
    ordered = _by_job(orders)
    for one in asked:
        in_doubt = _is_in_doubt(one, reader)
        verdict.in_doubt += in_doubt
        verdict.wrong_ends += [] if in_doubt else _end(one.planned, one.job_id, one.too_late, reader)
        if one.retry_id is not None:
            verdict.wrong_ends += _retried(one, reader)
        verdict.rows_lost_or_doubled += _rows(one, reader, verdict)
        verdict.orders_doubled += _orders(one, ordered.get(one.job_id, []), verdict, in_doubt=in_doubt)
        verdict.files_wrong += _files(one, reader, settings)
    verdict.jobs_lost_or_doubled += _population(asked, reader)
    verdict.rows_lost_or_doubled += _doubled_rows(reader)
    verdict.deliveries_lost += _inbox(deliveries, reader, verdict)
    verdict.files_wrong += [f"temp/{file.path} is left" for file in locate(temp_root(settings.storage)).files()]
    return verdict


def _state(reader: StoreReader, job_id: str) -> JobState | None:
    try:
        return reader.job(job_id).state
    except JobNotFound:
        return None


def _is_in_doubt(one: Asked, reader: StoreReader) -> bool:
    """True where fal alone knows. Its list has no requests that wait, so none can be ruled out and sent again."""
    job = _state(reader, one.job_id)
    return (
        job is not None
        and (job.backend, job.failure) == ("fal", FailureReason.PROVIDER_LOST)
        and "may or may not have taken" in (job.error_message or "")
    )


def _end(planned: Planned, job_id: str, too_late: bool, reader: StoreReader) -> Iterator[str]:
    job = _state(reader, job_id)
    wanted = JobStatus.COMPLETED if too_late else planned.end
    if job is None or wanted is None:
        if not (job is None and wanted is None):
            yield f"{planned.name} ({job_id}) is {'gone' if job is None else job.status}, wanted {wanted or 'gone'}"
        return
    # What a provider had finished before the wish reached it is finished, and paid for.
    in_time = planned.orders and wanted is JobStatus.CANCELLED and job.status is JobStatus.COMPLETED
    if job.status is not wanted and not in_time:
        yield f"{planned.name} ({job_id}) is {job.status} ({job.failure}: {job.error_message}), wanted {wanted}"
    if planned.fate is Fate.RETRY and job.failure is not FailureReason.EXCEPTION:
        yield f"{planned.name} ({job_id}) failed with {job.failure}: {job.error_message}, and not with its exception"
    finals = [event.kind.value for event in reader.events(0, job_id=job_id, limit=1000) if event.kind.value in _FINALS]
    if not finals:
        yield f"{planned.name} ({job_id}) is {job.status} without an event that says so"


def _retried(one: Asked, reader: StoreReader) -> Iterator[str]:
    job = _state(reader, str(one.retry_id))
    if job is None or job.status is not JobStatus.COMPLETED:
        yield f"the retry of {one.planned.name} is {job and job.status}: {job and job.error_message}"
    if job is not None and job.retry_of != one.job_id:
        yield f"the retry of {one.planned.name} is one of {job.retry_of}"


def _rows(one: Asked, reader: StoreReader, verdict: Verdict) -> Iterator[str]:
    """Epochs of a training: each once, none left out, all of them where it came to its end."""
    ids = [id for id in (one.job_id, one.retry_id) if id is not None and one.planned.epochs]
    for id in ids:
        if _state(reader, id) is None:
            continue
        epochs = [row.epoch for row in reader.metrics(id, limit=10_000)]
        verdict.rows += len(epochs)
        whole = list(range(1, one.planned.epochs + 1))
        if epochs != (whole[: len(epochs)] if one.planned.cut_short else whole):
            yield f"{one.planned.name} ({id}) has the rows {epochs}"


def _orders(one: Asked, orders: list[Order], verdict: Verdict, *, in_doubt: bool) -> Iterator[str]:
    items = Counter(_query(order, "item") for order in orders)
    verdict.orders += len(orders)
    for item, count in items.items():
        if count > 1:
            yield f"item {item} of {one.planned.name} ({one.job_id}) was ordered {count} times"
    if not one.planned.cut_short and not in_doubt and len(items) != one.planned.orders:
        yield f"{one.planned.name} ({one.job_id}) has {len(items)} orders and not {one.planned.orders}"
    if one.planned.cut_short and not one.too_late:
        yield from (f"{order.id} of {one.planned.name} still runs" for order in orders if not order.is_final)


def _by_job(orders: Iterable[Order]) -> dict[str, list[Order]]:
    found: dict[str, list[Order]] = {}
    for order in orders:
        found.setdefault(_query(order, "job"), []).append(order)
    return found


def _query(order: Order, name: str) -> str:
    return parse_qs(urlsplit(order.webhook or "").query).get(name, [""])[0]


def _files(one: Asked, reader: StoreReader, settings: Settings) -> Iterator[str]:
    """What is deleted has no files; what is complete has its images, each whole."""
    job = _state(reader, one.job_id)
    if job is None:
        for uri in (settings.run_uri(one.job_id), images_uri(settings.storage, one.job_id)):
            if locate(uri).files():
                yield f"{one.planned.name} ({one.job_id}) is deleted and has files at {uri}"
    elif job.status is JobStatus.COMPLETED and job.kind == "image_set":
        found = len(locate(images_uri(settings.storage, job.id)).files())
        if found != one.planned.orders:
            yield f"{one.planned.name} ({job.id}) has {found} images and not {one.planned.orders}"


def _population(asked: Collection[Asked], reader: StoreReader) -> Iterator[str]:
    """Of acknowledged jobs none is missing, and there is no other."""
    wanted = {one.job_id for one in asked if one.planned.end is not None or one.too_late}
    wanted |= {one.retry_id for one in asked if one.retry_id is not None}
    found: set[str] = set()
    cursor: str | None = None
    while True:
        page = reader.jobs(JobQuery(limit=500, cursor=cursor))
        found |= {row.state.id for row in page.jobs}
        cursor = page.next_cursor
        if cursor is None:
            break
    yield from (f"{id} was acknowledged and is not there" for id in wanted - found)
    yield from (f"{id} is there and nobody asked for it" for id in found - wanted)


def _doubled_rows(reader: StoreReader) -> Iterator[str]:
    """By what a row is about; the keys of the table would not see it."""
    doubled = sa.text(
        "SELECT training_job_id, epoch, batch, phase, count(*) FROM training_metrics "
        "GROUP BY training_job_id, epoch, batch, phase HAVING count(*) > 1"
    )
    with reader.engine.connect() as connection:
        for job_id, epoch, batch, phase, count in connection.execute(doubled):
            yield f"epoch {epoch}, batch {batch}, phase {phase} of {job_id} has {count} rows"


def _inbox(deliveries: Iterable[Delivery], reader: StoreReader, verdict: Verdict) -> Iterator[str]:
    """Whatever was answered with 2xx is in the inbox. fal's webhooks have no id but that of their order."""
    accepted = {(delivery.id, delivery.order_id) for delivery in deliveries if delivery.accepted}
    verdict.deliveries = len(accepted)
    query = sa.text("SELECT delivery_id, provider_id FROM webhook_deliveries")
    with reader.engine.connect() as connection:
        rows = connection.execute(query).all()
    doubled = [id for id, count in Counter(row.delivery_id for row in rows).items() if count > 1]
    yield from (f"delivery {id} is there twice" for id in doubled)
    ids, orders = {row.delivery_id for row in rows}, {row.provider_id for row in rows}
    for id, order in accepted:
        if (order if id.startswith("evt_") else id) not in (orders if id.startswith("evt_") else ids):
            yield f"delivery {id} of order {order} was accepted and is not there"
