"""The simulator's own HTTP API: order faults, look at what came and went, turn the clock.

POST   /simulator/faults      {"kind": "lost_answer", "on": "replicate.*.create", "times": 1}
GET    /simulator/faults      those to come, the kinds there are, and the calls
DELETE /simulator/faults      nothing goes wrong from now on
GET    /simulator/orders      everything that was taken
GET    /simulator/requests    every call that came
GET    /simulator/deliveries  every webhook that was sent
POST   /simulator/advance     {"seconds": 60}: turn the clock; answers when what was due is done
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from thornback.simulator.faults import KINDS
from thornback.simulator.orders import Order
from thornback.simulator.simulator import Simulator
from thornback.simulator.webhooks import Delivery
from thornback.simulator.wire import answer


class Control:
    """Its endpoints; none asks for credentials."""

    def __init__(self, sim: Simulator, operations: Collection[str]) -> None:
        self._sim = sim
        self._operations = operations

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/simulator/faults", self.add_fault, methods=["POST"]),
            Route("/simulator/faults", self.faults, methods=["GET"]),
            Route("/simulator/faults", self.clear_faults, methods=["DELETE"]),
            Route("/simulator/orders", self.orders, methods=["GET"]),
            Route("/simulator/requests", self.requests, methods=["GET"]),
            Route("/simulator/deliveries", self.deliveries, methods=["GET"]),
            Route("/simulator/advance", self.advance, methods=["POST"]),
        ]

    async def add_fault(self, request: Request) -> Response:
        """POST /simulator/faults."""
        try:
            fault = self._sim.faults.add(**json.loads(await request.body()))
        except (ValueError, TypeError) as error:
            return answer({"detail": str(error)}, 422)
        return answer(asdict(fault), 201)

    async def faults(self, request: Request) -> Response:
        """GET /simulator/faults."""
        calls = sorted(self._operations)
        return answer({"faults": self._sim.faults.pending(), "kinds": dict(KINDS), "calls": calls})

    async def clear_faults(self, request: Request) -> Response:
        """DELETE /simulator/faults."""
        self._sim.faults.clear()
        return Response(status_code=204)

    async def orders(self, request: Request) -> Response:
        """GET /simulator/orders."""
        return answer([_order(order) for order in self._sim.orders])

    async def requests(self, request: Request) -> Response:
        """GET /simulator/requests."""
        return answer([{**asdict(seen), "at": seen.at.isoformat()} for seen in self._sim.requests])

    async def deliveries(self, request: Request) -> Response:
        """GET /simulator/deliveries."""
        return answer([_delivery(delivery) for delivery in self._sim.webhooks.deliveries])

    async def advance(self, request: Request) -> Response:
        """POST /simulator/advance."""
        seconds = json.loads(await request.body())["seconds"]
        await self._sim.scheduler.advance(float(seconds))
        return answer({"now": self._sim.clock.now().isoformat()})


def _order(order: Order) -> dict[str, Any]:
    return {
        "id": order.id,
        "provider": order.provider,
        "kind": order.kind,
        "endpoint": order.endpoint,
        "status": str(order.status),
        "created_at": order.created_at.isoformat(),
        "input": dict(order.inputs),
        "webhook": order.webhook,
        "mishaps": sorted(order.mishaps),
    }


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "order": delivery.order_id,
        "event": delivery.event,
        "status": delivery.status,
        "attempt": delivery.attempt,
        "sent_at": delivery.sent_at.isoformat(),
        "answer": delivery.answer,
        "error": delivery.error,
        "fault": delivery.fault,
    }
