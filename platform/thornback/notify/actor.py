"""The sender as a Ray actor: named, detached, restarts by itself, takes no CPU."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError

from thornback.errors import Unavailable
from thornback.log import configure_logging, get_logger
from thornback.metrics.actor import HEAD_NODE
from thornback.settings import Settings

NOTIFY_ACTOR = "thornback-notify"

log = get_logger("notify")

_OPTIONS: Mapping[str, Any] = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "max_concurrency": 4}
_CONNECT_RETRY_S = 0.5
_HEALTH_S = 2.0


class NotifyActor:
    """A Sender in a thread with an event loop of its own, so that it also runs after a restart by Ray."""

    def __init__(self, settings: Settings) -> None:
        configure_logging(settings.log_level, secrets=settings.secrets)
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._sender: Any = None
        self._connecting = "it is starting"
        threading.Thread(target=self._run, name="notify", daemon=True).start()

    def health(self) -> dict[str, Any]:
        """See Sender.health; before it runs `ready` is False and `problem` says what is awaited."""
        about = {"pid": os.getpid(), "ready": self._sender is not None}
        return {**about, "problem": self._connecting} if self._sender is None else {**about, **self._sender.health()}

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._main())
        except BaseException:
            # It never ends by itself. Where it does, a fresh process is the cure, and Ray starts one.
            log.exception("the sender of webhooks ended")
            os._exit(1)

    async def _main(self) -> None:
        # Loaded in the actor's own process: whoever starts it needs no SQL.
        from thornback.metrics.actor import ActorRecorder, connect
        from thornback.net.client import GuardedClient
        from thornback.notify.clock import SystemClock
        from thornback.notify.sender import Sender
        from thornback.notify.targets import open_targets, transport
        from thornback.store.engine import open_engine

        recorder: ActorRecorder | None = None
        while recorder is None:
            try:
                recorder = await asyncio.to_thread(connect, self._settings)
            except Unavailable as error:
                self._connecting = error.message
                await asyncio.sleep(_CONNECT_RETRY_S)
        async with GuardedClient(transport=transport(self._settings)) as http:
            self._sender = Sender(
                recorder=recorder,
                engine=open_engine(self._settings.database_url),
                targets=open_targets(http, self._settings),
                settings=self._settings,
                clock=SystemClock(),
            )
            await self._sender.run()


def sender_health(settings: Settings) -> Callable[[], Awaitable[dict[str, Any]]]:
    """A function that asks the actor how it is doing, and raises Unavailable where it does not do well."""

    async def check() -> dict[str, Any]:
        try:
            actor: Any = await asyncio.to_thread(ray.get_actor, NOTIFY_ACTOR, settings.namespace)
            health: dict[str, Any] = await asyncio.to_thread(ray.get, actor.health.remote(), timeout=_HEALTH_S)
        except (ValueError, RayError) as error:
            raise Unavailable(f"the sender of webhooks is away: {str(error) or type(error).__name__}") from error
        if not health["ready"]:
            raise Unavailable(f"the sender of webhooks waits: {health['problem']}", health=health)
        return health

    return check


def start_sender(settings: Settings) -> ActorHandle[Any]:
    """Start the actor, or find the one that runs. Ray must be initialised.

    Raises:
        SettingsError: the list of allowed addresses cannot be used.
    """
    from thornback.net.rules import AddressRules

    AddressRules.of(settings)  # says here what the actor could only say in its log
    actor_class: Any = ray.remote(**_OPTIONS)(NotifyActor)
    handle: ActorHandle[Any] = actor_class.options(
        name=NOTIFY_ACTOR,
        namespace=settings.namespace,
        lifetime="detached",
        get_if_exists=True,
        resources=HEAD_NODE,
    ).remote(settings)
    return handle
