"""Webhooks that came in, as they go over the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from serve_apps.api.schemas import Wire
from thornback.metrics.port import Delivery, Receipt
from thornback.store.inbox import DeliveryRow

DeliveryState = Literal["applied", "dead"]


class ReceiptOut(Wire):
    """The answer to a webhook whose signature is good."""

    received: bool = True
    is_new: bool = Field(description="False: the same delivery came before, and nothing was done.")
    events: int = Field(description="What was new in it.")
    problem: str | None = Field(description="Why nothing could be done with it; it is kept as a dead letter then.")


class DeliveryOut(Wire):
    """One delivery in the inbox."""

    id: int
    provider: str
    delivery_id: str = Field(description="The provider's own id of the delivery, the same when it is sent again.")
    state: DeliveryState
    received_at: datetime
    provider_id: str | None = Field(description="The training, prediction or request that it is about.")
    job_id: str | None
    item: int | None
    status: str | None = Field(description="The provider's word.")
    problem: str | None = Field(description="Why it could not be used.")


class DeliveryDetail(DeliveryOut):
    """With what was sent."""

    body: str


class DeliveryList(Wire):
    """A page of the inbox, the newest first."""

    deliveries: list[DeliveryOut]
    next_cursor: str | None


def receipt(done: Receipt) -> ReceiptOut:
    """What became of a webhook."""
    return ReceiptOut(is_new=done.is_new, events=done.committed, problem=done.problem)


def summary(row: DeliveryRow) -> DeliveryOut:
    """A row of the list."""
    return DeliveryOut.model_validate(row, from_attributes=True)


def detail(row: DeliveryRow) -> DeliveryDetail:
    """One delivery with its body."""
    return DeliveryDetail.model_validate(row, from_attributes=True)


def again(row: DeliveryRow) -> Delivery:
    """A delivery of the inbox as it came."""
    return Delivery(
        provider=row.provider,
        delivery_id=row.delivery_id,
        received_at=row.received_at,
        provider_id=row.provider_id,
        job_id=row.job_id,
        item=row.item,
        status=row.status,
        body=row.body or "",
    )
