"""Where Ray Tune runs its trials: threads of this process instead of actors.

A trial here only follows its job, which has processes of its own. An actor for each would cost a process of 180 MB and
seconds of imports to wait for it. Tune's controller asks its actor manager for actors and for calls of their methods,
and hears of what came of them one at a time; this is that manager, with threads. It follows the constraints' version
of Ray: the names are those that `ray.tune.execution.tune_controller` uses.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Protocol

import ray
from ray.air.execution._internal.tracked_actor import TrackedActor


class Seat(Protocol):
    """What follows one trial."""

    def interrupt(self) -> None:
        """Whatever is waited for in another thread, do not wait for it any more."""
        ...


@dataclass(slots=True)
class _Taken:
    """A seat, its thread, and how many of its calls are not heard any more."""

    seat: Any
    thread: ThreadPoolExecutor
    unheard: int = 0
    handle: Any = field(
        default_factory=lambda: SimpleNamespace(get_auto_filled_metrics=SimpleNamespace(remote=lambda **_: {}))
    )


@dataclass(frozen=True, slots=True)
class _Outcome:
    actor: TrackedActor
    number: int  # of `unheard` when it was asked for
    future: Future[Any]
    on_result: Callable[..., Any] | None
    on_error: Callable[..., Any] | None


class Seats:
    """Tune's RayActorManager, as far as its controller uses it."""

    def __init__(self, make: Callable[..., Any], before_start: Callable[[], None]) -> None:
        """`make` a seat of a trial's `config` and `storage`; `before_start`: called before new ones begin."""
        self._make, self._before_start = make, before_start
        self._waiting: dict[TrackedActor, dict[str, Any]] = {}
        self._taken: dict[TrackedActor, _Taken] = {}
        self._outcomes: queue.SimpleQueue[_Outcome] = queue.SimpleQueue()
        self._made = 0
        # What the controller takes a handle from.
        self._live_actors_to_ray_actors_resources: dict[TrackedActor, tuple[Any, Any]] = {}

    @property
    def num_live_actors(self) -> int:
        """Seats that are taken."""
        return len(self._taken)

    @property
    def num_pending_actors(self) -> int:
        """Trials that wait for `next`."""
        return len(self._waiting)

    @property
    def num_total_actors(self) -> int:
        """Both."""
        return len(self._taken) + len(self._waiting)

    @property
    def num_actor_tasks(self) -> int:
        """Tune buffers results by it; ours come one by one."""
        return 0

    def get_live_actors_resources(self) -> dict[str, float]:
        """None: the trials' jobs have their own."""
        return {}

    def is_actor_started(self, tracked_actor: TrackedActor) -> bool:
        """Whether it has its seat."""
        return tracked_actor in self._taken

    def is_actor_failed(self, tracked_actor: TrackedActor) -> bool:
        """A thread does not fail."""
        return False

    def add_actor(
        self,
        cls: Any,
        resource_request: Any,
        kwargs: dict[str, Any],
        on_start: Callable[..., None] | None = None,
        on_stop: Callable[..., None] | None = None,
        on_error: Callable[..., None] | None = None,
    ) -> TrackedActor:
        """Begin with the next `next`."""
        self._made += 1
        actor = TrackedActor(self._made, on_start=on_start, on_stop=on_stop, on_error=on_error)
        self._waiting[actor] = kwargs
        return actor

    def next(self, timeout: float | None = None) -> bool:
        """Let the controller hear of one thing, or seat all that wait. False where nothing happened in time."""
        if self._waiting:
            self._start()
            return True
        try:
            outcome = self._outcomes.get(timeout=timeout)
        except queue.Empty:
            return False
        taken = self._taken.get(outcome.actor)
        if taken is not None and outcome.number == taken.unheard:
            _tell(outcome)
        return True

    def schedule_actor_task(
        self,
        tracked_actor: TrackedActor,
        method_name: str,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        on_result: Callable[..., None] | None = None,
        on_error: Callable[..., None] | None = None,
        _return_future: bool = False,
    ) -> Any:
        """Call a method in the seat's thread, after those before it."""
        taken = self._taken.get(tracked_actor)
        if taken is None:
            return None
        future = taken.thread.submit(getattr(taken.seat, method_name), *(args or ()), **(kwargs or {}))
        outcome = _Outcome(tracked_actor, taken.unheard, future, on_result, on_error)
        future.add_done_callback(lambda _: self._outcomes.put(outcome))
        if not _return_future or method_name == "stop":
            return None
        # Only PBT waits for what it has a trial save, and it asks Ray for it.
        return ray.put(None if future.exception() else future.result())

    def clear_actor_task_futures(self, tracked_actor: TrackedActor) -> None:
        """What was asked for before is not heard any more."""
        taken = self._taken.get(tracked_actor)
        if taken is not None:
            taken.unheard += 1
            taken.seat.interrupt()

    def remove_actor(self, tracked_actor: TrackedActor, kill: bool = False, stop_future: Any = None) -> bool:
        """Give the seat up, after what was asked for. True where it was taken."""
        if self._waiting.pop(tracked_actor, None) is not None:
            return False
        taken = self._taken.get(tracked_actor)
        if taken is None:
            return False
        taken.seat.interrupt()
        left = taken.thread.submit(lambda: None)

        def leave(actor: TrackedActor, _: Any) -> None:
            self._leave(actor)

        left.add_done_callback(lambda _: self._outcomes.put(_Outcome(tracked_actor, taken.unheard, left, leave, None)))
        return True

    def cleanup(self) -> None:
        """Give all seats up."""
        self._waiting.clear()
        for actor, taken in list(self._taken.items()):
            taken.seat.interrupt()
            self._leave(actor, tell=False)

    def _start(self) -> None:
        self._before_start()
        waiting, self._waiting = self._waiting, {}
        for actor, kwargs in waiting.items():
            seat = self._make(**kwargs)
            taken = _Taken(seat, ThreadPoolExecutor(1, thread_name_prefix=f"trial {actor.actor_id}"))
            self._taken[actor] = taken
            self._live_actors_to_ray_actors_resources[actor] = (taken.handle, None)
            if actor._on_start is not None:
                actor._on_start(actor)

    def _leave(self, actor: TrackedActor, *, tell: bool = True) -> None:
        taken = self._taken.pop(actor, None)
        self._live_actors_to_ray_actors_resources.pop(actor, None)
        if taken is not None:
            taken.thread.shutdown(wait=False)
        if tell and actor._on_stop is not None:
            actor._on_stop(actor)


def _tell(outcome: _Outcome) -> None:
    error = outcome.future.exception()
    if error is not None:
        if outcome.on_error is not None:
            outcome.on_error(outcome.actor, error)
    elif outcome.on_result is not None:
        outcome.on_result(outcome.actor, outcome.future.result())
