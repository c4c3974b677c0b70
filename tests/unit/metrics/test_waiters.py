from __future__ import annotations

import asyncio
import threading

from thornback.metrics.waiters import Waiters


async def test_everyone_who_waits_is_woken_once() -> None:
    waiters = Waiters()
    futures = [waiters.add() for _ in range(3)]
    assert len(waiters) == 3
    waiters.wake()
    async with asyncio.timeout(5):
        await asyncio.gather(*futures)
    assert len(waiters) == 0


async def test_who_gave_up_is_not_counted_and_not_woken() -> None:
    waiters = Waiters()
    stays, leaves = waiters.add(), waiters.add()
    waiters.discard(leaves)
    waiters.discard(leaves)
    waiters.wake()
    async with asyncio.timeout(5):
        await stays
    assert not leaves.done()


async def test_every_event_loop_is_woken_from_any_thread() -> None:
    waiters = Waiters()
    ready = threading.Barrier(3)

    def another_loop() -> None:
        async def wait() -> None:
            future = waiters.add()
            ready.wait(10)
            async with asyncio.timeout(10):
                await future

        asyncio.run(wait())

    threads = [threading.Thread(target=another_loop) for _ in range(2)]
    for thread in threads:
        thread.start()
    mine = waiters.add()
    await asyncio.to_thread(ready.wait, 10)
    await asyncio.to_thread(waiters.wake)
    async with asyncio.timeout(10):
        await mine
    for thread in threads:
        await asyncio.to_thread(thread.join, 10)
        assert not thread.is_alive()


async def test_a_loop_that_was_closed_meanwhile_hurts_nobody() -> None:
    waiters = Waiters()

    def closed_loop() -> None:
        async def leave_without_a_word() -> None:
            waiters.add()

        asyncio.run(leave_without_a_word())

    await asyncio.to_thread(closed_loop)
    mine = waiters.add()
    waiters.wake()
    async with asyncio.timeout(5):
        await mine
