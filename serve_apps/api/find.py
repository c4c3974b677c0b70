"""Jobs by whatever id people have: ours, or the provider's."""

from __future__ import annotations

from typing import get_args

from thornback.errors import JobNotFound
from thornback.jobs.spec import Provider
from thornback.store.columns import canonical_id
from thornback.store.page import JobRow
from thornback.store.read import StoreReader


def find_job(store: StoreReader, id: str) -> JobRow:
    """The job with this id, or whose order at a provider has it. Raises JobNotFound."""
    if canonical_id(id) is not None:
        try:
            return store.job(id)
        except JobNotFound:
            pass  # fal's ids are UUIDs as well
    for provider in get_args(Provider):
        order = store.order(provider, id)
        if order is not None:
            return store.job(order.job_id)
    raise JobNotFound(id)
