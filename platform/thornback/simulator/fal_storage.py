"""fal's file storage and the keys of its webhooks."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from thornback.simulator.files import StoredFile
from thornback.simulator.gate import Gates
from thornback.simulator.ids import file_token
from thornback.simulator.serve_file import serve
from thornback.simulator.simulator import Simulator
from thornback.simulator.wire import answer, fal_problem


def routes(gates: Gates) -> list[Route]:
    """All of them."""
    file = "/files/b/{id}/{name}"
    parts = f"{file}/multipart/{{upload}}"
    return [
        gates.route("POST", "/storage/auth/token", "fal.storage.token", token),
        gates.route("POST", "/storage/upload/initiate", "fal.storage.initiate", initiate),
        gates.route("PUT", "/storage/put/{id}", "fal.storage.put", put, open=True),  # the address is the permission
        gates.route("POST", "/files/upload", "fal.files.upload", upload),
        gates.route("POST", "/files/upload/multipart", "fal.files.upload", begin_parts),
        gates.route("PUT", f"{parts}/{{number:int}}", "fal.files.part", put_part),
        gates.route("POST", f"{parts}/complete", "fal.files.complete", join_parts),
        gates.route("GET", file, "fal.output.download", download, open=True),
        gates.route("GET", "/.well-known/jwks.json", "fal.jwks", jwks, open=True),
    ]


async def token(sim: Simulator, request: Request) -> Response:
    """POST /storage/auth/token: what uploads are signed with, for an hour."""
    expires = datetime.now(UTC) + timedelta(hours=1)
    return answer(
        {
            "token": sim.scenario.fal_key,
            "token_type": "Bearer",
            "base_url": sim.url,
            "expires_at": expires.isoformat(),
        }
    )


async def upload(sim: Simulator, request: Request) -> Response:
    """POST /files/upload: raw bytes."""
    file = _new(sim, request, await request.body())
    return answer({"access_url": _address(sim, file)})


async def begin_parts(sim: Simulator, request: Request) -> Response:
    """POST /files/upload/multipart: a large file will come in parts."""
    file = _new(sim, request, b"")
    return answer({"access_url": _address(sim, file), "uploadId": file_token()})


async def put_part(sim: Simulator, request: Request) -> Response:
    """PUT one part."""
    path = request.path_params
    etag = sim.files.put_part(path["upload"], path["number"], await request.body())
    return Response(status_code=200, headers={"etag": etag})


async def join_parts(sim: Simulator, request: Request) -> Response:
    """POST …/complete: all parts are there."""
    file = sim.files.get(request.path_params["id"])
    if file is None:
        return fal_problem(404, "File not found")
    sim.files.replace(file, sim.files.join_parts(request.path_params["upload"]))
    return answer({"access_url": _address(sim, file)})


async def initiate(sim: Simulator, request: Request) -> Response:
    """POST /storage/upload/initiate: the older way in, two addresses for one file."""
    body = json.loads(await request.body())
    file = sim.files.add(body["file_name"], body["content_type"], b"")
    return answer({"upload_url": f"{sim.url}/storage/put/{file.id}", "file_url": _address(sim, file)})


async def put(sim: Simulator, request: Request) -> Response:
    """PUT to the address that `initiate` gave."""
    file = sim.files.get(request.path_params["id"])
    if file is None:
        return fal_problem(404, "File not found")
    sim.files.replace(file, await request.body())
    return Response(status_code=200)


async def download(sim: Simulator, request: Request) -> Response:
    """What stands at v3.fal.media."""
    file = sim.files.get(request.path_params["id"])
    return await serve(request, file) if file else Response("Not found", 404)


async def jwks(sim: Simulator, request: Request) -> Response:
    """GET /.well-known/jwks.json."""
    return answer(sim.webhooks.keys.jwks, headers={"Cache-Control": "max-age=86400"})


def _new(sim: Simulator, request: Request, body: bytes) -> StoredFile:
    name = request.headers.get("x-fal-file-name") or "upload.bin"
    return sim.files.add(name, request.headers.get("content-type", "application/octet-stream"), body)


def _address(sim: Simulator, file: StoredFile) -> str:
    return f"{sim.url}/files/b/{file.id}/{file.name}"
