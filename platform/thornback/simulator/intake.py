"""Takes an order: from here on it exists and would cost money, whatever becomes of the answer."""

from __future__ import annotations

from thornback.simulator.faults import WEBHOOK_FAULTS
from thornback.simulator.orders import Order, Status
from thornback.simulator.scheduler import Run
from thornback.simulator.simulator import Simulator

_EARLY = {"webhook_early": WEBHOOK_FAULTS["webhook_early"]}


async def take(sim: Simulator, order: Order, run: Run, operation: str) -> None:
    """Count the order and begin its run; with the fault `webhook_early`, after its first webhook has gone out."""
    sim.orders.add(order)
    sim.on_order(order)
    fault = sim.faults.take(operation, _EARLY) or sim.faults.take("webhook.early", _EARLY)
    delay: float | None = 0.0
    if fault is not None and order.webhook is not None:
        while order.delivery is None and delay is not None:
            delay = await anext(run, None)
        if order.delivery is not None:
            await order.delivery
    if delay is not None:
        sim.scheduler.add(while_alive(order, run), delay)


async def while_alive(order: Order, run: Run) -> Run:
    """The run, until its order is cancelled."""
    async for delay in run:
        yield delay
        if order.status is Status.CANCELED:
            await run.aclose()
            return
