"""Maps over pieces: order, errors and progress are the same wherever they run."""

from __future__ import annotations

import pytest

from thornback.media.run import Runner, inline, processes, threads, told

RUNNERS = [inline, threads(3), processes(2)]


def halved(number: int) -> float:
    if number < 0:
        raise ArithmeticError(number)
    return number / 2


@pytest.mark.parametrize("run", RUNNERS, ids=["inline", "threads", "processes"])
def test_results_in_the_order_of_the_items(run: Runner) -> None:
    assert list(run(halved, [4, 2, 8, 6])) == [2.0, 1.0, 4.0, 3.0]
    assert list(run(halved, [])) == []


@pytest.mark.parametrize("run", RUNNERS, ids=["inline", "threads", "processes"])
def test_the_first_error_is_raised(run: Runner) -> None:
    with pytest.raises(ArithmeticError):
        list(run(halved, [4, -1, 8]))


def test_one_worker_needs_no_pool_and_none_is_an_error() -> None:
    assert threads(1) is inline
    assert processes(1) is inline
    with pytest.raises(ValueError, match="at least 1"):
        processes(0)


def test_progress_is_the_share_of_the_weights() -> None:
    heard: list[float] = []
    assert list(told(iter("abc"), [1, 1, 2], heard.append)) == ["a", "b", "c"]
    assert heard == [0.25, 0.5, 1.0]
