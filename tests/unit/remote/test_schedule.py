from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.remote.make import later
from thornback.remote.schedule import Known, Pace, after_fault, next_look

PACE = Pace(first_s=2, growth=2, quick_s=5, calm_s=15, trust_s=30, safety_s=120, overdue_s=60)


def wait_s(known: Known, *, is_training: bool = True, has_webhooks: bool = False, spread: float = 0.0) -> float:
    """Seconds from the beginning to the next look."""
    due = next_look(known, is_training=is_training, has_webhooks=has_webhooks, pace=PACE, spread=spread)
    return (due - later(0)).total_seconds()


@pytest.mark.parametrize(
    ("idle", "begun", "seconds"),
    [(0, True, 2), (1, True, 4), (2, True, 5), (9, True, 5), (2, False, 8), (9, False, 15), (10_000, False, 15)],
)
def test_looks_grow_rarer_while_nothing_is_new(idle: int, begun: bool, seconds: float) -> None:
    assert wait_s(Known(sent_at=later(0), idle_looks=idle, has_begun=begun)) == seconds


def test_webhooks_make_looks_rare_but_do_not_end_them() -> None:
    known = Known(sent_at=later(0), looked_at=later(10), heard_at=later(20), has_begun=True)
    assert wait_s(known, has_webhooks=True) == 20 + 30
    chatty = Known(sent_at=later(0), looked_at=later(10), heard_at=later(500), has_begun=True)
    assert wait_s(chatty, has_webhooks=True) == 10 + 120


def test_webhooks_that_stay_away_bring_the_looks_back() -> None:
    silent = Known(sent_at=later(0), looked_at=later(100), heard_at=later(20), has_begun=True)
    assert wait_s(silent, has_webhooks=True) == 102


def test_images_are_not_looked_at_before_their_webhook_is_overdue() -> None:
    fresh = Known(sent_at=later(0))
    assert wait_s(fresh, is_training=False, has_webhooks=True) == 60
    others_came = Known(sent_at=later(0), heard_at=later(50))
    assert wait_s(others_came, is_training=False, has_webhooks=True) == 110
    looked = Known(sent_at=later(0), looked_at=later(60), idle_looks=1)
    assert wait_s(looked, is_training=False, has_webhooks=True) == 180
    assert wait_s(Known(sent_at=later(0)), is_training=False, has_webhooks=False) == 2


def test_an_end_that_was_asked_for_is_looked_for_soon() -> None:
    known = Known(sent_at=later(0), looked_at=later(10), heard_at=later(10), idle_looks=9, urgent=True)
    assert wait_s(known, has_webhooks=True) == 11


def test_faults_wait_longer_each_time_and_as_long_as_the_provider_asks() -> None:
    waits = [after_fault(n, None, pace=PACE, spread=1.0).total_seconds() for n in (1, 2, 3, 4, 7, 50)]
    assert waits == [1, 2, 4, 8, 60, 60]  # 1 * 2^(n-1), at most 60
    assert after_fault(1, None, pace=PACE, spread=0.0) == timedelta(seconds=0.5)
    assert after_fault(1, 30.0, pace=PACE, spread=0.0) >= timedelta(seconds=30)
    assert after_fault(1, 30.0, pace=PACE, spread=1.0) > after_fault(1, 30.0, pace=PACE, spread=0.0)
    assert wait_s(Known(sent_at=later(0), faults=2, failed_at=later(7)), spread=1.0) == 9
