"""What was ordered, how far it is, and everything that is known of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

ProviderName = Literal["replicate", "fal"]
Kind = Literal["training", "prediction", "request"]


class Status(StrEnum):
    """Replicate's words; fal's are made of them."""

    STARTING = "starting"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    ABORTED = "aborted"

    @property
    def is_final(self) -> bool:
        """Whether nothing follows."""
        return self not in (Status.STARTING, Status.PROCESSING)


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line and when it was printed."""

    at: datetime
    text: str


@dataclass(slots=True, kw_only=True, eq=False)
class Order:
    """A training, a prediction, or a request to fal."""

    id: str
    provider: ProviderName
    kind: Kind
    endpoint: str  # owner/name at Replicate; the whole endpoint with its sub-path at fal
    version: str = ""
    inputs: Mapping[str, Any]
    created_at: datetime
    webhook: str | None = None
    events: frozenset[str] = frozenset()
    destination: str | None = None
    mishaps: frozenset[str] = frozenset()  # order faults that befall it, by name
    ttl_s: float | None = None  # how long its files shall stay, where the caller said so

    status: Status = Status.STARTING
    started_at: datetime | None = None
    completed_at: datetime | None = None
    lines: list[LogLine] = field(default_factory=list)
    output: Any = None
    image_count: int = 0
    error: str | None = None
    error_type: str | None = None
    result_status: int = 200  # fal: what its result answers
    gateway_id: str = ""  # fal: differs from the id where fal has queued it again
    removed: bool = False
    logs_sent_at: datetime | None = None
    delivery: asyncio.Task[None] | None = None  # its newest webhook
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def logs(self) -> str:
        """The whole log."""
        return "".join(f"{line.text}\n" for line in self.lines)

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.status.is_final

    def touch(self) -> None:
        """Wake those who wait for a change."""
        self.changed.set()
        self.changed = asyncio.Event()


class OrderBook:
    """Everything that was ever taken, oldest first."""

    def __init__(self) -> None:
        self._orders: dict[str, Order] = {}

    def add(self, order: Order) -> None:
        """Take an order."""
        self._orders[order.id] = order

    def get(self, id: str) -> Order | None:
        """The order with this id."""
        return self._orders.get(id)

    def __iter__(self) -> Iterator[Order]:
        # a copy: tests look from another thread
        return iter(tuple(self._orders.values()))

    def __len__(self) -> int:
        return len(self._orders)

    def __getitem__(self, place: int) -> Order:
        return tuple(self._orders.values())[place]
