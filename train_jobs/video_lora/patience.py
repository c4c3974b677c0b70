"""Which faults of a stage are worth another try, and after how long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio

from thornback.errors import ThornbackError, Unavailable
from train_jobs.common.failures import classify

T = TypeVar("T")

# Seconds before each further try: 13 minutes in all, in which a service restarts and a full disk finds room.
WAITS_S: Sequence[float] = (2.0, 8.0, 30.0, 60.0, 120.0, 240.0, 300.0)


def is_transient(error: Exception) -> bool:
    """True where the same call may work a little later."""
    if isinstance(error, ThornbackError):
        return isinstance(error, Unavailable)
    if isinstance(error, OSError):
        return not isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError | IsADirectoryError)
    return classify(error).is_retryable


async def patiently(
    work: Callable[[], Awaitable[T]], *, say: Callable[[str], None], waits_s: Sequence[float] | None = None
) -> T:
    """Do it, and again after each transient fault. Raises the first other one, or the last.

    Args:
        work: may be called several times.
        say: hears what went wrong and when it is tried again.
        waits_s: seconds before each further try; left out: WAITS_S.
    """
    for wait_s in WAITS_S if waits_s is None else waits_s:
        try:
            return await work()
        except Exception as error:
            if not is_transient(error):
                raise
            say(f"{classify(error).message}; again in {wait_s:g} s")
        await anyio.sleep(wait_s)
    return await work()
