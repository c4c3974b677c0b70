"""Amounts as whole millionths of a US dollar, so that sums are exact."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

MICRO = 1_000_000
MS_PER_HOUR = 3_600_000


def micro(usd: float) -> int:
    """Dollars to millionths, halves away from zero. `usd` is taken as it is written: 0.1 is a tenth."""
    return int((Decimal(repr(float(usd))) * MICRO).to_integral_value(ROUND_HALF_UP))


def usd(amount: int) -> float:
    """Millionths to dollars; exact up to a billion dollars."""
    return amount / MICRO


def hours(milliseconds: int) -> float:
    """Milliseconds to hours."""
    return milliseconds / MS_PER_HOUR
