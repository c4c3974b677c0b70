"""Progress: the newest, once in a while."""

from __future__ import annotations

from datetime import timedelta

from tests.fixtures.notify import START as NOW
from thornback.notify.throttle import ProgressThrottle

SECOND = timedelta(seconds=1)


def test_at_once_then_once_in_a_while() -> None:
    throttle = ProgressThrottle(10 * SECOND)
    a, b = ("hook", "a"), ("hook", "b")
    assert throttle.next_due(NOW) is None
    throttle.mark(a)
    assert throttle.due(NOW) == [a]
    throttle.mark(a)
    throttle.mark(b)
    throttle.mark(a)
    assert throttle.due(NOW + SECOND) == [b]
    assert throttle.next_due(NOW + SECOND) == NOW + 10 * SECOND
    assert throttle.due(NOW + 10 * SECOND) == [a]
    assert throttle.due(NOW + 100 * SECOND) == []


def test_the_end_of_a_job_says_it_all() -> None:
    throttle = ProgressThrottle(SECOND)
    throttle.mark(("hook", "a"))
    throttle.mark(("other", "a"))
    throttle.mark(("hook", "b"))
    throttle.forget(["a"])
    assert throttle.due(NOW) == [("hook", "b")]
