"""Who may have more, who is told, and in what words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from thornback.errors import QuotaExceeded, SpendExceeded
from thornback.settings import Quota
from thornback.spend.prices import Amount
from thornback.spend.quotas import Holder, Limited, Used, check, effective, levels, sentence, warnings

NOW = datetime(2026, 3, 10, 22, 0, tzinfo=UTC)
ADA, BLUE = Holder("user", "ada"), Holder("team", "blue")
DOLLAR = Amount(micro_usd=1_000_000)


def test_only_what_is_limited_has_a_level() -> None:
    assert levels(ADA, Quota(), Used(jobs=9), at=NOW) == []
    found = levels(ADA, Quota(jobs=3, gpu_hours=1.5, usd_day=0), Used(gpu_ms=1_800_000), at=NOW)
    assert [(level.what, level.used, level.limit) for level in found] == [
        (Limited.JOBS, 0, 3),
        (Limited.GPU_HOURS, 1_800_000, 5_400_000),
        (Limited.USD_DAY, 0, 0),
    ]


def refused(
    quota: Quota, used: Used, amount: Amount, *, is_part: bool = False, holder: Holder = ADA
) -> QuotaExceeded | None:
    try:
        check(levels(holder, quota, used, at=NOW), amount, is_part=is_part, at=NOW)
    except QuotaExceeded as error:
        return error
    return None


@pytest.mark.parametrize(
    ("quota", "used", "amount", "is_refused"),
    [
        (Quota(usd_day=2), Used(day_micro=1_000_000), DOLLAR, False),  # exactly all of it
        (Quota(usd_day=2), Used(day_micro=1_000_001), DOLLAR, True),
        (Quota(usd_day=2), Used(day_micro=3_000_000), Amount(), False),  # what costs nothing goes on
        (Quota(usd_month=2), Used(day_micro=3_000_000), DOLLAR, False),
        (Quota(gpu_hours=1), Used(gpu_ms=3_600_000), Amount(gpu_ms=1), True),
        (Quota(jobs=0), Used(), Amount(), True),
        (Quota(storage_bytes=10), Used(storage_bytes=9), Amount(), False),
        (Quota(storage_bytes=10), Used(storage_bytes=10), Amount(), True),
    ],
)
def test_up_to_the_limit_and_not_beyond(quota: Quota, used: Used, amount: Amount, is_refused: bool) -> None:
    assert (refused(quota, used, amount) is not None) is is_refused


def test_a_part_is_no_job_of_its_own_but_costs_money() -> None:
    assert refused(Quota(jobs=1, storage_bytes=1), Used(jobs=1, storage_bytes=5), DOLLAR, is_part=True) is None
    assert isinstance(refused(Quota(usd_day=0.5), Used(), DOLLAR, is_part=True), SpendExceeded)


def test_the_refusal_of_a_team() -> None:
    error = refused(Quota(usd_day=2), Used(day_micro=1_500_000), DOLLAR, holder=BLUE)
    assert error is not None
    assert error.message == (
        "team blue uses 1.50 of 2.00 USD of today, and this job is set down with 1.00 more: it begins anew at "
        "2026-03-11T00:00Z, or ask an admin to lift it (`thornback quota set blue --team`)"
    )
    assert error.details == {
        "quota": "usd_day",
        "holder": {"kind": "team", "name": "blue"},
        "used": 1.5,
        "wanted": 1.0,
        "limit": 2.0,
        "resets_at": "2026-03-11T00:00:00+00:00",
        "lifted_by": "an admin",
        "retry_after_s": 7200,
    }


@pytest.mark.parametrize(
    ("before", "told"), [(2_000_000, []), (3_000_000, [4_000_000]), (4_000_000, []), (4_900_000, [])]
)
def test_told_once_as_the_share_is_crossed(before: int, told: list[int]) -> None:
    found = levels(ADA, Quota(usd_month=5), Used(month_micro=before), at=NOW)
    assert [level.used for level in warnings(found, DOLLAR, share=0.8, is_part=False)] == told


def test_an_admin_sets_some_and_leaves_some() -> None:
    defaults = Quota(jobs=5, usd_day=10)
    assert effective(defaults, None) is defaults
    assert effective(defaults, {"usd_day": None, "gpu_hours": 2}) == Quota(jobs=5, gpu_hours=2)


def test_words() -> None:
    quota = Quota(jobs=4, gpu_hours=2.5, storage_bytes=10**12, usd_month=7)
    used = Used(jobs=1, gpu_ms=5_400_000, storage_bytes=123_456_789_012, month_micro=1_234_567)
    assert [sentence(level) for level in levels(ADA, quota, used, at=NOW)] == [
        "user ada uses 1 of 4 jobs at once",
        "user ada uses 1.5 of 2.5 GPU hours of this month",
        "user ada uses 123456789012 of 1000000000000 bytes of storage",
        "user ada uses 1.23 of 7.00 USD of this month",
    ]
