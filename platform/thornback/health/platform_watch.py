"""The watch of a platform that runs: what there is to ask, and whom."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from thornback.errors import Unavailable
from thornback.health.ask import Check
from thornback.health.money import look_at_money
from thornback.health.parts import StorageCheck, disk_check, disk_free, provider_checks
from thornback.health.watch import MeasuredTracker, Watch
from thornback.metrics.port import Recorder
from thornback.notify.actor import sender_health
from thornback.remote.actor import connect_tracker
from thornback.settings import Settings
from thornback.spend.prices import Tariff
from thornback.store.read import StoreReader


def open_watch(settings: Settings, *, recorder: Recorder, engine: sa.Engine) -> Watch:
    """For the process that Ray has one of: the dispatcher's."""
    reader = StoreReader(engine)

    async def database() -> Mapping[str, Any]:
        await asyncio.to_thread(reader.ping)
        return {}

    async def metrics() -> Mapping[str, Any]:
        found = await recorder.health()
        if found.database != "ok":
            raise Unavailable(f"its database: {found.database}")
        return {}

    checks: dict[str, Check] = {
        "database": database,
        "metrics": metrics,
        "notify": sender_health(settings),
        "storage": StorageCheck(settings.storage),
        "disk": disk_check(settings),
        **provider_checks(settings, lambda name: MeasuredTracker(name, connect_tracker(name, settings))),
    }
    tariff = Tariff.of(settings)
    return Watch(
        checks=checks,
        disk_free=lambda: disk_free(settings),
        money=lambda: look_at_money(engine, tariff, at=datetime.now(UTC)),
    )
