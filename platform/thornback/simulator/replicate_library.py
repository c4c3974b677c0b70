"""Replicate's HTTP API beside the orders: models, files, the account and the webhook secret."""

from __future__ import annotations

import email
import email.policy
import json
from email.message import EmailMessage

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from thornback.simulator.files import StoredFile
from thornback.simulator.gate import Gates
from thornback.simulator.models import Hosted, ImageModel
from thornback.simulator.replicate_json import file_body, model_body, version_body
from thornback.simulator.serve_file import serve
from thornback.simulator.simulator import Simulator
from thornback.simulator.wire import answer, replicate_problem

_NOT_FOUND = "The requested resource could not be found."
_UPLOAD_TTL_S = 86_400.0
_HARDWARE = (
    ("CPU", "cpu"),
    ("Nvidia T4 GPU", "gpu-t4"),
    ("Nvidia L40S GPU", "gpu-l40s"),
    ("Nvidia H100 GPU", "gpu-h100"),
)


def routes(gates: Gates) -> list[Route]:
    """All of them."""
    model, files = "/v1/models/{owner}/{name}", "/v1/files/{id}"
    return [
        gates.route("POST", "/v1/models", "replicate.models.add", create_model),
        gates.route("GET", "/v1/models", "replicate.models.list", list_models),
        gates.route("GET", model, "replicate.models.get", get_model),
        gates.route("DELETE", model, "replicate.models.delete", delete_model),
        gates.route("GET", f"{model}/versions", "replicate.versions.list", list_versions),
        gates.route("GET", f"{model}/versions/{{version}}", "replicate.versions.get", get_version),
        gates.route("POST", "/v1/files", "replicate.files.upload", create_file),
        gates.route("GET", "/v1/files", "replicate.files.list", list_files),
        gates.route("GET", files, "replicate.files.get", get_file),
        gates.route("DELETE", files, "replicate.files.delete", delete_file),
        gates.route("GET", f"{files}/download", "replicate.files.download", download_file),
        gates.route("GET", "/v1/webhooks/default/secret", "replicate.webhooks.secret", secret),
        gates.route("GET", "/v1/account", "replicate.account.get", account),
        gates.route("GET", "/v1/hardware", "replicate.hardware.list", hardware),
        gates.route("GET", "/delivery/xezq/{id}/{name}", "replicate.output.download", download_output, open=True),
        gates.route("GET", "/p/{id}", "replicate.page", page, open=True),
    ]


async def create_model(sim: Simulator, request: Request) -> Response:
    """POST /v1/models: a place for trainings to put their versions."""
    body = json.loads(await request.body())
    missing = [name for name in ("owner", "name", "visibility", "hardware") if not body.get(name)]
    if missing:
        fields = [{"type": "required", "field": name, "description": f"{name} is required"} for name in missing]
        words = "".join(f"- {name} is required\n" for name in missing)
        return replicate_problem(422, words, title="Input validation failed", invalid_fields=fields)
    key = f"{body['owner']}/{body['name']}"
    if body["owner"] != sim.scenario.account:
        return replicate_problem(403, "You do not have permission to perform this action.")
    if key in sim.models:
        words = "A model with that name and owner already exists"
        return replicate_problem(409, words, title="Model already exists")
    sim.models[key] = Hosted(model=ImageModel(), extras=body)
    return answer(model_body(key, sim.models[key], sim.url), 201)


async def list_models(sim: Simulator, request: Request) -> Response:
    """GET /v1/models."""
    return answer(_page([model_body(key, hosted, sim.url) for key, hosted in sim.models.items()]))


async def get_model(sim: Simulator, request: Request) -> Response:
    """GET /v1/models/{owner}/{name}."""
    key, hosted = _model(sim, request)
    return answer(model_body(key, hosted, sim.url)) if hosted else replicate_problem(404, _NOT_FOUND)


async def delete_model(sim: Simulator, request: Request) -> Response:
    """DELETE /v1/models/{owner}/{name}: only one's own, and only while it has no versions."""
    key, hosted = _model(sim, request)
    if hosted is None or not key.startswith(f"{sim.scenario.account}/"):
        return replicate_problem(404, _NOT_FOUND)
    if hosted.versions:
        return replicate_problem(400, "Models with versions cannot be deleted.")
    del sim.models[key]
    return Response(status_code=204)


