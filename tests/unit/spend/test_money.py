"""Amounts are whole millionths, so that their sums are exact."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thornback.settings import Settings
from thornback.spend.money import MICRO, hours, micro, usd
from thornback.spend.periods import day_of, month_of, next_day, next_month
from thornback.spend.prices import Share, Tariff


@pytest.mark.parametrize(
    ("dollars", "amount"),
    [
        (0.0, 0),
        (0.1, 100_000),
        (0.000001, 1),
        (0.0000005, 1),
        (0.00000049, 0),
        (1234.567891, 1_234_567_891),
        (1e-12, 0),
    ],
)
def test_dollars_as_they_are_written(dollars: float, amount: int) -> None:
    assert micro(dollars) == amount


@given(st.integers(0, 10**15))
def test_there_and_back(amount: int) -> None:
    assert micro(usd(amount)) == amount


def test_a_thousand_times_a_tenth_of_a_cent_is_a_dollar() -> None:
    assert sum(micro(0.001) for _ in range(1000)) == MICRO


@pytest.mark.parametrize(
    ("at", "day", "month"),
    [
        (
            datetime(2026, 12, 31, 23, 59, tzinfo=UTC),
            datetime(2027, 1, 1, tzinfo=UTC),
            datetime(2027, 1, 1, tzinfo=UTC),
        ),
        (datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)),
        (datetime(2028, 2, 29, 12, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC)),
    ],
)
def test_what_comes_after(at: datetime, day: datetime, month: datetime) -> None:
    assert (next_day(at), next_month(at)) == (day, month)
    assert day_of(at) <= at < next_day(at)
    assert month_of(at) <= at < next_month(at)


def test_days_are_those_of_utc() -> None:
    at = datetime(2026, 3, 1, 1, 0, tzinfo=timezone(timedelta(hours=2)))
    assert day_of(at) == datetime(2026, 2, 28, tzinfo=UTC)
    assert month_of(at) == datetime(2026, 2, 1, tzinfo=UTC)


def test_own_machines_by_the_hour() -> None:
    tariff = Tariff(gpu_hour=2.5, cpu_hour=0.05, margin=1.5, default_hours=2.0)
    share = Share(gpus=4, cpus=16)  # 10.80 an hour
    cost = tariff.own(share, timedelta(minutes=90))
    assert (cost.micro_usd, hours(cost.gpu_ms)) == (16_200_000, 6.0)
    assert cost.basis == "1.5 h of 4 GPU and 16 CPU at 10.8 USD an hour"
    assert tariff.set_aside(share, 3600.0).micro_usd == 16_200_000
    assert tariff.set_aside(share, None).micro_usd == 21_600_000
    assert tariff.set_aside(share, float("inf")).micro_usd == 21_600_000  # is as good as nothing
    assert tariff.own(share, timedelta(seconds=-5)).micro_usd == 0


def test_as_the_settings_have_it() -> None:
    tariff = Tariff.of(
        Settings.model_validate(
            {"prices": {"GPU": 3}, "quota_user": {"jobs": 4}, "reserve_margin": 2, "reserve_usd": 5}
        )
    )
    assert (tariff.gpu_hour, tariff.cpu_hour, tariff.margin, tariff.default_usd) == (3.0, 0.0, 2.0, 5.0)
    assert (tariff.user.jobs, tariff.team.jobs) == (4, None)
