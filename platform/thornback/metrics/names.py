"""The names of the metrics actors in Ray, and who is found by them.

One alone, and number 0 of several, has the plain name: a driver of another release knows no other, and whichever of
them is told something hands on what is not its own.
"""

from __future__ import annotations

import time
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayActorError, RayError
from ray.util import list_named_actors

from thornback.errors import BackendError, Unavailable
from thornback.jobs.shards import shard_of

METRICS_ACTOR = "thornback-metrics"

_GONE_S = 20.0
_LOOK_S = 0.05


def actor_name(number: int, count: int) -> str:
    """Of one of so many."""
    return METRICS_ACTOR if number == 0 else f"{METRICS_ACTOR}-{number}-of-{count}"


def actor_names(count: int) -> list[str]:
    """Of all, by their numbers."""
    return [actor_name(number, count) for number in range(count)]


def find_metrics_actor(namespace: str, name: str = METRICS_ACTOR) -> ActorHandle[Any]:
    """The actor that runs. Blocks for a call to Ray's control store.

    Raises:
        Unavailable: there is none, or this process is not connected to Ray.
    """
    if not ray.is_initialized():
        raise Unavailable("this process is not connected to Ray")  # and must not start a cluster by accident
    try:
        return ray.get_actor(name, namespace=namespace)
    except (ValueError, RayError) as error:
        raise Unavailable(
            f"there is no {name} actor in namespace {namespace!r}; start the platform with `thornback up`"
        ) from error


def find_actor_of(job_id: str, namespace: str) -> ActorHandle[Any]:
    """The actor that has this job, of however many run. Blocks and raises as `find_metrics_actor`."""
    if not ray.is_initialized():
        raise Unavailable("this process is not connected to Ray")
    count = max(len(running_recorders(namespace)), 1)
    try:
        return find_metrics_actor(namespace, actor_name(shard_of(job_id, count), count))
    except Unavailable:
        return find_metrics_actor(namespace)  # they are being replaced: the first hands on


def running_recorders(namespace: str) -> list[str]:
    """The names of the metrics actors that there are."""
    found = list_named_actors(all_namespaces=True)
    names = (str(actor["name"]) for actor in found if actor["namespace"] == namespace)
    return sorted(name for name in names if name == METRICS_ACTOR or name.startswith(f"{METRICS_ACTOR}-"))


def end_recorders(namespace: str) -> None:
    """End all that there are, for good; blocks until their names are free. Raises BackendError where they stay."""
    names = running_recorders(namespace)
    for name in names:
        try:
            ray.kill(ray.get_actor(name, namespace=namespace), no_restart=True)
        except (ValueError, RayActorError):
            continue  # it is gone already
    deadline = time.monotonic() + _GONE_S
    while set(running_recorders(namespace)) & set(names):
        if time.monotonic() > deadline:
            raise BackendError(f"the actors {', '.join(names)} do not end; look at the dashboard")
        time.sleep(_LOOK_S)
