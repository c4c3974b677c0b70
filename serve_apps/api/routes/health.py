"""Is the process alive, and can it do its work?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import APIRouter, Response

import thornback
from serve_apps.api.context import ApiContext, Context
from serve_apps.api.schemas import Alive, Check, Health
from serve_apps.api.versions import all_versions, own_versions
from thornback.errors import Unavailable
from thornback.health import ask
from thornback.health.parts import disk_check, provider_checks

router = APIRouter(tags=["health"])
# A database that hangs must not take the threads of the requests with it.
_threads = CapacityLimiter(2)


@router.get("/healthz", summary="Alive")
async def healthz() -> Alive:
    """The process answers; it says nothing about what it depends on."""
    return Alive()


@router.get("/readyz", summary="Ready", responses={503: {"model": Health}})
async def readyz(context: Context, response: Response) -> Health:
    """Asks the database, the metrics actor, the dispatcher and Ray; 503 where one of them is away."""
    return await _health(context, response, {})


@router.get("/api/v1/health", summary="Ready, part by part", responses={503: {"model": Health}})
async def health(context: Context, response: Response) -> Health:
    """The same, the parts without which requests are served, and the versions of everything.

    These are who sends webhooks out, the storage, the disk, and each provider there is a key for. Where one of them
    does not work the status is `degraded`, with a 200.
    """
    found = await _health(context, response, _others(context))
    engine = context.reader.engine
    versions = await ask.ask(
        lambda: anyio.to_thread.run_sync(all_versions, engine, limiter=_threads, abandon_on_cancel=True)
    )
    return found.model_copy(update={"versions": versions.detail if versions.ok else own_versions()})


async def _health(context: ApiContext, response: Response, others: Mapping[str, ask.Check]) -> Health:
    needed = _needed(context)
    found = await ask.ask_all({**needed, **others}, within_s=ask.CHECK_S)
    is_ready = all(found[name].ok for name in needed)
    if not is_ready:
        response.status_code = 503
        response.headers["Retry-After"] = "2"
    is_whole = all(answer.ok for answer in found.values())
    return Health(
        status="unavailable" if not is_ready else "ok" if is_whole else "degraded",
        version=thornback.__version__,
        streams=context.hub.client_count,
        checks={
            name: Check(ok=answer.ok, detail=dict(answer.detail), error=answer.error, took_ms=answer.took_ms)
            for name, answer in found.items()
        },
    )


def _needed(context: ApiContext) -> dict[str, ask.Check]:
    async def database() -> Mapping[str, Any]:
        await anyio.to_thread.run_sync(context.reader.ping, limiter=_threads, abandon_on_cancel=True)
        return {}

    async def metrics() -> Mapping[str, Any]:
        found = asdict(await context.recorder.health())
        if found["database"] != "ok":
            raise Unavailable(f"its database: {found['database']}")
        return found

    checks: dict[str, ask.Check] = {"database": database, "metrics": metrics, "dispatcher": context.dispatcher_health}
    return checks if context.ray_health is None else checks | {"ray": context.ray_health}


def _others(context: ApiContext) -> dict[str, ask.Check]:
    sender = {} if context.sender_health is None else {"notify": context.sender_health}
    return {
        **sender,
        "storage": context.storage_health,
        "disk": disk_check(context.settings),
        **provider_checks(context.settings, context.tracking.tracker),
    }
