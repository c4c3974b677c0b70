"""Reads the committed event log and puts into the outbox what is to be told, each event once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import NoReturn

from thornback.errors import ThornbackError
from thornback.jobs.events import EventKind
from thornback.jobs.state import JobState
from thornback.jobs.subscriptions import TOLD_OF, NewMessage, Told
from thornback.jobs.webhook_changes import Enqueue
from thornback.log import get_logger
from thornback.metrics.port import Recorder
from thornback.notify.directory import Directory
from thornback.notify.envelope import job_message
from thornback.notify.match import wants
from thornback.notify.throttle import ProgressThrottle
from thornback.store.webhooks import Happening, WebhookReader

PAGE = 500  # events that are read at once
_POLL_WAIT_S = 20.0
_SETTLE_S = 0.05  # events of one moment are read together
_RETRY_S = 1.0

# How far the log was read without anything to tell is written down now and then: a restart reads no more than this.
KEEP_EVENTS = 5000
KEEP_EVERY = timedelta(minutes=1)

_RELIABLE = tuple(kind for kind, told in TOLD_OF.items() if not told.is_best_effort)

log = get_logger("notify")


class Collector:
    """One per platform. Where a second one runs by accident, each event is still told once."""

    def __init__(
        self,
        *,
        recorder: Recorder,
        reader: WebhookReader,
        directory: Directory,
        throttle: ProgressThrottle,
        now: Callable[[], datetime],
        base: str,
        wake: Callable[[], None],
    ) -> None:
        """Nothing is read yet.

        Args:
            recorder: takes the messages, and says when something has happened.
            reader: of the log.
            directory: of the webhooks; brought up to date here.
            throttle: is told what is new of progress.
            now: the clock.
            base: where the API is, "" where that is not known.
            wake: called when there is something to send.
        """
        self._recorder, self._reader, self._directory, self._throttle = recorder, reader, directory, throttle
        self._now, self._base, self._wake = now, base, wake
        self._kept: int | None = None  # the cursor as the database has it
        self._kept_at: datetime | None = None
        self._position: int | None = None  # how far we have read

    @property
    def position(self) -> int:
        """The last event that was read, 0 before the first look."""
        return self._position or 0

    async def follow(self) -> NoReturn:
        """Read for ever."""
        while True:
            try:
                while await self.look():
                    pass
                await self._recorder.poll(self.position, timeout_s=_POLL_WAIT_S, limit=1)
                await asyncio.sleep(_SETTLE_S)
            except ThornbackError as error:
                log.warning("cannot look for what is to be told now", reason=error.message)
                await asyncio.sleep(_RETRY_S)

    async def look(self) -> bool:
        """Read on; True where there may be more."""
        if self._position is None:
            await asyncio.to_thread(self._begin)
        kinds = {*_RELIABLE, *self._progress_kinds()}
        after = self.position
        events, cursor = await asyncio.to_thread(self._reader.happened, after, kinds, limit=PAGE)
        messages: tuple[NewMessage, ...] = ()
        if events:
            # After the events, so that whoever subscribed before them is there.
            await asyncio.to_thread(self._refresh)
            states = await asyncio.to_thread(self._reader.jobs, list(_jobs_of(events)))
            messages = tuple(self._messages(events, states))
        if messages or self._is_to_be_kept(cursor):
            await self._keep(messages, cursor)
        else:
            self._position = cursor
        if events:
            self._wake()
        return len(events) == PAGE

    def _begin(self) -> None:
        self._refresh()
        self._kept = self._reader.cursor()
        firsts = [webhook.from_event for webhook in self._directory]
        self._position = min(firsts, default=self._reader.newest_event()) if self._kept is None else self._kept

    def _refresh(self) -> None:
        self._directory.refresh()
        self._directory.refresh_sights()

    def _progress_kinds(self) -> Iterable[EventKind]:
        if any(webhook.is_enabled and Told.PROGRESS in webhook.events for webhook in self._directory):
            return [kind for kind, told in TOLD_OF.items() if told.is_best_effort]
        return ()

    def _messages(self, events: Iterable[Happening], states: Mapping[str, JobState]) -> Iterable[NewMessage]:
        watchers = list(self._directory.watchers())
        for event in events:
            job = states.get(event.job_id)
            if job is None:
                continue  # deleted
            told = TOLD_OF[event.kind]
            for webhook, sight in watchers:
                if not wants(webhook, told, job, event_id=event.id, sight=sight):
                    continue
                if sight is not None and not all(
                    sight.sees(owner=other.user, team=other.team) for other in _named(event, states)
                ):
                    continue  # its words name jobs of others
                if told.is_best_effort:
                    self._throttle.mark((webhook.id, job.id))
                else:
                    yield job_message(
                        webhook, job, event=event.id, kind=event.kind, data=event.data, at=self._now(), base=self._base
                    )
        self._throttle.forget(job.id for job in states.values() if job.final is not None)

    def _is_to_be_kept(self, cursor: int) -> bool:
        if cursor == self._kept:
            return False
        if self._kept is None or self._kept_at is None or cursor - self._kept >= KEEP_EVENTS:
            return True
        return self._now() - self._kept_at >= KEEP_EVERY

    async def _keep(self, messages: tuple[NewMessage, ...], cursor: int) -> None:
        change = Enqueue(messages=messages, after=self._kept, cursor=cursor)
        if await self._recorder.administer(change):
            self._kept, self._kept_at, self._position = cursor, self._now(), cursor
        else:
            # Somebody else has read on, or we have and the answer was lost.
            self._kept = self._position = await asyncio.to_thread(self._reader.cursor)


def _jobs_of(events: Iterable[Happening]) -> set[str]:
    return {id for event in events for id in (event.job_id, *event.data.get("job_ids", ()))}


def _named(event: Happening, states: Mapping[str, JobState]) -> list[JobState]:
    """The other jobs that an alert tells of."""
    return [states[id] for id in event.data.get("job_ids", ()) if id in states]
