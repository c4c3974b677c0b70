"""The application factory. Knows no Ray: the parts that do are passed in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware

import thornback
from serve_apps.api import openapi, problems
from serve_apps.api.console import ConsoleFiles
from serve_apps.api.context import ApiContext, HealthCheck
from serve_apps.api.guard import SECURITY_HEADERS, Guard
from serve_apps.api.principal import authorize
from serve_apps.api.rates import RateGate, Rates, are_counted
from serve_apps.api.routes import (
    access,
    alerts,
    artifacts,
    audit,
    bulk,
    datasets,
    events,
    files,
    frame_sets,
    health,
    image_sets,
    items,
    jobs,
    kinds,
    log_lines,
    logs,
    lora,
    metrics,
    models,
    openid,
    providers,
    queue,
    quotas,
    remote,
    reports,
    seed,
    socket,
    storage,
    sweeps,
    teams,
    uploads,
    webhooks,
    webhooks_out,
    wishes,
)
from serve_apps.api.traced import TraceRequests
from serve_apps.api.tracking import Trackers, no_trackers
from thornback.metrics.port import Recorder
from thornback.settings import Settings
from thornback.store.read import StoreReader


def create_app(
    *,
    settings: Settings,
    reader: StoreReader,
    recorder: Recorder,
    dispatcher_health: HealthCheck,
    ray_health: HealthCheck | None = None,
    sender_health: HealthCheck | None = None,
    trackers: Trackers = no_trackers,
) -> FastAPI:
    """REST, live streams and console.

    Args:
        settings: where it listens, how it is reached, how many streams.
        reader: the database.
        recorder: the one writer of job state, in this process or the metrics actor.
        dispatcher_health: answers or raises; part of readiness.
        ray_health: the same for Ray; left out where there is none.
        sender_health: of who sends webhooks out. Requests are served without it: part of health, not of readiness.
        trackers: who follows the jobs at a provider, by its name; left out where nobody does.
    """
    context = ApiContext(
        settings=settings,
        reader=reader,
        recorder=recorder,
        dispatcher_health=dispatcher_health,
        ray_health=ray_health,
        sender_health=sender_health,
        trackers=trackers,
    )
    app = _bare_app(context)
    made = (
        access,
        openid,
        teams,
        audit,
        jobs,
        bulk,
        queue,
        wishes,
        items,
        remote,
        seed,
        metrics,
        logs,
        log_lines,
        artifacts,
        files,
        events,
        kinds,
        image_sets,
        datasets,
        frame_sets,
        models,
        lora,
        sweeps,
        uploads,
    )
    # webhooks come thick and fast; what stands first is found soonest
    for noun in (webhooks, *made, providers, quotas, reports, alerts, webhooks_out, storage, health):
        app.include_router(noun.router, responses=openapi.PROBLEM, dependencies=[Depends(authorize)])
    app.include_router(socket.router, prefix="/ws", dependencies=[Depends(authorize)])
    # Only what no route matches is looked up among the console's files, so that a wrong method stays a 405.
    app.router.default = ConsoleFiles()
    return app


def create_live_app(
    *, settings: Settings, reader: StoreReader, recorder: Recorder, dispatcher_health: HealthCheck
) -> FastAPI:
    """The WebSockets alone, for a deployment of their own that is mounted at /ws."""
    context = ApiContext(
        settings=settings, reader=reader, recorder=recorder, dispatcher_health=dispatcher_health, ray_health=None
    )
    app = _bare_app(context)
    app.include_router(socket.router, dependencies=[Depends(authorize)])
    return app


def _bare_app(context: ApiContext) -> FastAPI:
    app = FastAPI(
        title="Thornback",
        version=thornback.__version__,
        description="Training jobs on Ray, live.",
        lifespan=_lifespan(context),
        docs_url=None,  # FastAPI's pages load their scripts from a CDN
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    app.state.context = context
    app.add_middleware(Guard, settings=context.settings)
    app.add_middleware(TraceRequests)
    if are_counted(context.settings):
        app.add_middleware(RateGate, rates=Rates(context.settings))
    if context.settings.allowed_origins:
        # Without credentials: pages elsewhere send a key or a ticket, never the cookie of this site.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=context.settings.allowed_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
            expose_headers=["Location", "Retry-After", "RateLimit", "RateLimit-Policy", "Thornback-Quota-Warning"],
        )
    problems.install(app, extra_headers=SECURITY_HEADERS)
    openapi.install(app)
    return app


def _lifespan(context: ApiContext) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        context.hub.start()
        try:
            yield
        finally:
            await context.hub.stop()

    return lifespan
