"""A function in a process of its own, with its CPU seconds, those of its children, wall seconds and memory."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Cost(Generic[Result]):
    """`cpu_s` has the children that ended before the function did; `peak_mb` is what it grew by meanwhile."""

    result: Result
    cpu_s: float
    wall_s: float
    peak_mb: float
    child_peak_mb: float


def cpu_now() -> float:
    """Of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def inside(sender: Connection, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Unpickling has imported the function's module; that is not counted."""
    own_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, wall = cpu_now(), time.perf_counter()
    result = call(*arguments)
    cost = Cost(
        result=result,
        cpu_s=cpu_now() - cpu,
        wall_s=time.perf_counter() - wall,
        peak_mb=(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - own_before) / 1024,
        child_peak_mb=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    )
    sender.send(cost)
    sender.close()


def measured(call: Callable[..., Result], *arguments: object) -> Cost[Result]:
    """Call it once in a fresh process; the function must stand in a module. Tells its cost to stderr as well."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=inside, args=(sender, call, arguments))
    process.start()
    sender.close()
    cost: Cost[Result] | None = None
    with contextlib.suppress(EOFError):
        cost = receiver.recv()
    process.join()
    if cost is None:
        raise RuntimeError(f"{call} ended with {process.exitcode} before its result")
    told = " ".join(argument.name if isinstance(argument, Path) else str(argument) for argument in arguments)
    print(f"{call.__name__} {told}: {cost.cpu_s:.1f} s CPU, {cost.wall_s:.1f} s wall", file=sys.stderr, flush=True)
    return cost


def middle(costs: list[Cost[Result]]) -> tuple[float, float]:
    """CPU and wall seconds, the medians."""
    return median(cost.cpu_s for cost in costs), median(cost.wall_s for cost in costs)
