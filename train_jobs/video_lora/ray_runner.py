"""The map of `thornback.media.run` as Ray tasks of one core each."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import ray
from ray.exceptions import RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from thornback.errors import ThornbackError
from thornback.media.run import Runner, inline
from thornback.settings import Settings
from train_jobs.video_lora.elsewhere import VideoAt, brought

Item = TypeVar("Item")
Result = TypeVar("Result")

LOOK_S = 0.2
AHEAD = 2  # results that may wait for one before them, for each core: they are pictures


class RayRunner:
    """A Runner on the whole cluster, or on one of its machines."""

    def __init__(
        self,
        task: Callable[[Callable[[Any], Any], Any], Any],
        *,
        workers: int,
        most: Callable[[], int],
        check: Callable[[], None],
        node_id: str | None = None,
    ) -> None:
        """Nothing is started yet.

        Args:
            task: calls a function of an item, in the task.
            workers: cores that there are; the work is cut to fit them.
            most: how many tasks there may be at this moment, so that others get their share.
            check: called while waiting; what it raises ends all tasks.
            node_id: the machine, where it has to be a certain one.
        """
        self._workers, self._most, self._check = workers, most, check
        where = NodeAffinitySchedulingStrategy(node_id, soft=False) if node_id else "SPREAD"
        remote: Any = ray.remote  # its types know neither this strategy nor that a function may be any
        self._task = remote(num_cpus=1, max_retries=2, scheduling_strategy=where)(task)

    @property
    def workers(self) -> int:
        """See Runner."""
        return self._workers

    def __call__(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """See Runner."""
        waiting = deque(items)
        started: deque[Any] = deque()  # in the order of the items
        running: list[Any] = []
        try:
            while waiting or started:
                while waiting and len(running) < max(1, self._most()) and len(started) < AHEAD * self._workers:
                    started.append(self._task.remote(work, waiting.popleft()))
                    running.append(started[-1])
                self._check()
                ray.wait([started[0]], timeout=LOOK_S)
                _, running = ray.wait(running, num_returns=len(running), timeout=0) if running else ([], [])
                while started and started[0] not in running:
                    yield result_of(started.popleft())
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


def on_cluster(video: VideoAt, settings: Settings, *, most: Callable[[], int], check: Callable[[], None]) -> Runner:
    """For pieces of a video, which have its `path`: that is put right on each machine."""

    def task(work: Callable[[Any], Any], item: Any) -> Any:
        _one_thread()
        if Path(video.path).is_file() or video.uri is None:
            return work(item)
        with brought(video, settings) as path:
            return work(dataclasses.replace(item, path=type(item.path)(path)))

    return RayRunner(task, workers=cores(), most=most, check=check)


def on_this_machine(*, most: Callable[[], int], check: Callable[[], None]) -> Runner:
    """For files of this machine. Where Ray has no core of it to give, it is done in this process."""
    node_id = ray.get_runtime_context().get_node_id()
    count = next((int(node["Resources"].get("CPU", 0)) for node in _nodes() if node["NodeID"] == node_id), 0)
    if count == 0:
        return inline

    def task(work: Callable[[Any], Any], item: Any) -> Any:
        _one_thread()
        return work(item)

    return RayRunner(task, workers=count, most=most, check=check, node_id=node_id)


def result_of(reference: Any) -> Any:
    """What a task or an actor answers; an error of ours comes as what it was."""
    try:
        return ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, ThornbackError):
            raise type(error.cause).rebuild(error.cause.message, error.cause.details) from None
        raise


def cores() -> int:
    """Of the whole cluster."""
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return max(1, int(resources.get("CPU", 1.0)))


def has_other_machines() -> bool:
    """True where tasks may run on another machine than this."""
    return len([node for node in _nodes() if node["Alive"] and node["Resources"].get("CPU", 0.0) > 0]) > 1


def _nodes() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return found


def _one_thread() -> None:
    import cv2

    cv2.setNumThreads(1)
