"""Asking providers about jobs that run there, through whoever follows them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from thornback.errors import ThornbackError, Unavailable

# A page that many people have open asks the provider no more often than this.
FRESH_S = 2.0
# How long an answer may take before the reader is told what is known without it.
LOOK_S = 8.0


class Tracker(Protocol):
    """Follows the jobs at one provider."""

    async def sync(self, job_id: str) -> object:
        """Look at the provider and commit what is new of the job. Raises ProviderUnavailable, OrderUnknown."""
        ...

    async def import_training(self, provider_id: str) -> str:
        """Take over a training that was started elsewhere; returns the job's id, also where it is known already.

        Raises OrderUnknown, ProviderUnavailable.
        """
        ...

    async def health(self) -> Mapping[str, Any]:
        """How the provider is doing."""
        ...


# The tracker of a provider, found or not; raises Unavailable where there can be none.
Trackers = Callable[[str], Tracker]


def no_trackers(provider: str) -> Tracker:
    """Where nothing follows providers."""
    raise Unavailable(f"nothing follows {provider} here")


class Tracking:
    """The trackers, with calls for the same job joined."""

    def __init__(self, trackers: Trackers) -> None:
        self._trackers = trackers
        self._looks: dict[str, asyncio.Task[object]] = {}

    def tracker(self, provider: str) -> Tracker:
        """The tracker of a provider. Raises Unavailable."""
        return self._trackers(provider)

    async def sync(self, provider: str, job_id: str) -> None:
        """See Tracker.sync; one that began within the last seconds is waited for instead of another."""
        look = self._looks.get(job_id)
        if look is None:
            look = asyncio.create_task(self._sync(provider, job_id), name=f"sync {job_id}")
            look.add_done_callback(_heard)
            self._looks[job_id] = look
            asyncio.get_running_loop().call_later(FRESH_S, self._looks.pop, job_id, None)
        # Whoever hangs up must not take it from the others.
        await asyncio.shield(look)

    async def try_sync(self, provider: str, job_id: str) -> str | None:
        """`sync` for a reader: why the provider could not be asked, None where it was."""
        try:
            async with asyncio.timeout(LOOK_S):
                await self.sync(provider, job_id)
        except TimeoutError:
            return f"{provider} has not answered within {LOOK_S:g} s"
        except ThornbackError as error:
            return error.message
        return None

    async def _sync(self, provider: str, job_id: str) -> object:
        return await self.tracker(provider).sync(job_id)


def _heard(look: asyncio.Task[object]) -> None:
    """Everybody who asked may be gone by the time that it fails."""
    if not look.cancelled():
        look.exception()
