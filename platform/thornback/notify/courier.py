"""Sends what waits in the outbox: due messages in turn, a few at once for each receiver, results in groups."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NoReturn

from thornback.errors import ThornbackError
from thornback.jobs.events import EventKind
from thornback.jobs.subscriptions import Message, MessageState, NewMessage, Target, Try, Webhook
from thornback.jobs.webhook_changes import Settle, Settled, Standing
from thornback.log import get_logger
from thornback.metrics.port import Recorder
from thornback.notify.answer import Answer, Verdict
from thornback.notify.clock import TICK_S, Clock
from thornback.notify.directory import Directory
from thornback.notify.envelope import job_message
from thornback.notify.lanes import Lanes, Limits
from thornback.notify.notices import notices_of
from thornback.notify.schedule import next_attempt
from thornback.notify.standing import after_answer, is_troubled, standing_of
from thornback.notify.targets import Send
from thornback.notify.throttle import ProgressThrottle
from thornback.store.webhooks import WebhookReader
from thornback.telemetry import catalogue

PAGE = 32  # messages of one webhook that are read at once
_RETRY_S = 0.5

log = get_logger("notify")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the operator has set."""

    limits: Limits = field(default_factory=Limits)
    disable_after: timedelta = timedelta(days=5)
    has_mail: bool = False
    base: str = ""  # where the API is


@dataclass(frozen=True, slots=True)
class _Sending:
    """Something in a lane; `id` None: progress, of which no record is kept."""

    id: int | None
    failures: int
    message: Message | NewMessage


