"""One training at a provider, from its dataset to its weights in our storage."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from thornback.datasets.packing import Packed, pack
from thornback.errors import FetchFailed, InvalidInput, OutputGone, ProviderError, ThornbackError, Unavailable
from thornback.jobs.events import EventFactory, EventKind, JobEvent
from thornback.jobs.items import ItemState, ItemStatus
from thornback.jobs.lora import RemoteLoraConfig
from thornback.jobs.state import JobState
from thornback.jobs.status import FailureReason
from thornback.log import get_logger
from thornback.providers.entry import Trainer
from thornback.providers.port import Order, OrderPhase, Sighting
from thornback.remote import inbox
from thornback.remote.book import JOB, Book, JobOver
from thornback.remote.desk import Desk, told_wait_s
from thornback.remote.follow import Follower
from thornback.remote.imports import is_imported
from thornback.remote.interpret import ATTEMPT, NO_REASON, Via
from thornback.remote.journal import Journal
from thornback.remote.orders import Orders
from thornback.remote.weights import Stored, store_weights, wanted_of

log = get_logger("tracker")

# What of a journal's events shows that the provider moves; progress by time moves by itself.
_NEWS = (EventKind.LOG, EventKind.METRICS, EventKind.STAGE)

MAX_EVENTS = 2000  # of one call; the first sight of a long log brings many

ITEM = 1  # a training is the only item of its job


class Training:
    """Runs a training; begun anew after a crash, it goes on where the database says that it was."""

    def __init__(self, desk: Desk, orders: Orders, book: Book, journal: Journal) -> None:
        self._desk, self._orders, self._book, self._journal = desk, orders, book, journal
        self._make = EventFactory(book.job.id)
        self._config = RemoteLoraConfig.model_validate(book.job.spec["config"])
        self._trainer = trainer_of(desk, book.job)
        self._endpoint = str(self._fact("endpoint") or (self._trainer.endpoint if self._trainer else "unknown"))
        self._call = self._trainer.call if self._trainer else "training"
        self._follower = Follower(
            desk,
            book,
            ITEM,
            endpoint=self._endpoint,
            call=self._call,
            is_training=True,
            on_sighting=self._seen,
            is_ours=not is_imported(book.job.spec),
        )

    @classmethod
    async def open(cls, desk: Desk, orders: Orders, book: Book) -> Self:
        """Read what was taken down of its log. Raises StoreUnavailable."""
        return cls(desk, orders, book, await Journal.open(desk, book.job, trainer_of(desk, book.job)))

    async def run(self) -> None:
        """Until the job has ended, by us or by somebody else."""
        try:
            await self._run()
        except JobOver:
            await self._last_words()

    async def look(self, via: Via) -> None:
        """Look at the provider now. Raises ProviderUnavailable, ProviderRefused, OrderUnknown."""
        if self._is_sent() and not self._book.items[ITEM].status.is_over:
            await self._follower.look(via)

    async def read_inbox(self) -> None:
        """A webhook came: it may bring more of the log."""
        item = self._book.item(ITEM)
        if item is None or item.status.is_over:
            return
        sighting = await asyncio.to_thread(inbox.newest, self._desk.reader, item)
        if sighting is not None:
            self._book.hear(ITEM)
            await self._seen(sighting)

    async def _run(self) -> None:
        self._book.must_go_on()
        if not self._is_sent() and not await self._order():
            return
        item = await self._follower.end()
        self._book.must_go_on()
        if item.status in (ItemStatus.SUCCEEDED, ItemStatus.STORED):
            await self._succeed(item)
        elif item.status is ItemStatus.CANCELLED:
            await self._cancelled(item)
        else:
            await self._fail(FailureReason.PROVIDER_LOST, item.error or NO_REASON)

    def _fact(self, name: str) -> Any:
        return self._book.job.fact(name)

    def _is_sent(self) -> bool:
        item = self._book.item(ITEM)
        return item is not None and (item.provider_id is not None or item.status.is_over)

    async def _order(self) -> bool:
        """Prepare the order and bring it to the provider; False where the job has ended instead."""
        try:
            order = await self._prepare()
        except (InvalidInput, ProviderError) as error:
            refused = isinstance(error, ProviderError)
            reason = FailureReason.PROVIDER_REFUSED if refused else FailureReason.INVALID_DATA
            await self._fail(reason, error.message)
            return False
        if order is None:
            await self._book.record([self._make.cancelled(at=self._desk.now())])
            return False
        await self._tell_stage(OrderPhase.STARTING)
        reason_why = await self._orders.place(self._book, order, say=self._say, is_training=True)
        if reason_why is None:
            return True
        item = self._book.items[ITEM]
        await self._fail(reason_why, item.error or NO_REASON)
        return False

    async def _prepare(self) -> Order | None:
        """The order, the same after a crash; None where it was cancelled meanwhile."""
        if self._trainer is None:
            known = ", ".join(row.name for row in self._desk.catalogue.list() if row.provider == self._book.job.backend)
            raise InvalidInput.field("config.trainer", f"{self._config.trainer!r} is unknown; there are: {known}")
        dataset = self._fact("dataset_address") or await self._hand_over()
        if dataset is None:
            return None
        inputs = self._trainer.inputs_for(self._config, dataset)
        cost = self._trainer.estimate(self._config)
        await self._describe(
            1,
            provider=self._desk.provider.name,
            trainer=self._trainer.name,
            endpoint=self._endpoint,
            dataset_address=dataset,
            cost_estimate_usd=cost.usd,
            cost_estimate_basis=cost.basis,
        )
        return Order(
            job_id=self._book.job.id,
            item=ITEM,
            number=1,
            endpoint=self._endpoint,
            call=self._trainer.call,
            inputs=inputs,
            webhook_url=self._desk.webhook_url(self._book.job.id, ITEM, 1),
            destination=self._config.destination,
        )

    async def _hand_over(self) -> str | None:
        """The address of the dataset, uploaded where the provider cannot fetch it itself."""
        with tempfile.TemporaryDirectory(prefix="thornback-dataset-") as folder:
            packed = await asyncio.to_thread(self._pack, Path(folder))
            if packed.path is None:
                return packed.url
            await self._describe(0, dataset_size=packed.images, dataset_captions=packed.captions)
            faults = 0
            while not self._book.cancel_requested:
                self._book.must_go_on()
                try:
                    return await self._desk.provider.upload(packed.path, content_type="application/zip")
                except Unavailable as error:
                    faults += 1
                    wait_s = self._desk.backoff(faults, told_wait_s(error)).total_seconds()
                    await self._say(f"the dataset cannot be handed over: {error.message}; again in {wait_s:.0f} s")
                    await self._book.news(JOB, within_s=wait_s)
        return None

    def _pack(self, folder: Path) -> Packed:
        return pack(self._config, settings=self._desk.settings, reader=self._desk.reader, into=folder)

    async def _seen(self, sighting: Sighting) -> bool:
        """Take the log and the progress over; True where there was more of them."""
        events = self._journal.take(sighting, at=self._desk.now())
        for start in range(0, len(events), MAX_EVENTS):
            await self._desk.record(events[start : start + MAX_EVENTS])
        return any(event.kind in _NEWS for event in events)

    async def _succeed(self, item: ItemState) -> None:
        """Fetch the files, then end the job."""
        await self._desk.record(self._journal.saving(at=self._desk.now()))
        sighting = await self._last_look(item)
        if item.status is not ItemStatus.STORED:
            stored = await self._fetch(item, sighting)
            if stored is None:
                return
            await self._store(item, stored)
        await self._describe(2, **self._final_facts(sighting))
        ended = (sighting.completed_at if sighting else None) or item.ended_at or self._desk.now()
        summary = {"version": sighting.version} if sighting is not None and sighting.version else {}
        await self._book.record(
            [*self._journal.close(at=self._desk.now()), self._make.succeeded(ATTEMPT, at=ended, summary=summary)]
        )

    async def _last_look(self, item: ItemState) -> Sighting | None:
        """What the provider says now that it has ended; what its webhook said where it does not answer."""
        try:
            return await self._follower.look("poll")
        except ThornbackError as error:
            log.warning("the last look failed", job_id=item.job_id, error=error.message)
        sighting = await asyncio.to_thread(inbox.newest, self._desk.reader, item)
        if sighting is not None:
            await self._seen(sighting)
        return sighting

    async def _fetch(self, item: ItemState, sighting: Sighting | None) -> list[Stored] | None:
        """None where the job has ended without them."""
        since, faults = self._desk.now(), 0
        while True:
            output = sighting.output if sighting is not None else None
            wanted = wanted_of(output, (sighting.outputs if sighting else ()) or item.outputs, self._trainer)
            try:
                if not wanted.weights:
                    raise OutputGone(f"{item.provider} names no file of weights in its answer")
                return await store_weights(self._desk, item.job_id, wanted)
            except FetchFailed as error:
                return await self._without_files(item, sighting, error)
            except Unavailable as error:
                if self._desk.now() > since + timedelta(seconds=self._desk.pace.fetch_s):
                    return await self._without_files(item, sighting, error)
                faults += 1
                wait_s = self._desk.backoff(faults).total_seconds()
                await self._say(f"the weights cannot be fetched yet: {error.message}; again in {wait_s:.0f} s")
            await self._book.news(JOB, within_s=wait_s)
            self._book.must_go_on()
            sighting = await self._last_look(item) or sighting

    async def _without_files(
        self, item: ItemState, sighting: Sighting | None, error: ThornbackError
    ) -> list[Stored] | None:
        """A training that was taken over is complete without them; one of ours has failed."""
        if is_imported(self._book.job.spec):
            await self._say(f"the weights were not fetched: {error.message}")
            return []
        version = sighting.version if sighting is not None else None
        await self._describe(2, **self._final_facts(sighting))
        kept = f" The version {version} is kept at {item.provider}." if version else ""
        hint = "Order it again" if not version else "Fetch the weights from there"
        await self._fail(FailureReason.OUTPUT_LOST, f"{error.message}.{kept} {hint}.")
        return None

    async def _store(self, item: ItemState, stored: list[Stored]) -> None:
        now = self._desk.now()
        events = [
            self._make.artifact(
                ATTEMPT,
                name=entry.name,
                type=entry.type,
                uri=entry.file.uri,
                size_bytes=entry.file.size_bytes,
                sha256=entry.file.sha256,
                at=now,
            )
            for entry in stored
        ]
        if stored:
            weights = stored[0].file
            events.append(
                self._make.item(
                    ITEM,
                    order=item.order,
                    status="stored",
                    provider=item.provider,
                    provider_id=item.provider_id,
                    at=now,
                    uri=weights.uri,
                    content_type=weights.content_type,
                    size_bytes=weights.size_bytes,
                    sha256=weights.sha256,
                )
            )
        await self._book.record(events)

    def _final_facts(self, sighting: Sighting | None) -> dict[str, Any]:
        """What it took, and of ours what was asked for: providers do not all repeat it."""
        facts: dict[str, Any] = {}
        if not is_imported(self._book.job.spec):
            facts |= {"trigger_word": self._config.trigger_word, "captioning": self._config.captioning}
            facts["input_images_url"] = self._fact("dataset_address")
            facts["training_steps"] = self._trainer.steps(self._config) if self._trainer else self._config.steps
        if sighting is not None:
            facts |= {"predict_time": sighting.predict_time_s, "total_time": sighting.total_time_s}
            facts["provider_version"] = sighting.version
            cost = self._trainer.actual(sighting, self._config) if self._trainer else None
            facts |= {"cost_usd": cost.usd, "cost_basis": cost.basis} if cost is not None else {}
        return {name: value for name, value in facts.items() if value is not None}

    async def _cancelled(self, item: ItemState) -> None:
        if self._book.cancel_requested:
            await self._finish(self._make.cancelled(at=item.ended_at or self._desk.now()))
            return
        why = f"it was cancelled at {item.provider}{f': {item.error}' if item.error else ''}"
        if is_imported(self._book.job.spec):
            await self._finish(self._make.cancelled(at=item.ended_at or self._desk.now(), message=why))
        else:
            await self._fail(FailureReason.PROVIDER_CANCELLED, why)

    async def _fail(self, reason: FailureReason, message: str) -> None:
        await self._finish(self._make.failed(ATTEMPT, reason=reason, message=message, at=self._desk.now()))

    async def _finish(self, event: JobEvent) -> None:
        await self._book.record([*self._journal.close(at=self._desk.now()), event])

    async def _tell_stage(self, phase: OrderPhase) -> None:
        await self._desk.record(self._journal.stage(phase, at=self._desk.now()))

    async def _say(self, words: str | None) -> None:
        await self._desk.record(self._journal.say(words, at=self._desk.now()))

    async def _last_words(self) -> None:
        """A webhook has ended the job: the end of its log is in the inbox."""
        item = self._book.item(ITEM)
        sighting = None if item is None else await asyncio.to_thread(inbox.newest, self._desk.reader, item)
        if sighting is not None:
            await self._seen(sighting)
        await self._desk.record(self._journal.close(at=self._desk.now()))

    async def _describe(self, seq: int, **facts: Any) -> None:
        known: Mapping[str, Any] = {name: value for name, value in facts.items() if value is not None}
        make = EventFactory(self._book.job.id, voice="tracker")
        await self._book.record([make.described(ATTEMPT, known, seq=seq, at=self._desk.now())])


def trainer_of(desk: Desk, job: JobState) -> Trainer | None:
    """None for a training that was taken over, at a trainer that nobody here knows."""
    try:
        return desk.catalogue.trainer(job.backend, job.spec["config"].get("trainer"))
    except InvalidInput:
        return None
