"""The sender as a Ray actor: named, detached, restarts by itself, takes no CPU."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError

from thornback.errors import Unavailable
from thornback.metrics.service import ServiceActor, start_service
from thornback.settings import Settings

NOTIFY_ACTOR = "thornback-notify"

_HEALTH_S = 2.0


class NotifyActor(ServiceActor):
    """A Sender."""

    def __init__(self, settings: Settings) -> None:
        self._sender: Any = None
        super().__init__(settings, "sender of webhooks")

    def health(self) -> dict[str, Any]:
        """See Sender.health; before it runs `ready` is False and `problem` says what is awaited."""
        about = {"pid": os.getpid(), "ready": self._sender is not None}
        return {**about, "problem": self._awaited} if self._sender is None else {**about, **self._sender.health()}

    async def main(self) -> None:
        """Send."""
        from thornback.net.client import GuardedClient
        from thornback.notify.clock import SystemClock
        from thornback.notify.sender import Sender
        from thornback.notify.targets import open_targets, transport
        from thornback.store.engine import engine_of

        recorder = await self.recorder()
        async with GuardedClient(transport=transport(self._settings)) as http:
            self._sender = Sender(
                recorder=recorder,
                engine=engine_of(self._settings),
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
    return start_service(NotifyActor, NOTIFY_ACTOR, settings, settings, calls=4)
