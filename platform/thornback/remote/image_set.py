"""A set of images at a provider: every order sent at once, every picture stored as it comes."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from thornback.artifacts.fetch import Fetched, fetch
from thornback.artifacts.files import locate
from thornback.artifacts.layout import image_name, image_uri
from thornback.datasets import pictures
from thornback.errors import DataError, FetchFailed, InvalidInput, OutputGone, Unavailable
from thornback.jobs.events import EventFactory, JobEvent
from thornback.jobs.image_set import ImageSetConfig
from thornback.jobs.items import ItemState, ItemStatus
from thornback.jobs.prompts import expand
from thornback.jobs.status import FailureReason
from thornback.log import get_logger
from thornback.providers.entry import ImageModel
from thornback.providers.port import Order, OrderPhase, Sighting
from thornback.remote.book import Book, JobOver
from thornback.remote.desk import Desk
from thornback.remote.follow import Follower
from thornback.remote.interpret import ATTEMPT, NO_REASON, Via
from thornback.remote.journal import Journal
from thornback.remote.orders import Orders

log = get_logger("tracker")

MAX_SEED = 2**31
_ACCEPT = frozenset({"image/"})
SAY_AGAIN = timedelta(seconds=10)
_LOST = (ItemStatus.FAILED, ItemStatus.CANCELLED)
_CONVERSIONS = 2  # at once: each holds a whole picture, unpacked


class ImageSet:
    """Runs a set; begun anew after a crash, it goes on where the database says that it was."""

    def __init__(self, desk: Desk, orders: Orders, book: Book, journal: Journal) -> None:
        self._desk, self._orders, self._book, self._journal = desk, orders, book, journal
        self._make = EventFactory(book.job.id)
        self._config = ImageSetConfig.model_validate(book.job.spec["config"])
        self._converting = asyncio.Semaphore(_CONVERSIONS)
        self._followers: dict[int, Follower] = {}
        self._hopeless: set[int] = set()  # images that no further order would bring
        self._unusable: dict[tuple[int, int], str] = {}  # orders that succeeded for nothing, and why
        self._said_at: datetime | None = None

    @classmethod
    async def open(cls, desk: Desk, orders: Orders, book: Book) -> Self:
        """Raises StoreUnavailable."""
        return cls(desk, orders, book, await Journal.open(desk, book.job, None))

    async def run(self) -> None:
        """Until the job has ended, by us or by somebody else."""
        try:
            await self._run()
        except* JobOver:
            log.info("an image set was ended by somebody else", job_id=self._book.job.id)

    async def look(self, via: Via) -> None:
        """Look at every order that has not ended. Raises ProviderUnavailable, ProviderRefused, OrderUnknown."""
        open_items = [item for item in self._book.items.values() if not item.status.is_over and item.provider_id]
        await asyncio.gather(
            *(self._followers[item.item].look(via) for item in open_items if item.item in self._followers)
        )

    async def read_inbox(self) -> None:
        """Images print no log that anybody follows."""

    async def _run(self) -> None:
        self._book.must_go_on()
        try:
            model = self._desk.catalogue.image_model(self._book.job.backend, self._config.model)
            prompts = expand(self._config)
            for number, prompt in enumerate(prompts, start=1):
                model.inputs_for(self._config, prompt, self._seed(model, number, 1))
        except InvalidInput as error:
            await self._fail(FailureReason.INVALID_DATA, error.message)
            return
        if self._book.cancel_requested and not self._book.items:
            await self._finish(self._make.cancelled(at=self._desk.now()))
            return
        await self._begin(model)
        async with asyncio.TaskGroup() as tasks:
            for number, prompt in enumerate(prompts, start=1):
                tasks.create_task(self._image(model, number, prompt), name=f"image {number} of {self._book.job.id}")
        self._book.must_go_on()
        await self._conclude()

    async def _begin(self, model: ImageModel) -> None:
        cost = model.estimate(self._config)
        facts = {
            "provider": self._desk.provider.name,
            "trainer": model.name,
            "endpoint": model.endpoint,
            "images_total": self._config.total,
            "cost_estimate_usd": cost.usd,
            "cost_estimate_basis": cost.basis,
        }
        make = EventFactory(self._book.job.id, voice="tracker")
        now = self._desk.now()
        started = self._make.started(ATTEMPT, at=now)
        await self._book.record([started, make.described(ATTEMPT, facts, seq=0, at=now)])

    async def _image(self, model: ImageModel, number: int, prompt: str) -> None:
        """One image, with as many orders as it may take."""
        while (order := self._next_order(model, number, prompt)) is not None:
            refusal = None
            if not self._is_there(order):
                refusal = await self._orders.place(self._book, order, say=self._say, is_training=False)
            item = self._book.items[number]
            if item.provider_id is not None and not item.status.is_over:
                item = await self._follower(order).end()
            if item.status is ItemStatus.SUCCEEDED:
                await self._store(item)
            elif refusal is FailureReason.PROVIDER_REFUSED or refusal is FailureReason.INVALID_DATA:
                self._hopeless.add(number)  # the same words would be refused again
            await self._tell_progress()
            if self._next_order(model, number, prompt) is not None:
                await self._book.news(number, within_s=self._desk.backoff(order.number).total_seconds())

    def _next_order(self, model: ImageModel, number: int, prompt: str) -> Order | None:
        """The order that an image is at, or its next; None where there is nothing left to do."""
        item = self._book.item(number)
        if item is None:
            return None if self._book.cancel_requested else self._order(model, number, prompt, 1)
        if item.status is ItemStatus.STORED:
            return None
        if (number, item.order) not in self._unusable and item.status not in _LOST:
            return self._order(model, number, prompt, item.order)
        if self._book.cancel_requested or number in self._hopeless or item.order >= self._config.max_tries:
            return None
        return self._order(model, number, prompt, item.order + 1)

    def _is_there(self, order: Order) -> bool:
        """True where the provider has the order already, or had it."""
        item = self._book.item(order.item)
        if item is None or item.order < order.number:
            return False
        return item.provider_id is not None or item.status.is_over

    def _order(self, model: ImageModel, number: int, prompt: str, order: int) -> Order:
        """The same after a crash."""
        return Order(
            job_id=self._book.job.id,
            item=number,
            number=order,
            endpoint=model.endpoint,
            call=model.call,
            inputs=model.inputs_for(self._config, prompt, self._seed(model, number, order)),
            webhook_url=self._desk.webhook_url(self._book.job.id, number, order),
        )

    def _follower(self, order: Order) -> Follower:
        follower = Follower(
            self._desk, self._book, order.item, endpoint=order.endpoint, call=order.call, is_training=False
        )
        self._followers[order.item] = follower
        return follower

    async def _store(self, item: ItemState) -> None:
        """Take the picture into the storage; where that cannot be, the order was for nothing."""
        uri = image_uri(self._desk.settings.storage, item.job_id, self._config.character, item.item)
        try:
            file = await self._fetch(item, uri)
        except (FetchFailed, DataError, Unavailable) as error:
            name = image_name(self._config.character, item.item)
            await self._say(f"{name}: {error.message}")
            self._unusable[item.item, item.order] = error.message
            return
        event = self._make.item(
            item.item,
            order=item.order,
            status="stored",
            provider=item.provider,
            provider_id=item.provider_id,
            at=self._desk.now(),
            uri=file.uri,
            content_type=file.content_type,
            size_bytes=file.size_bytes,
            sha256=file.sha256,
        )
        await self._book.record([event])

    async def _fetch(self, item: ItemState, uri: str) -> Fetched:
        """Raises FetchFailed, DataError; Unavailable where it did not work for a long time."""
        since, faults = self._desk.now(), 0
        while True:
            try:
                return await self._fetch_once(item, uri)
            except Unavailable:
                faults += 1
                if self._desk.now() > since + timedelta(seconds=self._desk.pace.fetch_s):
                    raise
                await self._book.news(item.item, within_s=self._desk.backoff(faults).total_seconds())
                self._book.must_go_on()

    async def _fetch_once(self, item: ItemState, uri: str) -> Fetched:
        url = await self._address_of(item)
        headers = self._desk.provider.download_headers(url)
        with tempfile.TemporaryDirectory(prefix="thornback-image-") as folder:
            raw = Path(folder) / "image"
            await fetch(
                url,
                str(raw),
                headers=headers,
                max_bytes=pictures.MAX_FILE_BYTES,
                accept=_ACCEPT,
                client=self._desk.http,
                rules=self._desk.rules,
            )
            async with self._converting:
                content = await asyncio.to_thread(_publish, raw, uri)
        digest = hashlib.sha256(content).hexdigest()
        return Fetched(uri=uri, size_bytes=len(content), sha256=digest, content_type="image/jpeg")

    async def _address_of(self, item: ItemState) -> str:
        """A webhook may come without its output, and then the provider is asked."""
        if item.outputs:
            return item.outputs[0]
        follower = self._followers.get(item.item) or self._follower(await self._placed(item))
        sighting = await follower.look("poll")
        if not sighting.outputs:
            raise OutputGone(f"{item.provider} names no picture in its answer")
        return sighting.outputs[0]

    async def _placed(self, item: ItemState) -> Order:
        model = self._desk.catalogue.image_model(self._book.job.backend, self._config.model)
        return self._order(model, item.item, expand(self._config)[item.item - 1], item.order)

    def _seed(self, model: ImageModel, number: int, order: int) -> int | None:
        """The user's, counted up; otherwise one of our own, so that no two orders are equal to the provider.

        An order whose answer was lost can be found again only where it differs from all others.
        """
        if self._config.seed is not None:
            return self._config.seed + number - 1
        if "seed" not in model.fields or model.fields["seed"] in self._config.inputs:
            return None
        digest = hashlib.sha256(f"{self._book.job.id}:{number}:{order}".encode()).digest()
        return int.from_bytes(digest[:4], "big") % MAX_SEED

    async def _tell_progress(self) -> None:
        counts = self._counts()
        seq = counts["images_done"] * (self._config.total + 1) + counts["images_failed"] + 1
        now = self._desk.now()
        make = EventFactory(self._book.job.id, voice="tracker")
        percent = 100.0 * counts["images_done"] / self._config.total
        events = [make.described(ATTEMPT, counts, seq=seq, at=now)]
        events.append(
            make.progress(ATTEMPT, seq=seq, percent=percent, epoch=0, total_epochs=0, eta_seconds=None, at=now)
        )
        await self._desk.record(events)

    def _counts(self) -> dict[str, Any]:
        """`success_rate` is the share of the images whose fate is known."""
        done = sum(item.status is ItemStatus.STORED for item in self._book.items.values())
        failed = sum(self._is_lost(item) for item in self._book.items.values())
        rate = round(done / (done + failed), 4) if done + failed else None
        return {"images_done": done, "images_failed": failed, "success_rate": rate}

    def _is_lost(self, item: ItemState) -> bool:
        """True where no further order is to come."""
        if item.status not in _LOST and (item.item, item.order) not in self._unusable:
            return False
        return item.order >= self._config.max_tries or item.item in self._hopeless or self._book.cancel_requested

    async def _conclude(self) -> None:
        counts = self._counts()
        done, total = counts["images_done"], self._config.total
        now = self._desk.now()
        if self._book.cancel_requested and done < total:
            await self._finish(self._make.cancelled(at=now, message=f"cancelled with {done} of {total} images"))
            return
        problem = self._commonest_problem()
        if done == 0:
            await self._fail(self._why_none(), problem)
            return
        summary = {**counts, "images_total": total, "cost_usd": self._cost()}
        if done < total:
            summary["reason"] = f"{total - done} of {total} images could not be made: {problem}"
            await self._say(summary["reason"])
        make = EventFactory(self._book.job.id, voice="tracker")
        facts = {name: value for name, value in summary.items() if value is not None}
        described = make.described(ATTEMPT, facts, seq=MAX_SEED, at=now)
        await self._book.record([described, self._make.succeeded(ATTEMPT, at=now, summary=summary)])

    def _commonest_problem(self) -> str:
        errors = [self._unusable.get((item.item, item.order)) or item.error for item in self._book.items.values()]
        told = Counter(error for error in errors if error)
        return told.most_common(1)[0][0] if told else NO_REASON

    def _why_none(self) -> FailureReason:
        if self._hopeless:
            return FailureReason.PROVIDER_REFUSED
        return FailureReason.OUTPUT_LOST if self._unusable else FailureReason.PROVIDER_FAILED

    def _cost(self) -> float | None:
        """What the pictures cost that came; None where the price is by time, which nobody added up."""
        model = self._desk.catalogue.image_model(self._book.job.backend, self._config.model)
        if model.price.per == "second":
            return None
        came = [item for item in self._book.items.values() if item.status is ItemStatus.STORED]
        costs = [model.actual(_sighting_of(item), self._config) for item in came]
        return round(sum(cost.usd for cost in costs if cost is not None), 6)

    async def _say(self, words: str | None) -> None:
        """Many orders wait for the same thing: it is said once in a while."""
        now = self._desk.now()
        if words is None or (self._said_at is not None and now < self._said_at + SAY_AGAIN):
            return
        self._said_at = now
        await self._desk.record(self._journal.say(words, at=now))

    async def _fail(self, reason: FailureReason, message: str) -> None:
        await self._finish(self._make.failed(ATTEMPT, reason=reason, message=message, at=self._desk.now()))

    async def _finish(self, event: JobEvent) -> None:
        await self._book.record([event])


def _publish(raw: Path, uri: str) -> bytes:
    content = pictures.to_jpeg(raw.read_bytes()).content
    locate(uri).write_bytes(content)
    return content


def _sighting_of(item: ItemState) -> Sighting:
    return Sighting(
        provider=item.provider,
        provider_id=item.provider_id or "",
        phase=OrderPhase.SUCCEEDED,
        status="succeeded",
        outputs=item.outputs[:1],
    )
