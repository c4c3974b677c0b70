"""What the actors around the recorder share: an event loop in a thread, the recorder awaited, a restart when it ends.

A named, detached actor takes no CPU and restarts by itself. Its work runs in a thread with a loop of its own, since
Ray calls a restarted actor's constructor and nothing else.
"""

from __future__ import annotations

import asyncio
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import ray
from ray.actor import ActorHandle

from thornback.errors import Unavailable
from thornback.log import get_logger
from thornback.metrics.actor import HEAD_NODE, connect
from thornback.metrics.one_node import require_file_node
from thornback.metrics.port import Recorder
from thornback.settings import Settings
from thornback.telemetry.process import begin

log = get_logger("service")

_OPTIONS: Mapping[str, Any] = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
_CONNECT_RETRY_S = 0.5


class ServiceActor(ABC):
    """An actor whose `main` runs until the process ends."""

    def __init__(self, settings: Settings, title: str) -> None:
        """`title` names it in the logs."""
        begin(settings, title)
        require_file_node(settings)
        self._settings = settings
        self._title = title
        self._loop = asyncio.new_event_loop()
        self._awaited = "it is starting"
        """Why it does not work yet."""
        threading.Thread(target=self._run, name=title, daemon=True).start()

    @abstractmethod
    async def main(self) -> None:
        """The work. What needs SQL is imported in here: whoever starts the actor needs none."""

    async def recorder(self) -> Recorder:
        """The recorder, as soon as there is one."""
        while True:
            try:
                return await asyncio.to_thread(connect, self._settings)
            except Unavailable as error:
                self._awaited = error.message
                await asyncio.sleep(_CONNECT_RETRY_S)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self.main())
        except BaseException:
            # It never ends by itself. Where it does, a fresh process is the cure, and Ray starts one.
            log.exception("a service ended", service=self._title)
            os._exit(1)


def start_service(
    kind: type[ServiceActor], name: str, settings: Settings, *arguments: Any, calls: int
) -> ActorHandle[Any]:
    """Start an actor beside the metrics actor, or find the one that runs. Ray must be initialised.

    Args:
        kind: its class, made of the `arguments`.
        name: of the actor, in the namespace of the settings.
        settings: of the platform.
        arguments: for its constructor.
        calls: so many may be in progress at once.
    """
    actor_class: Any = ray.remote(**_OPTIONS)(kind)
    handle: ActorHandle[Any] = actor_class.options(
        name=name,
        namespace=settings.namespace,
        lifetime="detached",
        get_if_exists=True,
        resources=HEAD_NODE,
        max_concurrency=calls,
    ).remote(*arguments)
    return handle
