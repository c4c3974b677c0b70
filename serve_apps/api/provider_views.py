"""From the catalogue and the trackers' reports to what goes over the wire. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serve_apps.api.provider_schemas import CatalogueOut, EntryOut, PriceOut, ProviderOut, WebhooksOut
from thornback.providers.catalogue import Catalogue
from thornback.providers.entry import ImageModel, Trainer
from thornback.providers.open import KEYS, configured
from thornback.settings import Settings

DEFAULT_SLOTS = 10


def provider(
    name: str, settings: Settings, *, open_orders: int, health: Mapping[str, Any] | None, problem: str | None
) -> ProviderOut:
    """One provider; `problem` says why there is no `health`."""
    health = health or {}
    if not health.get("ready", True):
        problem = (health.get("last_problem") or {}).get("message") or "it is starting"
    return ProviderOut(
        name=name,
        configured=name in configured(settings),
        setting=KEYS[name],
        slots=settings.provider_slots.get(name, DEFAULT_SLOTS),
        open_orders=open_orders,
        webhooks=webhooks(name, settings),
        followed=problem is None,
        problem=problem,
        **{field: health.get(field) for field in ("breaker", "failures", "retry_at", "limited_until", "last_error")},
    )


def webhooks(name: str, settings: Settings) -> WebhooksOut:
    """Whether orders carry our address."""
    if not settings.public_url:
        why = "THORNBACK_PUBLIC_URL is not set, so nobody can reach us: the provider is asked again and again"
        return WebhooksOut(on=False, url=None, why=why)
    url = f"{settings.public_url.rstrip('/')}/api/v1/webhooks/{name}"
    return WebhooksOut(on=True, url=url, why="orders carry this address; the provider is asked as well, but rarely")


def catalogue(name: str, rows: Catalogue) -> CatalogueOut:
    """The rows of one provider."""
    own = [row for row in rows.list() if row.provider == name]
    return CatalogueOut(
        provider=name,
        trainers=[entry(row) for row in own if isinstance(row, Trainer)],
        image_models=[entry(row) for row in own if isinstance(row, ImageModel)],
    )


def entry(row: Trainer | ImageModel) -> EntryOut:
    """One row."""
    return EntryOut(
        name=row.name,
        title=row.title,
        endpoint=row.endpoint,
        default=row.default,
        inputs={name: spec.model_dump(mode="json", exclude_none=True) for name, spec in row.inputs.items()},
        fields=row.model_dump(mode="json")["fields"],
        captioning=sorted(row.captioning) if isinstance(row, Trainer) else [],
        price=PriceOut(**row.price.model_dump()),
        typical_seconds=row.typical_s,
        source=row.source,
        note=row.note,
    )
