"""A body that keeps coming."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

IDLE_S = 30.0  # a client that sends nothing for so long has gone, whatever its connection says


async def awake(stream: AsyncIterator[bytes], idle_s: float = IDLE_S) -> AsyncIterator[bytes]:
    """The pieces of `stream`. Raises TimeoutError after so long a silence, and what the stream raises."""
    while True:
        async with asyncio.timeout(idle_s):
            piece = await anext(stream, None)
        if piece is None:
            return
        yield piece