class Courier:
    """One per platform. All of it runs on one event loop."""

    def __init__(
        self,
        *,
        recorder: Recorder,
        reader: WebhookReader,
        directory: Directory,
        throttle: ProgressThrottle,
        targets: Mapping[Target, Send],
        clock: Clock,
        policy: Policy,
        chance: random.Random,
    ) -> None:
        self._recorder, self._reader, self._directory, self._throttle = recorder, reader, directory, throttle
        self._targets, self._clock, self._policy, self._chance = targets, clock, policy, chance
        self._lanes: Lanes[_Sending] = Lanes(policy.limits)
        self._standing: dict[str, Standing] = {}
        self._busy: set[int] = set()  # messages in lanes, on their way, or whose result is not committed
        self._tasks: set[asyncio.Task[None]] = set()
        self._results: list[Settled] = []
        self._told: dict[str, Standing] = {}  # that are to be committed
        self._notices: list[NewMessage] = []
        self._wake, self._has_results = asyncio.Event(), asyncio.Event()
        self._is_settling = False
        self._look = True  # at all webhooks, and not only at those that had more than a page
        self._looked_at = 0.0
        self._more: set[str] = set()
        self.taken = self.failed = 0

    @property
    def running(self) -> int:
        """Attempts on their way."""
        return self._lanes.running

    @property
    def _is_working(self) -> bool:
        """True while attempts are on their way or their results are not committed."""
        return self.running > 0 or self._is_settling or self._has_results.is_set()

    def wake(self) -> None:
        """There is something new in the outbox: look soon."""
        self._look = True
        self._wake.set()

    async def run(self) -> NoReturn:
        """Send for ever."""
        settling = asyncio.create_task(self._settle())
        try:
            while True:
                try:
                    until = await self.step()
                except ThornbackError as error:
                    log.warning("cannot look for what is due now", reason=error.message)
                    await asyncio.sleep(_RETRY_S)
                else:
                    await self._clock.rest(self._wake, until, busy=self._is_working)
                    self._look |= time.monotonic() - self._looked_at >= TICK_S or not self._is_working
                if settling.done():
                    settling.result()  # it never ends but by a fault
        finally:
            settling.cancel()

    async def step(self) -> datetime | None:
        """Begin what may begin; when there is more to do, None where that is not known."""
        if self._look:
            self._look, self._looked_at = False, time.monotonic()
            await asyncio.to_thread(self._directory.refresh)
            self._review()
            await self._fetch([webhook.id for webhook in self._directory])
        elif self._more:
            await self._fetch(self._more)
        await self._fetch_progress()
        now = self._clock.now()
        while (taken := self._lanes.take(now)) is not None:
            task = asyncio.create_task(self._attempt(*taken))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await self._next()

    def _review(self) -> None:
        """Bring the standings to what people have changed."""
        present = {webhook.id for webhook in self._directory}
        self._standing = {id: standing for id, standing in self._standing.items() if id in present}
        for webhook in self._directory:
            known = self._standing.get(webhook.id)
            if known is None or (known.disable is not None and webhook.is_enabled and webhook.id not in self._told):
                self._standing[webhook.id] = standing_of(webhook)

    async def _fetch(self, ids: Iterable[str]) -> None:
        """Read a page of what is due for those of the webhooks for which nothing waits in memory."""
        idle = [id for id in ids if self._lanes.is_idle(id)]
        self._more.difference_update(idle)
        busy = frozenset(self._busy)  # some may be settled while we read what was before
        for id, page in (await asyncio.to_thread(self._due, idle, self._clock.now())).items():
            if len(page) == PAGE:
                self._more.add(id)
            for message in page:
                if message.id not in busy and id in self._standing:
                    self._busy.add(message.id)
                    self._put(id, _Sending(message.id, message.failures, message))

    def _due(self, ids: Iterable[str], now: datetime) -> dict[str, list[Message]]:
        return {id: self._reader.due(id, now, limit=PAGE) for id in ids}

    async def _fetch_progress(self) -> None:
        """The newest of each job; where the receiver is busy, later, and where it is in trouble, not at all."""
        now = self._clock.now()
        keys = [(id, job_id) for id, job_id in self._throttle.due(now) if self._may_hear(id, now)]
        late = [key for key in keys if not self._lanes.is_idle(key[0])]
        for key in late:
            self._throttle.mark(key)
        wanted = [key for key in keys if key not in set(late)]
        if not wanted:
            return
        jobs = await asyncio.to_thread(self._reader.jobs, list({job_id for _, job_id in wanted}))
        sequence = await asyncio.to_thread(self._reader.newest_event)
        for id, job_id in wanted:
            webhook, job = self._directory.get(id), jobs.get(job_id)
            if webhook is not None and job is not None and job.final is None:
                message = job_message(
                    webhook, job, event=sequence, kind=EventKind.PROGRESS, data={}, at=now, base=self._policy.base
                )
                self._put(id, _Sending(None, 0, message))

    def _may_hear(self, id: str, now: datetime) -> bool:
        standing = self._standing.get(id)
        if standing is None or standing.disable is not None or is_troubled(standing):
            return False
        return standing.held_until is None or now >= standing.held_until

    def _put(self, id: str, item: _Sending) -> None:
        self._lanes.put(id, item)
        self._mark(id)

    def _mark(self, id: str) -> None:
        standing = self._standing[id]
        self._lanes.mark(id, is_troubled=is_troubled(standing), held_until=standing.held_until)

    async def _attempt(self, lane: str, item: _Sending, ticket: bool) -> None:
        webhook = self._directory.get(lane)
        message = item.message
        try:
            if webhook is None or not (webhook.is_enabled or message.address):
                self._drop(item)
                return
            began = time.perf_counter()
            answer = await self._send(webhook, message)
            took_s = time.perf_counter() - began
            catalogue.WEBHOOK_SEND.observe(took_s, target=_target(webhook, message).value)
            self._account(webhook, item, answer, ms=took_s * 1000.0)
        finally:
            self._lanes.done(lane, ticket=ticket)
            self._wake.set()

    async def _send(self, webhook: Webhook, message: Message | NewMessage) -> Answer:
        target = _target(webhook, message)
        address = message.address or webhook.address
        try:
            return await self._targets[target](webhook, address, message.event_id, message.body, self._clock.now())
        except Exception as error:
            # A fault of ours with one message must not stop those to everybody else; it is seen in the log.
            log.exception("sending went wrong", webhook=webhook.id, message_id=message.event_id)
            return Answer(verdict=Verdict.AGAIN, problem=f"could not be sent: {type(error).__name__}")

    def _account(self, webhook: Webhook, item: _Sending, answer: Answer, *, ms: float) -> None:
        now = self._clock.now()
        is_taken = answer.verdict is Verdict.TAKEN
        self.taken, self.failed = self.taken + is_taken, self.failed + (not is_taken)
        if not item.message.address:  # a notice by e-mail says nothing of the webhook itself
            self._stand(webhook, answer, now)
        if item.id is None:
            return
        due, failures = None, item.failures
        if not is_taken:
            failures += 1
            if answer.verdict is Verdict.AGAIN:
                chance = self._chance.random()
                due = next_attempt(failures, now, chance=chance, not_before=answer.hold_until)
        state = MessageState.DELIVERED if is_taken else MessageState.WAITING if due else MessageState.DEAD
        outcome = "again" if state is MessageState.WAITING else state.value
        catalogue.WEBHOOKS_OUT.add(target=_target(webhook, item.message).value, outcome=outcome)
        attempt = Try(at=now, status=answer.status, problem=answer.problem, ms=ms)
        self._results.append(Settled(message_id=item.id, state=state, due_at=due, failures=failures, attempt=attempt))
        self._has_results.set()

    def _stand(self, webhook: Webhook, answer: Answer, now: datetime) -> None:
        before = self._standing[webhook.id] if webhook.id in self._standing else standing_of(webhook)
        if before.disable is not None:
            return
        after = after_answer(before, answer, now, disable_after=self._policy.disable_after)
        self._standing[webhook.id] = self._told[webhook.id] = after
        self._mark(webhook.id)
        self._has_results.set()
        if after.disable is not None:
            log.warning("webhook disabled", webhook=webhook.id, user=webhook.user, reason=after.disable)
            self._drop_lane(webhook.id)
            self._notices += notices_of(webhook, after.disable, self._directory, now, has_mail=self._policy.has_mail)

    def _drop(self, item: _Sending) -> None:
        if item.id is not None:
            self._busy.discard(item.id)

    def _drop_lane(self, id: str) -> None:
        for item in self._lanes.clear(id):
            self._drop(item)

    async def _settle(self) -> NoReturn:
        """Commit results, those of one commit's time together."""
        while True:
            await self._has_results.wait()
            self._has_results.clear()
            self._is_settling = True
            settled, told, notices = self._results, self._told, self._notices
            self._results, self._told, self._notices = [], {}, []
            change = Settle(settled=tuple(settled), standings=tuple(told.values()), notices=tuple(notices))
            while True:
                try:
                    await self._recorder.administer(change)
                    break
                except ThornbackError as error:
                    log.warning("cannot keep what was sent now", reason=error.message)
                    await asyncio.sleep(_RETRY_S)
            self._busy.difference_update(one.message_id for one in settled)
            self._is_settling = False
            self._wake.set()

    async def _next(self) -> datetime | None:
        """When the first message may be sent, or progress; None where that depends on what is on its way."""
        now = self._clock.now()
        if self._is_working:
            return None
        found = await asyncio.to_thread(self._reader.next_due)
        holds = {id: standing.held_until for id, standing in self._standing.items()}
        times = [max(due, holds.get(id) or due) for id, due in found.items()]
        progress = self._throttle.next_due(now)
        return min([*times, *([progress] if progress else [])], default=None)


def _target(webhook: Webhook, message: Message | NewMessage) -> Target:
    return Target.EMAIL if message.address else webhook.target
