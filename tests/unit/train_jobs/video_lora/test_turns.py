from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest

from train_jobs.video_lora import turns as module
from train_jobs.video_lora.turns import Turns

# Draws a ticket, says so, and waits to be killed.
HOLDER = """
import sys, time
from pathlib import Path
from train_jobs.video_lora.turns import Turns
ticket, file = Turns(Path(sys.argv[1]), slots=1)._draw()
print("drawn", flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.005)


def tickets(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has a turn."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "drawn\n"
        yield process
    process.kill()
    process.wait(30)


def nobody(before: int) -> None:
    raise AssertionError(f"there is a free turn, and {before} are before this one")


async def test_so_many_at_once_in_the_order_of_arrival(tmp_path: Path) -> None:
    turns = Turns(tmp_path, slots=2)
    began: list[int] = []
    most = 0
    leave = {number: anyio.Event() for number in range(5)}

    async def want(number: int, drawn: anyio.Event) -> None:
        nonlocal most

        def waiting(before: int) -> None:
            drawn.set()

        async with turns.take(waiting):
            drawn.set()
            began.append(number)
            most = max(most, turns.busy())
            await leave[number].wait()

    async with anyio.create_task_group() as group:
        for number in range(5):
            drawn = anyio.Event()
            group.start_soon(want, number, drawn)
            await drawn.wait()
        for number in range(5):
            leave[number].set()
    assert began == [0, 1, 2, 3, 4]
    assert most == 2
    assert tickets(tmp_path) == []


async def test_a_waiting_one_hears_how_many_are_before_it(tmp_path: Path) -> None:
    turns = Turns(tmp_path, slots=1)
    told: list[int] = []
    first = AsyncExitStack()
    await first.enter_async_context(turns.take(nobody))

    def waiting(before: int) -> None:
        told.append(before)
        first_left.set()

    first_left = anyio.Event()

    async def leave() -> None:
        await first_left.wait()
        await first.aclose()

    async with anyio.create_task_group() as group:
        group.start_soon(leave)
        async with turns.take(waiting):
            assert told == [1]


async def test_who_gives_up_waiting_leaves_no_ticket(tmp_path: Path) -> None:
    turns = Turns(tmp_path, slots=1)
    async with turns.take(nobody):
        with anyio.CancelScope() as scope:
            async with turns.take(lambda before: scope.cancel()):
                raise AssertionError("it has no turn")
        assert len(tickets(tmp_path)) == 1


async def test_the_turn_of_a_killed_process_is_free(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    turns = Turns(tmp_path, slots=1)
    told: list[int] = []

    def waiting(before: int) -> None:
        told.append(before)
        holder.kill()

    async with turns.take(waiting):
        assert told == [1]
        assert turns.busy() == 1
    assert tickets(tmp_path) == []
