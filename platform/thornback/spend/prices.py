"""What a run costs on our own machines, and what is set aside before it starts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

from thornback.settings import Quota, Settings
from thornback.spend.money import MS_PER_HOUR, micro

MOST = 2**53  # of one amount: what clocks and runs say may be nonsense, and sums have to fit into 64 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Money and time on GPUs, with the reason in words."""

    micro_usd: int = 0
    gpu_ms: int = 0
    basis: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a run holds of our own machines while it goes on."""

    gpus: float = 0.0
    cpus: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """The settings that money goes by; these defaults cost nothing and limit nobody."""

    gpu_hour: float = 0.0  # USD
    cpu_hour: float = 0.0  # USD
    margin: float = 1.2  # what is paid by time is set aside so many times over
    default_hours: float = 1.0  # of a run that nothing is known about
    default_usd: float = 10.0  # of an order that has no price
    warn_share: float = 0.8
    user: Quota = field(default_factory=Quota)
    team: Quota = field(default_factory=Quota)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As the settings have it."""
        return cls(
            gpu_hour=settings.prices.get("GPU", 0.0),
            cpu_hour=settings.prices.get("CPU", 0.0),
            margin=settings.reserve_margin,
            default_hours=settings.reserve_hours,
            default_usd=settings.reserve_usd,
            warn_share=settings.quota_warn_share,
            user=settings.quota_user,
            team=settings.quota_team,
        )

    def own(self, share: Share, time: timedelta) -> Amount:
        """So long on our own machines."""
        ran_h = max(0.0, time.total_seconds()) / 3600
        price = share.gpus * self.gpu_hour + share.cpus * self.cpu_hour
        parts = [f"{count:g} {name}" for count, name in ((share.gpus, "GPU"), (share.cpus, "CPU")) if count]
        return Amount(
            micro_usd=min(micro(price * ran_h), MOST),
            gpu_ms=min(round(share.gpus * ran_h * MS_PER_HOUR), MOST),
            basis=f"{ran_h:.3g} h of {' and '.join(parts) or 'nothing'} at {price:g} USD an hour",
        )

    def set_aside(self, share: Share, expected_s: float | None) -> Amount:
        """Before a run of our own: the expected time and a margin, or the default time where nothing is known."""
        known = expected_s is not None and math.isfinite(expected_s)
        seconds = (expected_s or 0.0) * self.margin if known else self.default_hours * 3600
        amount = self.own(share, timedelta(seconds=min(seconds, 3.15e9)))
        why = "as past runs took, and a margin" if known else "nothing like it has ended here yet"
        return Amount(micro_usd=amount.micro_usd, gpu_ms=amount.gpu_ms, basis=f"{amount.basis}: {why}")
