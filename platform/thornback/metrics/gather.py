"""Calls that are made at the same time, joined into one: while a round runs, the next one gathers. Pure asyncio."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from thornback.errors import ThornbackError
from thornback.log import get_logger

Q = TypeVar("Q")
A = TypeVar("A")

_log = get_logger("gather")


class Gatherer(Generic[Q, A]):
    """Asks many questions at once. A question that is asked while nothing runs does not wait for others."""

    def __init__(
        self,
        ask: Callable[[list[Q]], Awaitable[Sequence[A | ThornbackError]]],
        *,
        weigh: Callable[[Q], int] = lambda _question: 1,
        most: int = 200,
        rounds: int = 1,
    ) -> None:
        """Make one; it belongs to the event loop that uses it, and to the next one once that is gone.

        Args:
            ask: answers questions in their order, each with its answer or its error; or raises for all.
            weigh: what a question weighs.
            most: the weight of one round; a heavier question goes alone.
            rounds: that may run at once.
        """
        self._ask = ask
        self._weigh = weigh
        self._most = most
        self._rounds = rounds
        self._line: _Line[Q, A] | None = None

    async def __call__(self, question: Q) -> A:
        """The answer. Raises what `ask` gave or raised."""
        loop = asyncio.get_running_loop()
        line = self._line
        if line is None or line.loop is not loop:
            line = self._line = _Line(loop)
        answer: asyncio.Future[A] = loop.create_future()
        line.waiting.append((question, answer))
        if line.rounds < self._rounds:
            line.rounds += 1
            # a task of its own: a caller that gives up must not take the others with it
            task = loop.create_task(self._run(line))
            line.tasks.add(task)
            task.add_done_callback(line.tasks.discard)
        return await answer

    async def _run(self, line: _Line[Q, A]) -> None:
        try:
            while round := self._take(line.waiting):
                _settle(round, await self._answers([question for question, _ in round]))
        finally:
            # Nothing is awaited between the last look at the line and this: who comes later begins a round.
            line.rounds -= 1

    async def _answers(self, questions: list[Q]) -> Sequence[A | ThornbackError]:
        try:
            return await self._ask(questions)
        except ThornbackError as error:
            return [error] * len(questions)
        except Exception as error:  # noqa: BLE001 - callers wait; without an answer they would do so for ever
            _log.exception("calls that were joined failed", calls=len(questions))
            return [ThornbackError(f"the call failed: {type(error).__name__}: {error}")] * len(questions)

    def _take(self, waiting: deque[tuple[Q, asyncio.Future[A]]]) -> list[tuple[Q, asyncio.Future[A]]]:
        round: list[tuple[Q, asyncio.Future[A]]] = []
        weight = 0
        while waiting:
            weight += self._weigh(waiting[0][0])
            if round and weight > self._most:
                break
            round.append(waiting.popleft())
        return round


class _Line(Generic[Q, A]):
    """Who waits on one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self.rounds = 0  # that run
        self.tasks: set[asyncio.Task[None]] = set()  # the loop itself does not keep them alive


def _settle(round: list[tuple[Q, asyncio.Future[A]]], answers: Sequence[A | ThornbackError]) -> None:
    for (_, future), answer in zip(round, answers, strict=True):
        if future.done():
            continue  # the caller has gone
        if isinstance(answer, ThornbackError):
            # a copy each: an exception that was raised carries the traceback of whoever raised it
            future.set_exception(type(answer).rebuild(answer.message, answer.details))
        else:
            future.set_result(answer)
