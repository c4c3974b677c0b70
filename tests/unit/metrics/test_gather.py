"""Which calls are joined, and that each gets its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from thornback.errors import InvalidInput, StoreUnavailable, ThornbackError
from thornback.metrics.gather import Gatherer


class Asked:
    """Answers 10 times the question, when told to."""

    def __init__(self, *, most: int = 200, rounds: int = 1) -> None:
        self.rounds: list[list[int]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.error: Exception | None = None
        self.gather = Gatherer(self.ask, weigh=lambda question: question, most=most, rounds=rounds)

    async def ask(self, questions: list[int]) -> Sequence[int | ThornbackError]:
        self.rounds.append(questions)
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return [InvalidInput("thirteen") if question == 13 else 10 * question for question in questions]


async def settled(*calls: asyncio.Task[int]) -> list[int | BaseException]:
    return await asyncio.gather(*calls, return_exceptions=True)


def start(asked: Asked, *questions: int) -> list[asyncio.Task[int]]:
    async def call(question: int) -> int:
        return await asked.gather(question)

    return [asyncio.create_task(call(question)) for question in questions]


async def test_what_comes_meanwhile_goes_together_and_keeps_its_order() -> None:
    asked = Asked()
    asked.go.clear()
    first = start(asked, 1)
    for _ in range(5):
        await asyncio.sleep(0)
    assert asked.rounds == [[1]]
    rest = start(asked, 2, 3, 4)
    await asyncio.sleep(0)
    asked.go.set()
    assert await settled(*first, *rest) == [10, 20, 30, 40]
    assert asked.rounds == [[1], [2, 3, 4]]


async def test_a_round_is_bounded_and_what_is_heavier_goes_alone() -> None:
    asked = Asked(most=10)
    assert await settled(*start(asked, 4, 5, 6, 99, 1)) == [40, 50, 60, 990, 10]
    assert asked.rounds == [[4, 5], [6], [99], [1]]


async def test_several_rounds_may_run_at_once() -> None:
    asked = Asked(rounds=2, most=1)
    asked.go.clear()
    calls = start(asked, 1, 2, 3)
    for _ in range(5):
        await asyncio.sleep(0)
    assert asked.rounds == [[1], [2]]
    asked.go.set()
    assert await settled(*calls) == [10, 20, 30]


async def test_one_error_is_one_callers_and_a_raised_one_is_everybodys() -> None:
    asked = Asked()
    one, bad, three = await settled(*start(asked, 1, 13, 3))
    assert (one, three) == (10, 30)
    assert isinstance(bad, InvalidInput)
    asked.error = StoreUnavailable("away")
    one, two = await settled(*start(asked, 1, 2))
    assert isinstance(one, StoreUnavailable)
    assert isinstance(two, StoreUnavailable)
    assert one is not two
    asked.error = None
    assert await settled(*start(asked, 5)) == [50]


async def test_who_comes_the_moment_a_round_ends_is_answered() -> None:
    asked = Asked()
    async with asyncio.timeout(5):
        # in one task, so that the next call follows the answer without the loop in between
        answers = [await asked.gather(question) for question in range(1, 12)]
    assert answers == [10 * question for question in range(1, 12)]
    asked.error = StoreUnavailable("away")
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(asked.gather(1), 5)


async def test_a_caller_that_gives_up_takes_nobody_along() -> None:
    asked = Asked()
    asked.go.clear()
    gone, stays = start(asked, 1, 2)
    await asyncio.sleep(0)
    gone.cancel()
    asked.go.set()
    assert await asyncio.wait_for(stays, 5) == 20


def test_a_new_event_loop_begins_anew() -> None:
    asked = asyncio.run(_leave_one_waiting())
    asked.go = asyncio.Event()
    asked.go.set()

    async def again() -> int:
        return await asked.gather(7)

    assert asyncio.run(again()) == 70


async def _leave_one_waiting() -> Asked:
    asked = Asked()
    asked.go.clear()
    (call,) = start(asked, 1)
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    return asked
