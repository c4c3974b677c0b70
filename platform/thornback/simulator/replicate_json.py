"""Orders, models, files and pages as Replicate writes them."""

from __future__ import annotations

from typing import Any

from thornback.simulator.files import StoredFile
from thornback.simulator.models import Hosted
from thornback.simulator.orders import Order
from thornback.simulator.wire import microseconds, milliseconds, nanoseconds

_CREATED = "2024-08-21T11:03:06.417Z"


def order_body(order: Order, url: str) -> dict[str, Any]:
    """A training or a prediction; what is not known yet is left out."""
    body: dict[str, Any] = {
        "id": order.id,
        "model": order.endpoint,
        "version": order.version,
        "input": dict(order.inputs),
        "logs": order.logs,
        "output": order.output,
        "data_removed": order.removed,
        "error": order.error,
        "source": "api",
        "status": str(order.status),
        "created_at": milliseconds(order.created_at),
    }
    if order.started_at is not None:
        body["started_at"] = nanoseconds(order.started_at)
    if order.completed_at is not None:
        body["completed_at"] = microseconds(order.completed_at)
    if order.kind == "prediction":
        body["deadline"] = None
    body["urls"] = _urls(order, url)
    if metrics := _metrics(order):
        body["metrics"] = metrics
    return body


def _urls(order: Order, url: str) -> dict[str, str]:
    # trainings too: the true service names them as predictions
    get = f"{url}/v1/predictions/{order.id}"
    urls = {"get": get, "cancel": f"{get}/cancel", "web": f"{url}/p/{order.id}"}
    return urls | ({"stream": f"{url}/v1/stream/{order.id}"} if order.kind == "prediction" else {})


def _metrics(order: Order) -> dict[str, float]:
    if order.completed_at is None or order.started_at is None:
        return {}
    metrics = {
        "predict_time": round((order.completed_at - order.started_at).total_seconds(), 6),
        "total_time": round((order.completed_at - order.created_at).total_seconds(), 6),
    }
    return metrics | ({"image_count": order.image_count} if order.image_count else {})


def model_body(name: str, hosted: Hosted, url: str) -> dict[str, Any]:
    """A model."""
    owner, _, short = name.partition("/")
    latest = version_body(hosted.versions[-1]) if hosted.versions else None
    return {
        "url": f"{url}/{name}",
        "owner": owner,
        "name": short,
        "description": hosted.extras.get("description"),
        "visibility": hosted.extras.get("visibility", "public"),
        "github_url": None,
        "paper_url": None,
        "license_url": None,
        "run_count": 0,
        "cover_image_url": None,
        "default_example": None,
        "latest_version": latest,
    }


def version_body(id: str) -> dict[str, Any]:
    """A version of a model."""
    return {"id": id, "created_at": _CREATED, "cog_version": "0.9.20", "openapi_schema": {}}


def file_body(file: StoredFile, url: str) -> dict[str, Any]:
    """An uploaded file."""
    return {
        "id": file.id,
        "name": file.name,
        "content_type": file.content_type,
        "size": len(file.body),
        "etag": file.sha256,
        "checksums": {"sha256": file.sha256},
        "metadata": file.metadata,
        "created_at": milliseconds(file.created_at),
        "expires_at": milliseconds(file.expires_at) if file.expires_at else None,
        "urls": {"get": f"{url}/v1/files/{file.id}"},
    }
