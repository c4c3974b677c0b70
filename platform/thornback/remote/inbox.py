"""What webhooks brought, read again from the inbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from thornback.errors import InvalidInput
from thornback.jobs.items import ItemState
from thornback.providers import fal_body, replicate_body
from thornback.providers.port import Sighting
from thornback.providers.reading import load_body
from thornback.store.read import StoreReader

_READ: Mapping[str, Callable[[Mapping[str, Any]], Sighting]] = {
    "replicate": replicate_body.read_sighting,
    "fal": fal_body.read_sighting,
}


def newest(reader: StoreReader, item: ItemState) -> Sighting | None:
    """What the newest webhook about an order said, None where there was none. Blocks."""
    if item.provider_id is None or item.provider not in _READ:
        return None
    row = reader.newest_delivery(item.provider, item.provider_id)
    if row is None or not row.body:
        return None
    try:
        return _READ[item.provider](load_body(row.body))
    except InvalidInput:
        return None  # it was applied by another version of ours
