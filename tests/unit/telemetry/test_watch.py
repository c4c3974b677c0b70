"""Parts that work and parts that do not, as metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from tests.unit.telemetry.taken import Taken
from thornback.errors import Unavailable
from thornback.health import ask
from thornback.health.money import Money
from thornback.health.parts import StorageCheck
from thornback.health.watch import MeasuredTracker, Watch
from thornback.spend.quotas import Limited
from thornback.telemetry import catalogue


class Parts:
    """Two parts, one of which can be broken."""

    def __init__(self) -> None:
        self.is_broken = False

    async def well(self) -> Mapping[str, Any]:
        return {}

    async def moody(self) -> Mapping[str, Any]:
        if self.is_broken:
            raise Unavailable("gone")
        return {}

    def watch(self) -> Watch:
        return Watch(
            checks={"database": self.well, "metrics": self.moody},
            disk_free=lambda: 7,
            money=lambda: Money(day_usd=1.5, month_usd=20.0, shares={Limited.USD_MONTH: 0.9}),
        )


async def test_a_part_goes_away_and_comes_back(taken: Taken) -> None:
    parts = Parts()
    watch = parts.watch()
    for is_broken, up in ((False, 1.0), (True, 0.0), (False, 1.0)):
        parts.is_broken = is_broken
        await watch.look()
        assert taken.value(catalogue.COMPONENT_UP, component="metrics") == up
        assert taken.value(catalogue.COMPONENT_UP, component="database") == 1.0
    assert taken.value(catalogue.DISK_FREE) == 7


async def test_money(taken: Taken) -> None:
    await Parts().watch().count_money()
    assert taken.value(catalogue.SPEND, period="day") == 1.5
    assert taken.value(catalogue.SPEND, period="month") == 20.0
    assert taken.value(catalogue.QUOTA_SHARE, limit="usd_month") == 0.9


async def test_the_breaker_of_a_provider(taken: Taken) -> None:
    class Tells:
        async def health(self) -> Mapping[str, Any]:
            return {"breaker": "open", "open_orders": 3}

    await MeasuredTracker("fal", Tells()).health()
    assert taken.value(catalogue.BREAKER, provider="fal") == 2.0
    assert taken.value(catalogue.OPEN_ORDERS, provider="fal") == 3.0


async def test_a_part_that_hangs_costs_no_more_than_its_time() -> None:
    async def hangs() -> Mapping[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    found = await ask.ask_all({"hangs": hangs, "well": Parts().well}, within_s=0.05)
    assert (found["hangs"].error, found["well"].ok) == ("no answer within 0.05 s", True)


async def test_a_storage_is_asked_once_in_a_while(tmp_path: Any) -> None:
    at = [0.0]
    check = StorageCheck(str(tmp_path), now=lambda: at[0])
    first = await check()
    assert await check() is first
    at[0] = 60.0
    assert await check() is not first
    assert list(tmp_path.iterdir()) == []
