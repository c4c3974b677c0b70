"""The real API on a real port over SQLite, in a thread beside the synchronous command line."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import pytest
from typer.testing import CliRunner, Result

from tests.fixtures.api import ApiPlatform, api_on, eventually, serving
from thornback.cli.main import app
from thornback.jobs.events import JobEvent
from thornback.jobs.state import JobState

DEADLINE_S = 30.0
T = TypeVar("T")


class LiveApi:
    """A platform and its server, driven from another thread."""

    def __init__(self, database_url: str, home: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="live-api", daemon=True)
        self._thread.start()
        self._platform_stack = AsyncExitStack()
        self._server_stack = AsyncExitStack()
        self.platform: ApiPlatform = self.run(self._platform_stack.enter_async_context(api_on(database_url, home)))
        self.url = ""

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something on the platform's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(DEADLINE_S)

    def start_server(self, **changes: Any) -> None:
        """On a free port; again on the same one after a stop. `changes` are settings."""
        port = int(self.url.rpartition(":")[2]) if self.url else 0
        self.replica = self.platform.app(**changes)
        self.url = f"http://{self.run(self._server_stack.enter_async_context(serving(self.replica, port=port)))}"

    @property
    def clients(self) -> int:
        """How many follow a stream now."""
        count: int = self.replica.state.context.hub.client_count
        return count

    def stop_server(self) -> None:
        """Streams end, the port is closed."""
        self.run(self._server_stack.aclose())

    def create(self, name: str = "a job", **config: Any) -> JobState:
        """A job in the queue."""
        return self.run(self.platform.create(name, **config))

    def record(self, *events: JobEvent) -> None:
        """What workers and dispatcher say."""
        self.run(self.platform.record(*events))

    def meanwhile(self, *steps: Callable[[], Any]) -> threading.Thread:
        """Do these in another thread as soon as somebody follows a stream."""

        def work() -> None:
            self.run(eventually(lambda: self.clients > 0))
            for step in steps:
                step()

        thread = threading.Thread(target=work, name="meanwhile")
        thread.start()
        return thread

    def close(self) -> None:
        """End the server, the writer and the thread."""
        self.run(self._server_stack.aclose())
        self.run(self._platform_stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_S)
        self._loop.close()


@pytest.fixture
def live(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveApi]:
    """A running API; THORNBACK_URL leads there."""
    monkeypatch.setenv("THORNBACK_HOME", str(tmp_path / "home"))
    api = LiveApi(sqlite_url, tmp_path)
    try:
        api.start_server()
        monkeypatch.setenv("THORNBACK_URL", api.url)
        yield api
    finally:
        api.close()


@pytest.fixture
def run_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`run_cli("list", "--json")`; a home of its own, so that no node of the developer is found."""
    monkeypatch.setenv("THORNBACK_HOME", str(tmp_path / "home"))

    def run(*arguments: object, **options: Any) -> Result:
        return CliRunner().invoke(app, [str(item) for item in arguments], catch_exceptions=False, **options)

    return run
