"""Requests as fal writes them: in answers, in webhooks, in its list."""

from __future__ import annotations

from typing import Any

from thornback.simulator.orders import Order, Status
from thornback.simulator.wire import milliseconds

UNSERIALISABLE = "Response payload is not JSON serializable. Either return a JSON serializable object or use the queue."


def request_urls(order: Order, url: str) -> dict[str, str]:
    """The three addresses of a request; they lack the endpoint's sub-path."""
    owner, alias = order.endpoint.split("/")[:2]
    base = f"{url}/{owner}/{alias}/requests/{order.id}"
    return {"response_url": base, "status_url": f"{base}/status", "cancel_url": f"{base}/cancel"}


def submitted_body(order: Order, url: str, position: int) -> dict[str, Any]:
    """The answer to a submission."""
    return {
        "status": "IN_QUEUE",
        "request_id": order.id,
        "gateway_request_id": order.gateway_id,
        **request_urls(order, url),
        "queue_position": position,
    }


def status_body(order: Order, url: str, position: int, *, logs: bool) -> dict[str, Any]:
    """The state of a request."""
    head = {"request_id": order.id, **request_urls(order, url)}
    if order.status is Status.STARTING:
        return {"status": "IN_QUEUE", "queue_position": position, **head}
    told = log_lines(order) if logs else None
    if order.status is Status.PROCESSING:
        return {"status": "IN_PROGRESS", "logs": told, **head}
    return {
        "status": "COMPLETED",
        "logs": told,
        "metrics": {"inference_time": inference_time(order)},
        **({"error": order.error, "error_type": order.error_type} if order.error else {}),
        **head,
    }


def log_lines(order: Order) -> list[dict[str, str]]:
    """The whole log, line by line."""
    return [
        {"message": line.text, "level": "STDERR", "source": "USER", "timestamp": milliseconds(line.at)}
        for line in order.lines
    ]


def inference_time(order: Order) -> float:
    """Seconds that a machine worked."""
    if order.started_at is None or order.completed_at is None:
        return 0.0
    return round((order.completed_at - order.started_at).total_seconds(), 6)


def result_body(order: Order) -> Any:
    """What the result of an ended request answers: its output, or why there is none."""
    if order.error is None:
        return order.output
    if order.result_status == 422:
        return {"detail": order.output}
    return {"detail": order.error, "error_type": order.error_type}


def webhook_body(order: Order) -> dict[str, Any]:
    """The only webhook of a request."""
    head = {"request_id": order.id, "gateway_request_id": order.gateway_id}
    if order.error is not None:
        words = f"Invalid status code: {order.result_status}" if order.result_status == 422 else order.error
        return {**head, "status": "ERROR", "error": words, "payload": result_body(order)}
    if "payload_error" in order.mishaps:
        return {**head, "status": "OK", "payload": None, "payload_error": UNSERIALISABLE}
    return {**head, "status": "OK", "error": None, "payload": order.output}


def listed_body(order: Order, *, payloads: bool) -> dict[str, Any]:
    """A row of the list of requests."""
    row: dict[str, Any] = {
        "request_id": order.id,
        "endpoint_id": order.endpoint,
        "sent_at": milliseconds(order.created_at),
        "started_at": milliseconds(order.started_at or order.created_at),
    }
    if order.completed_at is not None:
        row |= {
            "ended_at": milliseconds(order.completed_at),
            "status_code": order.result_status,
            "duration": inference_time(order),
        }
    if payloads:
        row |= {"json_input": dict(order.inputs), "json_output": result_body(order) if order.is_final else None}
    return row
