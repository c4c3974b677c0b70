"""What providers, their catalogue and estimates look like on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from serve_apps.api.schemas import Wire


class WebhooksOut(Wire):
    """Whether a provider's messages can reach us."""

    on: bool
    url: str | None = Field(description="What orders carry, before `?job=…`.")
    why: str


class ProviderOut(Wire):
    """A provider as we see it now."""

    name: str
    configured: bool
    setting: str = Field(description="The variable that turns it on.", examples=["THORNBACK_REPLICATE_API_TOKEN"])
    slots: int = Field(description="Jobs at once; the rest waits in the queue.")
    open_orders: int = Field(description="Orders that the provider works on, or whose files are not here yet.")
    webhooks: WebhooksOut
    followed: bool = Field(description="Something follows its orders now.")
    problem: str | None = Field(description="Why not, where nothing does.")
    breaker: str | None = Field(description="`open`: it is left alone for a while.", examples=["closed"])
    failures: int | None = Field(description="In a row.")
    retry_at: datetime | None = Field(description="When an open breaker lets the next call through.")
    limited_until: datetime | None = Field(description="It asked us to wait.")
    last_error: str | None


class ProviderList(Wire):
    """Every provider that there is."""

    providers: list[ProviderOut]


class PriceOut(Wire):
    """What one unit costs."""

    per: str = Field(examples=["second", "step", "image", "megapixel", "run"])
    usd: float
    minimum: float = Field(description="Units that are charged at least.")
    hardware: str | None


class EntryOut(Wire):
    """A trainer or an image model."""

    name: str = Field(description="For `config.trainer` or `config.model`.")
    title: str
    endpoint: str = Field(description="The provider's id.")
    default: bool = Field(description="Taken where a job names none.")
    inputs: dict[str, dict[str, Any]] = Field(description="By the provider's names: type, range, default.")
    fields: dict[str, Any] = Field(description="Our field -> the provider's input.")
    captioning: list[str] = Field(description="The modes that it has.")
    price: PriceOut
    typical_seconds: float = Field(description="Of one run with the default inputs.")
    source: str
    note: str


class CatalogueOut(Wire):
    """What can be ordered at one provider."""

    provider: str
    trainers: list[EntryOut]
    image_models: list[EntryOut]


class EstimateOut(Wire):
    """What a job would cost and take; null where nobody can say."""

    backend: str
    model: str | None = Field(description="The trainer or the image model that would be taken.")
    cost_usd: float | None
    cost_basis: str
    seconds: float | None
    seconds_basis: str
    seconds_origin: Literal["history", "catalogue"] | None
