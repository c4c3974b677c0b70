"""The calls that wait for the writer, and how they are answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from thornback.errors import InvalidInput, ThornbackError
from thornback.jobs.events import EventKind, JobEvent
from thornback.metrics.port import Ack, Receipt, Speaker, StreamEvent

if TYPE_CHECKING:
    from thornback.store.write import Arrival, Committed

# Characters of a webhook's body that are as much work as one event.
BODY_OF_AN_EVENT = 1000


@dataclass(slots=True, eq=False)
class RecordCall:
    """A call of `record`: committed whole or refused whole."""

    events: Sequence[JobEvent]
    speaker: Speaker | None
    future: Future[Ack] = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)

    @property
    def size(self) -> int:
        """Events."""
        return len(self.events)

    @property
    def job_ids(self) -> set[str]:
        """Every job that the call is about."""
        ids = {event.job_id for event in self.events}
        return ids if self.speaker is None else ids | {self.speaker.job_id}


@dataclass(slots=True, eq=False)
class ReceiveCall:
    """A call of `receive`: applied whole, or kept as a dead letter."""

    arrival: Arrival
    future: Future[Receipt] = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)

    @property
    def size(self) -> int:
        """The delivery and its events."""
        return 1 + len(self.arrival.events)

    @property
    def weight(self) -> int:
        """In events: a large body is as much work as many of them."""
        return self.size + len(self.arrival.delivery.body) // BODY_OF_AN_EVENT

    @property
    def job_ids(self) -> set[str]:
        """Every job that the call is about."""
        new = self.arrival.new
        return {event.job_id for event in self.arrival.events} | ({new.job_id} if new else set())

    def give_up(self, problem: str) -> None:
        """Keep the delivery as a dead letter."""
        delivery = replace(self.arrival.delivery, problem=problem)
        self.arrival = replace(self.arrival, delivery=delivery, events=(), new=None)


@dataclass(slots=True, eq=False)
class OperationCall:
    """Anything else that writes, in a transaction of its own."""

    run: Callable[[], tuple[Any, Committed | None]]
    job_ids: tuple[str, ...] = ()
    forget: bool = False  # the jobs are gone afterwards
    future: Future[Any] = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)
    size: int = 1


BatchedCall = RecordCall | ReceiveCall
Call = BatchedCall | OperationCall


def missing(events: Sequence[JobEvent], committed: Sequence[StreamEvent]) -> set[int]:
    """The identities of the events that the commit left out."""
    if len(events) == len(committed):
        return set()
    kept: dict[tuple[str, EventKind, datetime], list[StreamEvent]] = {}
    for new in committed:
        kept.setdefault((new.job_id, new.kind, new.at), []).append(new)
    absent = set()
    for event in events:
        same = kept.get((event.job_id, event.kind, event.at), [])
        match = next((index for index, new in enumerate(same) if new.data == event.data), None)
        if match is None:
            absent.add(id(event))
        else:
            del same[match]
    return absent


def refusal(bad: Sequence[JobEvent]) -> InvalidInput:
    """The answer to a call with events that cannot be stored."""
    errors = [{"field": event.key, "message": f"this {event.kind.value} event cannot be stored"} for event in bad]
    keys = ", ".join(event.key for event in bad[:5])
    return InvalidInput(f"{len(bad)} events cannot be stored ({keys}); the others are committed", errors=errors)


def fail(calls: Sequence[Call], error: ThornbackError) -> None:
    """Answer calls with an error."""
    for call in calls:
        if not call.future.done():
            # A fresh copy each: a raised exception carries the traceback of whoever raised it.
            call.future.set_exception(type(error).rebuild(error.message, error.details))
