"""fal's HTTP API: the queue, and the list of requests of its platform API."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from thornback.simulator import fal_runs
from thornback.simulator.fal_json import listed_body, result_body, status_body, submitted_body
from thornback.simulator.faults import ORDER_FAULTS
from thornback.simulator.gate import Gates
from thornback.simulator.ids import request_id
from thornback.simulator.intake import take
from thornback.simulator.models import FAL
from thornback.simulator.orders import Order, Status
from thornback.simulator.scheduler import Run
from thornback.simulator.simulator import Simulator
from thornback.simulator.wire import answer, dump, fal_problem

_NOT_FOUND = "Request not found"
_STOP_S = 1.0  # what a machine needs to notice
_HEARTBEAT_S = 15.0  # of the status stream, real seconds


def routes(gates: Gates) -> list[Route]:
    """All of them; the last ones take whatever looks like an endpoint."""
    one = "/{owner}/{alias}/requests/{id}"
    listing = "/models/requests/by-endpoint"
    return [
        gates.route("GET", f"/v1{listing}", "fal.requests.list", list_requests),
        gates.route("GET", listing, "fal.requests.list", list_requests),
        gates.route("GET", f"{one}/status/stream", "fal.requests.stream", stream),
        gates.route("GET", f"{one}/status", "fal.requests.status", status),
        gates.route("GET", one, "fal.requests.result", result),
        gates.route("PUT", f"{one}/cancel", "fal.requests.cancel", cancel),
        gates.route("POST", "/{owner}/{alias}", "fal.requests.create", submit),
        gates.route("POST", "/{owner}/{alias}/{path:path}", "fal.requests.create", submit),
    ]


async def submit(sim: Simulator, request: Request) -> Response:
    """POST /{endpoint}?fal_webhook=…: whatever comes is queued, and judged when its turn comes."""
    endpoint = request.url.path.strip("/")
    model = FAL.get(endpoint)
    if model is None:
        return fal_problem(404, f"Application '{endpoint}' not found")
    try:
        inputs = json.loads(await request.body() or b"{}")
    except ValueError:
        return fal_problem(422, [{"loc": ["body"], "msg": "JSON decode error", "type": "json_invalid"}])
    mishaps = sim.faults.take_all("fal.requests.create", ORDER_FAULTS)
    id = request_id()
    order = Order(
        id=id,
        gateway_id=request_id() if "requeued" in mishaps else id,
        provider="fal",
        kind="request",
        endpoint=endpoint,
        inputs=inputs,
        created_at=sim.clock.now(),
        webhook=request.query_params.get("fal_webhook"),
        events=frozenset({"completed"}),
        mishaps=mishaps,
        ttl_s=_lifetime(request),
    )
    await take(sim, order, fal_runs.request(sim, order, model), "fal.requests.create")
    return answer(submitted_body(order, sim.url, _position(sim, order)))


async def status(sim: Simulator, request: Request) -> Response:
    """GET …/status: 200 when it has ended, 202 before."""
    order = _find(sim, request)
    if not isinstance(order, Order):
        return order
    body = _status(sim, request, order)
    return answer(body, 200 if order.is_final else 202, raw_controls="control_characters" in order.mishaps)


async def stream(sim: Simulator, request: Request) -> Response:
    """GET …/status/stream: server-sent events, one for each change, until it has ended."""
    order = _find(sim, request)
    if not isinstance(order, Order):
        return order
    return StreamingResponse(_changes(sim, request, order), media_type="text/event-stream")


async def result(sim: Simulator, request: Request) -> Response:
    """GET of the request: its output, or why there is none."""
    order = _find(sim, request)
    if not isinstance(order, Order):
        return order
    if not order.is_final:
        return fal_problem(400, "Request is still in progress")
    headers = {"x-fal-request-id": order.id}
    if order.error_type and order.result_status != 422:
        headers["x-fal-error-type"] = order.error_type
    return answer(result_body(order), order.result_status, headers=headers)


async def cancel(sim: Simulator, request: Request) -> Response:
    """PUT …/cancel: from the queue at once; what already runs stops a moment later."""
    order = _find(sim, request)
    if not isinstance(order, Order):
        return answer({"status": "NOT_FOUND"}, 404)
    if order.is_final:
        return answer({"status": "ALREADY_COMPLETED"}, 400)
    run = _stop(sim, order)
    if order.status is Status.STARTING:
        await anext(run, None)
    sim.scheduler.add(run)
    return answer({"status": "CANCELLATION_REQUESTED"}, 202)


async def list_requests(sim: Simulator, request: Request) -> Response:
    """GET /v1/models/requests/by-endpoint: newest end first, of the last day unless `start` says otherwise."""
    query = request.query_params
    endpoints = {part for text in query.getlist("endpoint_id") for part in text.split(",")}
    if not endpoints:
        return fal_problem(422, [{"loc": ["query", "endpoint_id"], "msg": "field required", "type": "missing"}])
    start = _moment(query.get("start")) or sim.clock.now() - timedelta(days=1)
    end = _moment(query.get("end")) or datetime.max.replace(tzinfo=UTC)
    wanted = query.get("request_id")
    orders = [
        order
        for order in sim.orders
        if order.endpoint in endpoints
        and start <= order.created_at < end
        and (order.is_final or sim.scenario.list_unfinished)
        and wanted in (None, order.id)
        and _is(order, query.get("status"))
    ]
    orders.sort(key=lambda order: order.completed_at or datetime.max.replace(tzinfo=UTC), reverse=True)
    size, page = min(int(query.get("limit", "50")), 100), _page(query.get("cursor"))
    rows = orders[(page - 1) * size : page * size]
    more = page * size < len(orders)
    payloads = "payloads" in ",".join(query.getlist("expand"))
    return answer(
        {
            "items": [listed_body(order, payloads=payloads) for order in rows],
            "next_cursor": base64.b64encode(str(page + 1).encode()).decode() if more else None,
            "has_more": more,
        }
    )


async def _stop(sim: Simulator, order: Order) -> Run:
    if order.status is Status.PROCESSING:
        yield _STOP_S
    if not order.is_final:
        order.result_status, order.error_type = 499, "request_cancelled"
        sim.end(order, Status.CANCELED, error="Request was cancelled")


def _lifetime(request: Request) -> float | None:
    """Seconds that the files of a request shall stay, as its header says."""
    try:
        wish = json.loads(request.headers.get("x-fal-object-lifecycle-preference", "null"))
    except ValueError:
        return None
    seconds = wish.get("expiration_duration_seconds") if isinstance(wish, dict) else None
    return float(seconds) if isinstance(seconds, int | float) else None


def _find(sim: Simulator, request: Request) -> Order | Response:
    order = sim.orders.get(request.path_params["id"])
    app = f"{request.path_params['owner']}/{request.path_params['alias']}"
    if order is None or order.provider != "fal" or sim.has_vanished(order):
        return fal_problem(404, _NOT_FOUND)
    return order if "/".join(order.endpoint.split("/")[:2]) == app else fal_problem(404, _NOT_FOUND)


def _status(sim: Simulator, request: Request, order: Order) -> dict[str, Any]:
    logs = request.query_params.get("logs", "0").lower() in ("1", "true")
    return status_body(order, sim.url, _position(sim, order), logs=logs)


def _position(sim: Simulator, order: Order) -> int:
    ahead = [other for other in sim.orders if other.provider == "fal" and other.status is Status.STARTING]
    return ahead.index(order) if order in ahead else 0


async def _changes(sim: Simulator, request: Request, order: Order) -> AsyncIterator[bytes]:
    while True:
        changed = order.changed
        yield b"data: " + dump(_status(sim, request, order)) + b"\n\n"
        if order.is_final:
            return
        try:
            async with asyncio.timeout(_HEARTBEAT_S):
                await changed.wait()
        except TimeoutError:
            pass


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _page(cursor: str | None) -> int:
    return int(base64.b64decode(cursor)) if cursor else 1


def _is(order: Order, status: str | None) -> bool:
    if status is None:
        return True
    code = order.result_status
    return status == ("success" if code < 400 else "user_error" if code < 500 else "error")
