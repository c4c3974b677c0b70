"""Which order of ours a webhook is about, as we wrote it into its URL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from thornback.metrics.port import Delivery
from thornback.store.sought import Sought

MAX_NUMBER = 1_000_000  # of items and orders


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """`?job=&item=&order=` of a webhook's URL, which the signature does not cover."""

    job_id: str | None = None  # None: it names none of ours
    item: int | None = None
    order: int | None = None  # None: the newest

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Self:
        """Anyone may have written it: what cannot be ours is passed over."""
        try:
            job_id = str(UUID(query.get("job", "")))
        except ValueError:
            return cls()
        return cls(job_id=job_id, item=_number(query.get("item", "")) or 1, order=_number(query.get("order", "")))

    def sought(self, delivery: Delivery, provider_id: str) -> Sought:
        """What to ask the database."""
        return Sought(
            provider=delivery.provider,
            delivery_id=delivery.delivery_id,
            provider_id=provider_id,
            job_id=self.job_id,
            item=self.item or 1,
            order=self.order,
        )


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(MAX_NUMBER)):
        return None
    return int(text) if 1 <= int(text) <= MAX_NUMBER else None
