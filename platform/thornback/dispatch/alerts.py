"""Notices failed jobs for which a rule holds: a line in the log and an event on the job."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NoReturn

from thornback.errors import ThornbackError
from thornback.jobs.alerts import Alert, Failure, find_alerts, history_needed
from thornback.jobs.events import EventFactory, EventKind
from thornback.log import get_logger
from thornback.metrics.port import Recorder
from thornback.settings import AlertRule

# Failures of a time in which nobody looked are made up for at the start, as far back as this.
MAKE_UP = timedelta(hours=24)

# Clocks of several machines differ a little.
_OVERLAP = timedelta(minutes=1)
_POLL_WAIT_S = 20.0
# Events of one page are looked at together, however many jobs fail at once.
_SETTLE_S = 0.2

log = get_logger("alerts")


class AlertWatch:
    """One per platform. Looking twice at the same failures does nothing."""

    def __init__(
        self,
        *,
        recorder: Recorder,
        failures: Callable[[datetime], Sequence[Failure]],
        rules: Iterable[AlertRule],
        now: Callable[[], datetime],
        retry_s: float = 2.0,
    ) -> None:
        """Nothing is read yet.

        Args:
            recorder: takes the events, and tells of failures.
            failures: reads those after a time from the database; it blocks.
            rules: of the settings.
            now: the clock.
            retry_s: the pause after a fault.
        """
        self._recorder = recorder
        self._failures = failures
        self._rules = tuple(rules)
        self._now = now
        self._retry_s = retry_s

    async def run(self) -> NoReturn:
        """Watch for ever."""
        while True:
            try:
                await self._follow()
            except ThornbackError as error:
                log.warning("cannot watch for failed jobs now", reason=error.message)
            except Exception:
                # Alerts are an extra: a fault in them must not end what runs beside them.
                log.exception("watching for failed jobs went wrong")
            await asyncio.sleep(self._retry_s)

    async def look(self, since: datetime) -> list[Alert]:
        """Tell of the alerts for failures after `since`; returns those that nobody had told of."""
        history = await asyncio.to_thread(self._failures, since - history_needed(self._rules))
        new = []
        for alert in find_alerts(self._rules, history):
            if alert.at > since and await self._tell(alert):
                new.append(alert)
        return new

    async def _follow(self) -> NoReturn:
        cursor = (await self._recorder.poll(-1, timeout_s=0.0)).cursor
        looked = self._now()
        await self.look(looked - MAKE_UP)
        while True:
            page = await self._recorder.poll(cursor, timeout_s=_POLL_WAIT_S)
            cursor = page.cursor
            failed = [event.at for event in page.events if event.kind is EventKind.FAILED]
            if failed or page.catch_up:
                # A failure has its provider's time, which may lie far back.
                since, looked = min([*failed, looked]), self._now()
                await self.look(since - _OVERLAP)
            await asyncio.sleep(_SETTLE_S)

    async def _tell(self, alert: Alert) -> bool:
        event = EventFactory(alert.job_id).alert(
            rule=alert.rule, message=alert.message, job_ids=list(alert.job_ids), at=alert.at
        )
        ack = await self._recorder.record([event])
        if ack.committed == 0:
            return False
        log.warning("alert", rule=alert.rule, message=alert.message, job_id=alert.job_id)
        return True