async def list_versions(sim: Simulator, request: Request) -> Response:
    """GET …/versions, newest first."""
    _, hosted = _model(sim, request)
    if hosted is None:
        return replicate_problem(404, _NOT_FOUND)
    return answer(_page([version_body(id) for id in reversed(hosted.versions)]))


async def get_version(sim: Simulator, request: Request) -> Response:
    """GET …/versions/{version}."""
    _, hosted = _model(sim, request)
    version = request.path_params["version"]
    if hosted is None or version not in hosted.versions:
        return replicate_problem(404, _NOT_FOUND)
    return answer(version_body(version))


async def create_file(sim: Simulator, request: Request) -> Response:
    """POST /v1/files, multipart: `content`, and `metadata` as JSON."""
    parts = _multipart(request.headers.get("content-type", ""), await request.body())
    content = parts.get("content")
    if content is None:
        return replicate_problem(422, "- content is required\n", title="Input validation failed")
    body = content.get_payload(decode=True)
    name, kind = content.get_filename() or "upload.bin", content.get_content_type()
    file = sim.files.add(name, kind, body if isinstance(body, bytes) else b"", ttl_s=_UPLOAD_TTL_S)
    if metadata := parts.get("metadata"):
        file.metadata = json.loads(metadata.get_content())
    return answer(file_body(file, sim.url), 201)


async def list_files(sim: Simulator, request: Request) -> Response:
    """GET /v1/files."""
    return answer(_page([file_body(file, sim.url) for file in sim.files.all()]))


async def get_file(sim: Simulator, request: Request) -> Response:
    """GET /v1/files/{id}: what is known of it."""
    file = _file(sim, request)
    return answer(file_body(file, sim.url)) if file else replicate_problem(404, _NOT_FOUND)


async def delete_file(sim: Simulator, request: Request) -> Response:
    """DELETE /v1/files/{id}."""
    if not sim.files.remove(request.path_params["id"]):
        return replicate_problem(404, _NOT_FOUND)
    return Response(status_code=204)


async def download_file(sim: Simulator, request: Request) -> Response:
    """GET /v1/files/{id}/download: the bytes of an uploaded file."""
    file = _file(sim, request)
    return await serve(request, file) if file else replicate_problem(404, _NOT_FOUND)


async def download_output(sim: Simulator, request: Request) -> Response:
    """What stands at replicate.delivery: outputs, until they expire."""
    file = _file(sim, request)
    return await serve(request, file) if file else Response("Not found", 404)


async def secret(sim: Simulator, request: Request) -> Response:
    """GET /v1/webhooks/default/secret."""
    return answer({"key": sim.scenario.webhook_secret})


async def account(sim: Simulator, request: Request) -> Response:
    """GET /v1/account."""
    name = sim.scenario.account
    return answer({"type": "organization", "username": name, "name": name.title(), "github_url": None})


async def hardware(sim: Simulator, request: Request) -> Response:
    """GET /v1/hardware."""
    return answer([{"name": name, "sku": sku} for name, sku in _HARDWARE])


async def page(sim: Simulator, request: Request) -> Response:
    """The page of an order for people: its log."""
    order = sim.orders.get(request.path_params["id"])
    if order is None:
        return Response("Not found", 404)
    head = f"{order.endpoint} {order.id}: {order.status}\n\n"
    return Response(head + order.logs, media_type="text/plain; charset=utf-8")


def _model(sim: Simulator, request: Request) -> tuple[str, Hosted | None]:
    key = f"{request.path_params['owner']}/{request.path_params['name']}"
    return key, sim.models.get(key)


def _file(sim: Simulator, request: Request) -> StoredFile | None:
    return sim.files.get(request.path_params["id"])


def _page(results: list[dict[str, object]]) -> dict[str, object]:
    return {"previous": None, "next": None, "results": results}


def _multipart(content_type: str, body: bytes) -> dict[str, EmailMessage]:
    """The parts of a form by name; the standard library reads MIME, of which this is some."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    parts: dict[str, EmailMessage] = {}
    for part in message.iter_parts() if message.is_multipart() else ():
        if isinstance(part, EmailMessage):
            parts[str(part.get_param("name", header="content-disposition"))] = part
    return parts
