"""What was spent, and who is nearest to a limit: two figures for the metrics, without names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from thornback.spend.money import usd
from thornback.spend.periods import day_of, month_of
from thornback.spend.prices import Tariff
from thornback.spend.quotas import Holder, Limited
from thornback.store.quotas import QuotaReader
from thornback.store.read import StoreReader
from thornback.store.spend_report import Spent, read_spent

MOST_HOLDERS = 500  # users and teams that are looked at; each costs some queries


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """What is set aside counts as spent."""

    day_usd: float
    month_usd: float
    shares: Mapping[Limited, float]  # of each limit that somebody has: the greatest share that is used


def look_at_money(engine: sa.Engine, tariff: Tariff, *, at: datetime) -> Money:
    """Add up the ledger. Blocks; raises StoreUnavailable."""
    month = read_spent(engine, since=month_of(at), by=("user", "team"), limit=MOST_HOLDERS)
    day = read_spent(engine, since=day_of(at), by=(), limit=1)
    return Money(
        day_usd=sum(map(_usd, day)),
        month_usd=sum(map(_usd, month)),
        shares=_shares(QuotaReader(engine, tariff), _holders(engine, month), at),
    )


def _holders(engine: sa.Engine, month: list[Spent]) -> list[Holder]:
    """Those who have spent and those who have jobs now."""
    active = StoreReader(engine).active()
    users = {row.user for row in month} | {job.user for job in active}
    teams = {row.team for row in month} | {job.team for job in active}
    found = [Holder("user", name) for name in sorted(filter(None, users))]
    found += [Holder("team", name) for name in sorted(filter(None, teams))]
    return found[:MOST_HOLDERS]


def _shares(reader: QuotaReader, holders: list[Holder], at: datetime) -> Mapping[Limited, float]:
    shares: dict[Limited, float] = {}
    for holder in holders:
        for level in reader.of(holder, at=at)[-1]:
            share = level.used / level.limit if level.limit else float(level.used > 0)
            shares[level.what] = max(share, shares.get(level.what, 0.0))
    return shares


def _usd(row: Spent) -> float:
    return usd(row.charged_micro_usd + row.reserved_micro_usd)
