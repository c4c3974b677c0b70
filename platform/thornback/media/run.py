"""Where the work on a video runs: here, in threads or processes of this machine, or elsewhere.

Scene detection and extraction cut a video into pieces and map a pure function over them. A `Runner` is that
map. It gets a function that stands in a module and items that can be pickled, and yields the results in the
order of the items, each as soon as it and those before it are done. Results are small (numbers and encoded
pictures), so a runner may carry them between machines. The items of this package have a `path` of the video;
a runner for other machines brings the file there and puts its own path in (`dataclasses.replace`).
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

Tell = Callable[[float], None]
"""Hears the finished share of the work, 0 to 1, rising. What it raises ends the work: so one cancels."""


class Runner(Protocol):
    """Maps a pure function over items."""

    @property
    def workers(self) -> int:
        """How many items run at once. The work is cut to fit this number."""
        ...

    def __call__(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Results in the order of the items; the first error of the function is raised."""
        ...


class _Inline:
    workers = 1

    def __call__(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        return (work(item) for item in items)


inline: Runner = _Inline()
"""One item after the other, in this process."""


class _Pool:
    def __init__(self, workers: int, make: Callable[[int], Executor]) -> None:
        self.workers = workers
        self._make = make

    def __call__(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        pool = self._make(max(1, min(self.workers, len(items))))
        try:
            for future in [pool.submit(work, item) for item in items]:
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def threads(workers: int) -> Runner:
    """Threads of this process. Decoders and OpenCV let go of the interpreter's lock, so they do run side by side.

    Nothing has to be started, but a decoder that crashes takes the process along.
    """
    return _pool(workers, ThreadPoolExecutor)


def processes(workers: int) -> Runner:
    """Processes of this machine, started for each map: about 0.5 s of CPU time apiece.

    A script that uses this needs the usual `if __name__ == "__main__":`, since its processes import it.
    """
    return _pool(workers, _start_processes)


def _pool(workers: int, make: Callable[[int], Executor]) -> Runner:
    if workers < 1:
        raise ValueError("workers must be at least 1")
    return inline if workers == 1 else _Pool(workers, make)


def _start_processes(workers: int) -> Executor:
    # Not forked: a copy of a process with threads (a decoder's, a database driver's) may hang.
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def told(results: Iterable[Result], weights: Sequence[float], tell: Tell | None) -> Iterator[Result]:
    """The results again; after each, `tell` hears the share of the weights that is done."""
    total = sum(weights) or 1.0
    done = 0.0
    for result, weight in zip(results, weights, strict=True):
        yield result
        done += weight
        if tell is not None:
            tell(min(1.0, done / total))
