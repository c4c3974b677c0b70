"""What a provider of hosted training is asked: take an order, find it, look at it, cancel it, take a file.

Knows no HTTP. Every provider is one file of this shape and some rows of the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Protocol


class OrderPhase(StrEnum):
    """Where an order stands at its provider."""

    STARTING = "starting"  # accepted, in the provider's queue or being set up
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"  # by us or at the provider; Replicate's `canceled` and `aborted`

    @property
    def is_over(self) -> bool:
        """True where the provider will do no more."""
        return self in (OrderPhase.SUCCEEDED, OrderPhase.FAILED, OrderPhase.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to order: everything that the call needs, made from the spec and the catalogue."""

    job_id: str
    item: int
    number: int  # which order for this item, from 1
    endpoint: str  # a model, a trainer, a queue application: the provider's own id, version included
    call: Literal["training", "prediction"]
    inputs: Mapping[str, Any]  # under the provider's names
    webhook_url: str | None  # with our job, item and order in its query; None: nobody can reach us
    destination: str | None = None  # Replicate trainings: owner/name that receives the version
    intended_at: datetime | None = None  # when it was written down; an order found must be younger


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What a provider said of one order, whichever way it was heard. None: it did not say."""

    provider: str
    provider_id: str
    phase: OrderPhase
    status: str  # the provider's own word
    model: str | None = None  # Replicate: owner/name; fal: the application
    model_version: str | None = None  # Replicate: the version of the model that ran, "hidden" for its official ones
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    logs: str | None = None  # the whole log so far
    error: str | None = None
    outputs: tuple[str, ...] = ()  # addresses of the results, weights or images; they vanish
    output: Any = None  # as it came
    version: str | None = None  # Replicate: owner/name:version that a training made
    inputs: Mapping[str, Any] = field(default_factory=dict)
    predict_time_s: float | None = None
    total_time_s: float | None = None
    web_url: str | None = None  # the provider's page for people
    data_removed: bool = False  # the provider has deleted inputs and outputs
    warnings: tuple[str, ...] = ()  # fields that were missing or unreadable, in words


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderHealth:
    """How a provider is doing, as we see it."""

    provider: str
    breaker: str  # closed, open or half-open
    failures: int  # in a row
    retry_at: datetime | None  # when an open breaker lets the next call through
    last_error: str | None
    limited_until: datetime | None = None  # the provider told us to wait


class Provider(Protocol):
    """One hosted trainer.

    Every method raises ProviderUnavailable where it does not answer or limits us, ProviderRefused where
    it will not, OrderUnknown where it knows no such order; `submit` also AnswerLost.
    """

    name: str

    async def submit(self, order: Order) -> Sighting:
        """Send an order: one request, never repeated by itself.

        Raises:
            AnswerLost: it may have been taken; ask `find` before sending again.
            ProviderUnavailable: it was certainly not taken.
        """
        ...

    async def find(self, order: Order, *, known: frozenset[str]) -> Sighting | None:
        """Look for an order whose answer was lost; None where the provider certainly has none.

        Orders with equal inputs cannot be told apart, so ask for one after another, each with those
        found before in `known`.

        Args:
            order: as it was sent.
            known: ids that belong to other orders of ours.

        Raises:
            ProviderUnavailable: it cannot be told yet (`details["retry_after_s"]` where later may tell);
                sending again could pay twice. `details["may_be"]` lists the ids that are in doubt: where all
                of them belong to other orders, ask again with them in `known`.
        """
        ...

    async def look(self, endpoint: str, call: str, provider_id: str) -> Sighting:
        """Look at an order."""
        ...

    async def cancel(self, endpoint: str, call: str, provider_id: str) -> None:
        """Ask an order to end; one that has ended is no error."""
        ...

    async def upload(self, path: Path, *, content_type: str | None = None) -> str:
        """Hand a file over for use as an input; returns its address."""
        ...

    def download_headers(self, url: str) -> Mapping[str, str]:
        """What a request for one of its output files must carry; never for a host that is not the provider's."""
        ...

    def health(self) -> ProviderHealth:
        """Breaker and limits."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...
