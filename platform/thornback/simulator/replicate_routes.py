"""Replicate's HTTP API: trainings and predictions."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from thornback.simulator import replicate_runs
from thornback.simulator.faults import ORDER_FAULTS
from thornback.simulator.gate import Gates
from thornback.simulator.ids import replicate_id
from thornback.simulator.intake import take
from thornback.simulator.models import Hosted, ImageModel, Trainer
from thornback.simulator.orders import Order, Status
from thornback.simulator.replicate_json import order_body
from thornback.simulator.scheduler import Run
from thornback.simulator.simulator import Simulator
from thornback.simulator.wire import answer, replicate_problem

_PAGE = 100
_EVENTS = frozenset({"start", "output", "logs", "completed"})
_DEFAULT_EVENTS = frozenset({"output", "completed"})
_NO_VERSION = "The specified version does not exist (or perhaps you don't have permission to use it?)"


def routes(gates: Gates) -> list[Route]:
    """All of them."""
    name = "/v1/models/{owner}/{name}"
    return [
        gates.route("POST", f"{name}/versions/{{version}}/trainings", "replicate.trainings.create", create_training),
        gates.route("POST", f"{name}/predictions", "replicate.predictions.create", create_prediction),
        gates.route("POST", "/v1/deployments/{owner}/{name}/predictions", "replicate.predictions.create", deployment),
        gates.route("POST", "/v1/predictions", "replicate.predictions.create", create_prediction),
        gates.route("GET", "/v1/trainings", "replicate.trainings.list", list_trainings),
        gates.route("GET", "/v1/predictions", "replicate.predictions.list", list_predictions),
        *(
            route
            for kind in ("trainings", "predictions")
            for route in (
                gates.route("GET", f"/v1/{kind}/{{id}}", f"replicate.{kind}.get", get_order),
                gates.route("POST", f"/v1/{kind}/{{id}}/cancel", f"replicate.{kind}.cancel", cancel_order),
            )
        ),
    ]


async def create_training(sim: Simulator, request: Request) -> Response:
    """POST /v1/models/{owner}/{name}/versions/{version}/trainings."""
    model, version = _name(request), request.path_params["version"]
    hosted = sim.models.get(model)
    trainer = hosted.model if hosted else None
    if hosted is None or not isinstance(trainer, Trainer) or version not in hosted.versions:
        return replicate_problem(422, _NO_VERSION, title="Invalid version or not permitted")
    body = await _body(request)
    destination = body.get("destination")
    if destination not in sim.models:
        return replicate_problem(404, "The specified training destination does not exist")
    order = _order(sim, "training", model, version, body)
    order.destination = destination
    await _begin(sim, order, replicate_runs.training(sim, order, trainer))
    return _answer(sim, order, 201)


async def create_prediction(sim: Simulator, request: Request) -> Response:
    """POST /v1/predictions, and /v1/models/{owner}/{name}/predictions of official models."""
    body = await _body(request)
    found = _official(sim, request) if "owner" in request.path_params else _versioned(sim, str(body.get("version", "")))
    if isinstance(found, Response):
        return found
    model, version, hosted = found
    if isinstance(hosted.model, ImageModel) and not (body.get("input") or {}).get("prompt"):
        fields = [{"type": "required", "field": "input", "description": "prompt is required"}]
        words = "- input: prompt is required\n"
        return replicate_problem(422, words, title="Input validation failed", invalid_fields=fields)
    order = _order(sim, "prediction", model, version, body)
    run: Run
    if isinstance(hosted.model, Trainer):
        run = replicate_runs.training(sim, order, hosted.model)
    else:
        run = replicate_runs.prediction(sim, order, hosted.model)
    await _begin(sim, order, run)
    return await _wait(sim, order, request.headers.get("prefer", ""))


async def deployment(sim: Simulator, request: Request) -> Response:
    """POST /v1/deployments/{owner}/{name}/predictions: every model is deployed under its own name."""
    return await create_prediction(sim, request)


async def list_trainings(sim: Simulator, request: Request) -> Response:
    """GET /v1/trainings, newest first."""
    return _list(sim, request, "training")


async def list_predictions(sim: Simulator, request: Request) -> Response:
    """GET /v1/predictions, newest first."""
    return _list(sim, request, "prediction")


async def get_order(sim: Simulator, request: Request) -> Response:
    """GET of either; a training can be had as a prediction too."""
    order = _find(sim, request)
    return _answer(sim, order, 200) if isinstance(order, Order) else order


async def cancel_order(sim: Simulator, request: Request) -> Response:
    """POST …/cancel; one that has ended stays as it is."""
    order = _find(sim, request)
    if not isinstance(order, Order):
        return order
    if not order.is_final:
        sim.end(order, Status.CANCELED)
    return _answer(sim, order, 200)


def _order(
    sim: Simulator, kind: Literal["training", "prediction"], model: str, version: str, body: Mapping[str, Any]
) -> Order:
    events = body.get("webhook_events_filter")
    wanted = frozenset(events) & _EVENTS if isinstance(events, list) else _DEFAULT_EVENTS
    webhook = body.get("webhook")
    return Order(
        id=replicate_id(),
        provider="replicate",
        kind=kind,
        endpoint=model,
        version=version,
        inputs=body.get("input") or {},
        created_at=sim.clock.now(),
        webhook=webhook if isinstance(webhook, str) else None,
        events=wanted,
        mishaps=sim.faults.take_all(f"replicate.{kind}s.create", ORDER_FAULTS),
    )


async def _begin(sim: Simulator, order: Order, run: Run) -> None:
    await take(sim, order, run, f"replicate.{order.kind}s.create")


def _answer(sim: Simulator, order: Order, status: int) -> Response:
    return answer(order_body(order, sim.url), status, raw_controls="control_characters" in order.mishaps)


async def _wait(sim: Simulator, order: Order, prefer: str) -> Response:
    """Hold the answer back while the client is willing to wait: `Prefer: wait` or `wait=5`, real seconds."""
    asked = re.search(r"\bwait(?:=(\d+))?", prefer)
    if asked is None:
        return _answer(sim, order, 201)
    try:
        async with asyncio.timeout(min(int(asked[1] or 60), 60)):
            while not order.is_final:
                await order.changed.wait()
    except TimeoutError:
        pass
    return _answer(sim, order, 201 if order.is_final else 202)


def _list(sim: Simulator, request: Request, kind: str) -> Response:
    orders = [order for order in sim.orders if order.kind == kind and not sim.has_vanished(order)][::-1]
    start = _cursor(request.query_params.get("cursor"))
    page = orders[start : start + _PAGE]
    link: Callable[[int], str] = lambda place: f"{sim.url}{request.url.path}?cursor={_encoded(place)}"  # noqa: E731
    return answer(
        {
            "previous": link(max(start - _PAGE, 0)) if start else None,
            "next": link(start + _PAGE) if start + _PAGE < len(orders) else None,
            "results": [order_body(order, sim.url) for order in page],
        },
        raw_controls=any("control_characters" in order.mishaps for order in page),
    )


def _cursor(text: str | None) -> int:
    return int(base64.urlsafe_b64decode(text).decode().partition("=")[2]) if text else 0


def _encoded(place: int) -> str:
    return base64.urlsafe_b64encode(f"o={place}".encode()).decode()


def _find(sim: Simulator, request: Request) -> Order | Response:
    order = sim.orders.get(request.path_params["id"])
    if order is None or order.provider != "replicate" or sim.has_vanished(order):
        return replicate_problem(404, "The requested resource could not be found.")
    return order


def _official(sim: Simulator, request: Request) -> tuple[str, str, Hosted] | Response:
    model = _name(request)
    hosted = sim.models.get(model)
    deployed = request.url.path.startswith("/v1/deployments/")
    if hosted is None or not (hosted.official or (deployed and hosted.versions)):  # others need a version
        return replicate_problem(404, "The requested resource could not be found.")
    return model, "hidden" if hosted.official else hosted.versions[-1], hosted


def _versioned(sim: Simulator, version: str) -> tuple[str, str, Hosted] | Response:
    wanted = version.rpartition(":")[2]
    for name, hosted in sim.models.items():
        if wanted in hosted.versions:
            return name, wanted, hosted
    return replicate_problem(422, _NO_VERSION, title="Invalid version or not permitted")


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _name(request: Request) -> str:
    return f"{request.path_params['owner']}/{request.path_params['name']}"
