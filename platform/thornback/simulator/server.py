"""Runs the simulator in a thread, on a free port, for tests and for the command line."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from thornback.simulator.app import create_app
from thornback.simulator.faults import Faults
from thornback.simulator.orders import OrderBook
from thornback.simulator.scenario import Scenario
from thornback.simulator.simulator import SeenRequest, Simulator
from thornback.simulator.webhooks import Delivery
from thornback.simulator.wire import HANGUP

_START_S = 30.0
_MAX_STEPS = 1_000_000


class _Protocol(H11Protocol):
    """Tells the application how to break its connection off."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        inner = self.app

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            extensions = {**scope.get("extensions", {}), HANGUP: self.transport.abort}
            await inner({**scope, "extensions": extensions}, receive, send)

        self.app = app


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    `socket.create_server` names no protocol, and asyncio then leaves Nagle's algorithm on: 40 ms for each answer.
    """
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


class _Server(uvicorn.Server):
    """Tells when it serves, and ends as soon as it is told to."""

    def __init__(self, config: uvicorn.Config, ready: threading.Event) -> None:
        super().__init__(config)
        self._ready = ready
        self._ending = asyncio.Event()

    def end(self) -> None:
        """To be called on its loop."""
        self.should_exit = True
        self._ending.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        self._ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End; where nobody waits for an answer, without the 0.1 s that uvicorn gives them."""
        if self.server_state.tasks:
            await super().shutdown(sockets)
            return
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await self.lifespan.shutdown()

    async def main_loop(self) -> None:
        """Keep the Date header going; uvicorn's own loop takes up to 0.1 s to see that it shall end."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._ending.wait()


class SimulatorServer:
    """A running simulator; a context manager.

    On a clock that stands, nothing happens but in `advance` and `run_all`, which return when everything that
    was due is done, webhooks and their answers included. They block: a receiver must not live on the event
    loop that calls them; `advance_async` is for that.
    """

    def __init__(self, scenario: Scenario | None = None, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.simulator = Simulator(scenario)
        self.url = ""  # known once it is started
        self._address = (host, port)
        self._socket: socket.socket | None = None
        config = uvicorn.Config(
            create_app(self.simulator),
            http=_Protocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        self._ready = threading.Event()
        self._server = _Server(config, self._ready)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._main, name="simulator", daemon=True)

    @property
    def faults(self) -> Faults:
        """What goes wrong."""
        return self.simulator.faults

    @property
    def orders(self) -> OrderBook:
        """Everything that was taken."""
        return self.simulator.orders

    @property
    def requests(self) -> tuple[SeenRequest, ...]:
        """Every call that came."""
        return tuple(self.simulator.requests)

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """Every webhook that was sent, oldest first."""
        return tuple(self.simulator.webhooks.deliveries)

    @property
    def scenario(self) -> Scenario:
        """How it behaves."""
        return self.simulator.scenario

    @property
    def replicate_token(self) -> str:
        """What Replicate lets in."""
        return self.scenario.replicate_token

    @property
    def fal_key(self) -> str:
        """What fal lets in."""
        return self.scenario.fal_key

    @property
    def webhook_secret(self) -> str:
        """What Replicate's webhooks are signed with: whsec_…"""
        return self.scenario.webhook_secret

    @property
    def jwks_url(self) -> str:
        """Where the keys of fal's webhooks are."""
        return f"{self.url}/.well-known/jwks.json"

    @property
    def environment(self) -> dict[str, str]:
        """The settings that point Thornback here."""
        return {
            "THORNBACK_REPLICATE_URL": self.url,
            "THORNBACK_REPLICATE_API_TOKEN": self.replicate_token,
            "THORNBACK_REPLICATE_WEBHOOK_SECRETS": self.webhook_secret,
            "THORNBACK_FAL_URL": self.url,
            "THORNBACK_FAL_KEY": self.fal_key,
            "THORNBACK_FAL_JWKS_URL": self.jwks_url,
            # Its answers name files of its own, and loopback is reached for nobody without leave.
            "THORNBACK_FETCH_ALLOW": urlsplit(self.url).netloc,
        }

    def advance(self, seconds: float = 0.0) -> None:
        """Turn the clock by provider seconds."""
        self._call(self.simulator.scheduler.advance(seconds))

    async def advance_async(self, seconds: float = 0.0) -> None:
        """The same, for callers on an event loop of their own."""
        await asyncio.wrap_future(self._submit(self.simulator.scheduler.advance(seconds)))

    def run_all(self) -> None:
        """Turn the clock until every order has ended and its webhooks are out."""
        self._call(self._run_all())

    async def run_all_async(self) -> None:
        """The same, for callers on an event loop of their own."""
        await asyncio.wrap_future(self._submit(self._run_all()))

    def start(self) -> Self:
        """Begin to serve. Raises OSError where the port is taken, RuntimeError where it does not come up."""
        self._socket = _listen(*self._address)
        host, port = self._socket.getsockname()[:2]
        self.url = self.simulator.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self._thread.start()
        if not self._ready.wait(_START_S) or not self._server.started:
            raise RuntimeError("the simulator did not start")
        return self

    def stop(self) -> None:
        """End it, also what it still does."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._server.end)
        self._thread.join()
        if self._socket is not None:
            self._socket.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _main(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._server.serve(None if self._socket is None else [self._socket])

    async def _run_all(self) -> None:
        scheduler = self.simulator.scheduler
        for _ in range(_MAX_STEPS):
            await scheduler.settle()
            if all(order.is_final or order.mishaps & {"stuck", "vanish"} for order in self.orders):
                return
            if not await scheduler.advance_to_next():
                return

    def _submit(self, work: Coroutine[Any, Any, None]) -> Any:
        if self._loop is None:
            raise RuntimeError("the simulator is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        self._submit(work).result()
