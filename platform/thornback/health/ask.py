"""Asking one part how it is: bounded in time, and whatever goes wrong is an answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from thornback.errors import ThornbackError

CHECK_S = 2.0  # the longest that one part may take to answer

# Answers with details, or raises: a ThornbackError says what is wrong.
Check = Callable[[], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What became of a check."""

    error: str | None
    took_ms: float
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the part works."""
        return self.error is None


async def ask(check: Check, *, within_s: float = CHECK_S) -> Found:
    """Ask one part; raises nothing."""
    begun = time.perf_counter()
    error: str | None = None
    detail: Mapping[str, Any] = {}
    try:
        async with asyncio.timeout(within_s):
            detail = await check()
    except TimeoutError:
        error = f"no answer within {within_s:g} s"
    except ThornbackError as problem:
        error = problem.message
    except Exception as problem:  # noqa: BLE001 - whatever is wrong with a part, the answer is that it is wrong
        error = type(problem).__name__
    return Found(error=error, took_ms=round((time.perf_counter() - begun) * 1000, 2), detail=detail)


async def ask_all(checks: Mapping[str, Check], *, within_s: float = CHECK_S) -> dict[str, Found]:
    """Ask all of them at once: together they take no longer than the slowest."""
    answers = await asyncio.gather(*(ask(check, within_s=within_s) for check in checks.values()))
    return dict(zip(checks, answers, strict=True))
