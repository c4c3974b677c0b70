"""Is the process alive, and can it do its work?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import APIRouter, Response

import thornback
from serve_apps.api.context import ApiContext, Context
from serve_apps.api.schemas import Alive, Check, Health
from serve_apps.api.versions import all_versions, own_versions
from thornback.errors import ThornbackError

CHECK_S = 2.0  # the longest that one part may take to answer

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
    asked = _checks(context)
    answers = await asyncio.gather(*(_check(ask) for ask in asked.values()))
    checks = dict(zip(asked, answers, strict=True))
    is_ready = all(check.ok for check in answers)
    if not is_ready:
        response.status_code = 503
        response.headers["Retry-After"] = "2"
    return Health(
        status="ok" if is_ready else "unavailable",
        version=thornback.__version__,
        streams=context.hub.client_count,
        checks=checks,
    )


@router.get("/api/v1/health", summary="Ready, part by part", responses={503: {"model": Health}})
async def health(context: Context, response: Response) -> Health:
    """The same, who sends webhooks out, and the versions of everything."""
    found = await readyz(context, response)
    if context.sender_health is not None:
        sender = await _check(context.sender_health)
        found = found.model_copy(update={"checks": {**found.checks, "notify": sender}})
    engine = context.reader.engine
    try:
        async with asyncio.timeout(CHECK_S):
            versions = await anyio.to_thread.run_sync(all_versions, engine, limiter=_threads, abandon_on_cancel=True)
    except TimeoutError:
        versions = own_versions()
    return found.model_copy(update={"versions": versions})


def _checks(context: ApiContext) -> dict[str, Callable[[], Awaitable[Mapping[str, Any]]]]:
    async def database() -> Mapping[str, Any]:
        await anyio.to_thread.run_sync(context.reader.ping, limiter=_threads, abandon_on_cancel=True)
        return {}

    async def metrics() -> Mapping[str, Any]:
        found = asdict(await context.recorder.health())
        if found["database"] != "ok":
            raise ThornbackError(f"its database: {found['database']}")
        return found

    checks = {"database": database, "metrics": metrics, "dispatcher": context.dispatcher_health}
    return checks if context.ray_health is None else checks | {"ray": context.ray_health}


async def _check(ask: Callable[[], Awaitable[Mapping[str, Any]]]) -> Check:
    begun = time.perf_counter()
    error: str | None = None
    detail: Mapping[str, Any] = {}
    try:
        async with asyncio.timeout(CHECK_S):
            detail = await ask()
    except TimeoutError:
        error = f"no answer within {CHECK_S:g} s"
    except ThornbackError as problem:
        error = problem.message
    except Exception as problem:  # noqa: BLE001 - whatever is wrong with a part, the answer is that it is wrong
        error = type(problem).__name__
    took_ms = round((time.perf_counter() - begun) * 1000, 2)
    return Check(ok=error is None, detail=dict(detail), error=error, took_ms=took_ms)
