"""The simulator as an ASGI application: both providers and the control of faults on one address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette

from thornback.simulator import fal_routes, fal_storage, replicate_library, replicate_routes
from thornback.simulator.control import Control
from thornback.simulator.fal_json import webhook_body
from thornback.simulator.gate import Gates
from thornback.simulator.orders import Order
from thornback.simulator.replicate_json import order_body
from thornback.simulator.simulator import Simulator
from thornback.simulator.wire import dump


def create_app(sim: Simulator | None = None) -> Starlette:
    """Replicate below /v1, fal's queue below /{owner}/{alias}, the simulator's own API below /simulator."""
    sim = sim or Simulator()

    def body_of(order: Order) -> bytes:
        body = webhook_body(order) if order.provider == "fal" else order_body(order, sim.url)
        return dump(body, raw_controls="control_characters" in order.mishaps)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        orders = asyncio.create_task(sim.scheduler.run())
        yield
        orders.cancel()
        with suppress(asyncio.CancelledError):
            await orders
        await sim.scheduler.close()
        await sim.webhooks.close()

    sim.body_of = body_of
    gates = Gates(sim)
    fal = fal_routes.routes(gates)  # last, but for its list: its addresses match almost anything
    routes = [
        *Control(sim, gates.operations).routes(),
        *fal[:2],
        *replicate_routes.routes(gates),
        *replicate_library.routes(gates),
        *fal_storage.routes(gates),
        *fal[2:],
    ]
    return Starlette(routes=routes, lifespan=lifespan)
