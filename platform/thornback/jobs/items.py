"""Orders at a provider: one training, or one image of a set. An item may take several orders, one after another.

An order is written down before the call that costs money, and its end has one key, so the database
itself admits one end per order however many ways it is heard of. Folding is a join, as in `reduce.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from thornback.jobs.events import EventKind, JobEvent


class ItemStatus(StrEnum):
    """Where an item's newest order stands."""

    INTENDED = "intended"  # written down; the provider may or may not know of it
    SENT = "sent"  # the provider has it and gave it an id
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"  # the provider has finished; its files are not here yet
    FAILED = "failed"
    CANCELLED = "cancelled"
    STORED = "stored"  # its files are in our storage

    @property
    def is_over(self) -> bool:
        """True where the provider will do no more for the order."""
        return self in (ItemStatus.SUCCEEDED, ItemStatus.FAILED, ItemStatus.CANCELLED, ItemStatus.STORED)

    @property
    def rank(self) -> int:
        """The order in which statuses are passed; the three ends share one."""
        return _RANKS[self]


_RANKS = {
    ItemStatus.INTENDED: 0,
    ItemStatus.SENT: 1,
    ItemStatus.PROCESSING: 2,
    ItemStatus.SUCCEEDED: 3,
    ItemStatus.FAILED: 3,
    ItemStatus.CANCELLED: 3,
    ItemStatus.STORED: 4,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemState:
    """One item: its newest order and what became of it."""

    job_id: str
    item: int  # 1, 2, …; a training is the only item of its job
    order: int = 0  # which order for this item, 1 for the first
    status: ItemStatus = ItemStatus.INTENDED
    provider: str = ""
    provider_id: str | None = None
    intended_at: datetime | None = None
    sent_at: datetime | None = None
    ended_at: datetime | None = None
    webhook_at: datetime | None = None  # when a webhook told the end, None where another way did
    via: str | None = None  # how the end was heard of: webhook, poll or sync
    error: str | None = None
    outputs: tuple[str, ...] = ()  # the provider's addresses; they vanish
    uri: str | None = None  # in our storage
    content_type: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None


def reduce_item(item: ItemState, event: JobEvent) -> ItemState:
    """Fold an ITEM event of the same item.

    The newest order's events alone count, whenever the others arrive. Each of its statuses has one event
    (the three ends share theirs), so that their order does not matter either.

    Raises:
        ValueError: it is about another item, or `sent` without the provider's id.
    """
    if event.kind is not EventKind.ITEM or (event.job_id, event.data["item"]) != (item.job_id, item.item):
        raise ValueError(f"{event.kind} of job {event.job_id} folded into item {item.item} of job {item.job_id}")
    data = event.data
    order = data["order"]
    if order < item.order:
        return item
    if order > item.order:
        item = ItemState(job_id=item.job_id, item=item.item, order=order, provider=data["provider"])
    status = ItemStatus(data["status"])
    item = _with_facts(item, status, event)
    # Should a second end reach this function all the same, the first stands; only files can follow it.
    if status.rank > item.status.rank:
        item = replace(item, status=status)
    return item


def reduce_items(items: dict[int, ItemState], events: Iterable[JobEvent]) -> dict[int, ItemState]:
    """Fold the ITEM events of one job; returns the items by number."""
    items = dict(items)
    for event in events:
        number = event.data["item"]
        known = items.get(number) or ItemState(job_id=event.job_id, item=number)
        items[number] = reduce_item(known, event)
    return items


def _with_facts(item: ItemState, status: ItemStatus, event: JobEvent) -> ItemState:
    data = event.data
    changes: dict[str, Any] = {"provider_id": _provider_id(item, status, data.get("provider_id"))}
    if status is ItemStatus.INTENDED:
        changes["intended_at"] = event.at
    elif status is ItemStatus.SENT:
        changes["sent_at"] = event.at
    elif status is ItemStatus.STORED:
        changes |= {name: data.get(name) for name in ("uri", "content_type", "size_bytes", "sha256")}
    elif status.is_over and item.ended_at is None:
        changes |= {
            "ended_at": event.at,
            "via": data.get("via"),
            "webhook_at": _heard_at(event) if data.get("via") == "webhook" else None,
            "error": data.get("error"),
            "outputs": tuple(data.get("outputs") or ()),
        }
    return replace(item, **changes)


def _heard_at(event: JobEvent) -> datetime:
    """When we were told, by our clock; `at` may be the provider's."""
    try:
        return datetime.fromisoformat(event.data["heard_at"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError, OverflowError):
        return event.at


def _provider_id(item: ItemState, status: ItemStatus, told: str | None) -> str | None:
    """The id that our own call was answered with; before that answer, the smallest that anybody told.

    Two ids for one order mean that it was taken twice: whichever is told first must not decide.
    """
    if status is ItemStatus.SENT:
        if not told:
            raise ValueError(f"item {item.item} of job {item.job_id} was sent, but its provider's id is missing")
        return told
    if item.sent_at is not None or told is None:
        return item.provider_id
    return told if item.provider_id is None else min(item.provider_id, told)
