"""What an answer means for a message, and many of them for a webhook."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.fixtures.notify import START as NOW
from thornback.jobs.webhook_changes import Standing
from thornback.notify.answer import Answer, Verdict, judge
from thornback.notify.standing import after_answer, is_troubled

DAYS = timedelta(days=5)
BAD = judge(500)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.TAKEN),
        (204, Verdict.TAKEN),
        (299, Verdict.TAKEN),
        (301, Verdict.AGAIN),
        (307, Verdict.AGAIN),
        (400, Verdict.AGAIN),
        (404, Verdict.AGAIN),
        (410, Verdict.GONE),
        (429, Verdict.AGAIN),
        (503, Verdict.AGAIN),
        (799, Verdict.AGAIN),
        (101, Verdict.AGAIN),
    ],
)
def test_only_2xx_is_success(status: int, verdict: Verdict) -> None:
    answer = judge(status)
    assert (answer.verdict, answer.status) == (verdict, status)
    assert (answer.problem is None) is (verdict is Verdict.TAKEN)


def fail(standing: Standing, hours: float, answer: Answer = BAD) -> Standing:
    return after_answer(standing, answer, NOW + timedelta(hours=hours), disable_after=DAYS)


def test_disabled_after_days_of_nothing_but_failures() -> None:
    standing = Standing(webhook_id="wh")
    for hours in (0, 1, 50, 119.9):
        standing = fail(standing, hours)
        assert standing.disable is None
    assert (standing.failing_since, standing.failures) == (NOW, 4)
    standing = fail(standing, 120)
    assert standing.disable == "nothing was taken for 5 days; the last answer: 500 Internal Server Error"
    assert standing.at == NOW + DAYS


def test_two_failures_with_silence_between_them_prove_nothing() -> None:
    assert fail(fail(Standing(webhook_id="wh"), 0), 1000).disable is None


def test_one_success_and_all_is_forgotten() -> None:
    standing = Standing(webhook_id="wh")
    for hours in (0, 20, 40, 60, 80, 100):
        standing = fail(standing, hours)
    assert is_troubled(standing)
    well = after_answer(standing, judge(200), NOW + timedelta(hours=119), disable_after=DAYS)
    assert (well.failing_since, well.failures, well.held_until, is_troubled(well)) == (None, 0, None, False)
    assert fail(well, 200).disable is None


def test_410_disables_at_once() -> None:
    assert fail(Standing(webhook_id="wh"), 0, judge(410)).disable == "410: the receiver wants nothing more"


def test_the_longest_rest_that_was_asked_for_holds() -> None:
    soon, late = NOW + timedelta(minutes=1), NOW + timedelta(minutes=5)
    standing = fail(Standing(webhook_id="wh"), 0, judge(429, hold_until=late))
    assert fail(standing, 0, judge(429, hold_until=soon)).held_until == late
    assert fail(standing, 0).held_until == late
