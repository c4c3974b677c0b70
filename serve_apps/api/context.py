"""What the routes work with, made once per application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import Depends
from starlette.requests import HTTPConnection

from serve_apps.api.hub import Hub
from serve_apps.api.log_index import LogIndexes
from serve_apps.api.openid import OpenId
from serve_apps.api.storage_usage import StorageUsage
from serve_apps.api.tracking import Trackers, Tracking, no_trackers
from thornback.access.sealing import Sealer
from thornback.access.throttle import Throttle
from thornback.artifacts.links import Links, signing_secret
from thornback.artifacts.usage import measure
from thornback.health.parts import StorageCheck
from thornback.metrics.port import Recorder
from thornback.providers.catalogue import Catalogue, load_catalogue
from thornback.settings import Settings
from thornback.store.access import AccessReader
from thornback.store.read import StoreReader
from thornback.store.webhooks import WebhookReader
from thornback.webhooks.open import open_receiver
from thornback.webhooks.receive import Receiver

T = TypeVar("T")
HealthCheck = Callable[[], Awaitable[Mapping[str, Any]]]

# Fewer than the connections of SQLAlchemy's pool (5 and 10 more), so that no thread waits for one.
_READ_THREADS = 8


class Reads:
    """The database for async code: each question runs in a thread, a few at a time."""

    def __init__(self, reader: StoreReader) -> None:
        self._reader = reader
        self._threads = CapacityLimiter(_READ_THREADS)

    async def __call__(self, question: Callable[[StoreReader], T]) -> T:
        """Ask `question` of the reader off the event loop."""
        return await anyio.to_thread.run_sync(question, self._reader, limiter=self._threads)


class ApiContext:
    """The parts of one API process."""

    def __init__(
        self,
        *,
        settings: Settings,
        reader: StoreReader,
        recorder: Recorder,
        dispatcher_health: HealthCheck,
        ray_health: HealthCheck | None,
        sender_health: HealthCheck | None = None,
        trackers: Trackers = no_trackers,
    ) -> None:
        self.settings = settings
        self.reader = reader
        self.recorder = recorder
        self.dispatcher_health = dispatcher_health
        self.ray_health = ray_health
        self.sender_health = sender_health
        self.storage_health = StorageCheck(settings.storage)
        self.tracking = Tracking(trackers)
        self.links = Links(settings)
        self.read = Reads(reader)
        self.sign_ins = Throttle()
        self.log_indexes = LogIndexes()
        self.hub = Hub(
            recorder,
            self.read,
            max_streams=settings.max_streams,
            max_streams_per_user=settings.max_streams_per_user,
        )

    @cached_property
    def storage_usage(self) -> StorageUsage:
        """How full the storage is, as this replica has seen it."""
        return StorageUsage(lambda: measure(self.settings.storage), now=lambda: datetime.now(UTC))

    @cached_property
    def access(self) -> AccessReader:
        """Users, keys and sessions."""
        return AccessReader(self.reader.engine)

    @cached_property
    def webhooks(self) -> WebhookReader:
        """Webhooks out and what they were told."""
        return WebhookReader(self.reader.engine)

    @cached_property
    def sealer(self) -> Sealer:
        """Encrypts the secrets of webhooks out."""
        return Sealer(self.settings)

    @cached_property
    def openid(self) -> OpenId:
        """Where people sign in who have an account elsewhere. Raises SettingsError where none is set up."""
        return OpenId(self.settings)

    @cached_property
    def ticket_secret(self) -> bytes:
        """Signs tickets; every replica has the same."""
        return signing_secret(self.settings)

    @cached_property
    def catalogue(self) -> Catalogue:
        """Trainers and image models. Raises SettingsError where the user's own file is wrong."""
        return load_catalogue(self.settings)

    @cached_property
    def receiver(self) -> Receiver:
        """Takes providers' webhooks. Raises SettingsError as `catalogue` does."""
        return open_receiver(self.settings, catalogue=self.catalogue, ask=self.read, recorder=self.recorder)


def get_context(connection: HTTPConnection) -> ApiContext:
    """The context that `create_app` put on the application."""
    context: ApiContext = connection.app.state.context
    return context


Context = Annotated[ApiContext, Depends(get_context)]
