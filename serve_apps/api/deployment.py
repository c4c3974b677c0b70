"""The API on Ray Serve: two applications, `api` at / and `live` at /ws. Nothing else here knows Serve.

A WebSocket counts as a request for as long as it lives. The two applications keep a crowd of watchers
from taking the places of everybody else, and both take more requests at once than our own cap on
streams, so that the cap answers and not Serve's queue, in which a client would hang.

Serve's own proxy is the default: it listens on loopback and nowhere else. For hundreds of watchers its
HAProxy mode (RAY_SERVE_ENABLE_HA_PROXY=1 in the environment of the head node) is several times quicker
(tests/benchmarks/stream_lag.py), but it opens ports 8404 and 9101 on all interfaces and takes half a
minute to go: a choice for clusters behind a firewall.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import ray
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from ray import serve
from ray.serve import Application
from ray.serve._private.replica import Replica
from ray.serve.schema import LoggingConfig

from serve_apps.api.app import create_app, create_live_app
from serve_apps.api.hub import Hub
from thornback.dispatch.actor import health_check
from thornback.errors import Unavailable
from thornback.metrics.actor import HEAD_NODE, connect
from thornback.metrics.one_node import require_file_node
from thornback.node.record import NodeFile
from thornback.notify.actor import sender_health
from thornback.remote.actor import connect_tracker
from thornback.settings import Settings, load_settings
from thornback.store.engine import engine_of
from thornback.store.read import StoreReader
from thornback.telemetry.process import begin

REST_REQUESTS = 1000  # at once and per replica, beside the streams

_OPTIONS: Mapping[str, Any] = {
    # Streams close within a second of the replica being told to go; downloads get the rest of this time.
    "graceful_shutdown_timeout_s": 20.0,
    "graceful_shutdown_wait_loop_s": 0.2,
    "health_check_period_s": 2.0,
    "health_check_timeout_s": 10.0,
    "logging_config": LoggingConfig(log_level="WARNING", enable_access_log=False),
}


class Arguments(BaseModel):
    """What `args` of an application in cluster/serve.yaml may say."""

    model_config = ConfigDict(extra="forbid")

    num_replicas: int = 1
    settings: dict[str, Any] = {}  # win over the environment


def api(args: Mapping[str, Any]) -> Application:
    """The REST API, its event streams and the console."""
    return _application(Api, Arguments.model_validate(args))


def live(args: Mapping[str, Any]) -> Application:
    """The WebSockets."""
    return _application(Live, Arguments.model_validate(args))


@serve.ingress()
class Api:
    """A replica of `api`."""

    def __init__(self, overrides: Mapping[str, Any]) -> None:
        self._overrides = overrides

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Made in the replica, where the actors and the database can be reached."""
        settings = _prepare(self._overrides, "api")
        app = create_app(
            settings=settings,
            reader=StoreReader(engine_of(settings)),
            recorder=connect(settings),
            dispatcher_health=health_check(settings),
            ray_health=_ray_health(settings),
            sender_health=sender_health(settings),
            trackers=lambda provider: connect_tracker(provider, settings),
        )
        _close_streams_first(app.state.context.hub)
        _leave_loaded_code_alone()
        return app


@serve.ingress()
class Live:
    """A replica of `live`."""

    def __init__(self, overrides: Mapping[str, Any]) -> None:
        self._overrides = overrides

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Made in the replica, where the actors and the database can be reached."""
        settings = _prepare(self._overrides, "live")
        app = create_live_app(
            settings=settings,
            reader=StoreReader(engine_of(settings)),
            recorder=connect(settings),
            dispatcher_health=health_check(settings),
        )
        _close_streams_first(app.state.context.hub)
        _leave_loaded_code_alone()
        return app


def _application(replica: type, args: Arguments) -> Application:
    settings = load_settings(**args.settings)
    # A database file and a folder of runs are on the head node; replicas follow them there.
    is_local = settings.database_url.startswith("sqlite") or "://" not in settings.storage
    deployment = serve.deployment(
        **_OPTIONS,
        num_replicas=args.num_replicas,
        max_ongoing_requests=settings.max_streams + REST_REQUESTS,
        ray_actor_options={"num_cpus": 0, "resources": dict(HEAD_NODE) if is_local else {}},
    )
    return deployment(replica).bind({"rate_replicas": args.num_replicas, **args.settings})


def _prepare(overrides: Mapping[str, Any], component: str) -> Settings:
    settings = load_settings(**overrides)
    begin(settings, component)
    require_file_node(settings)
    return settings


def _ray_health(settings: Settings) -> Callable[[], Awaitable[Mapping[str, Any]]]:
    def look() -> Mapping[str, Any]:
        cluster: Any = ray  # these functions carry no types
        alive = [node for node in cluster.nodes() if node["Alive"]]
        if not alive:
            raise Unavailable("Ray has no node")
        node = NodeFile(settings.home).read()  # where the cluster is another's, or this is not its head, nothing
        return {
            "nodes": len(alive),
            "total": cluster.cluster_resources(),
            "free": cluster.available_resources(),
            "dashboard": node.dashboard_url if node else None,
        }

    async def health() -> Mapping[str, Any]:
        return await asyncio.to_thread(look)

    return health


def _leave_loaded_code_alone() -> None:
    """Take what is loaded for good out of garbage collection: a full one would stop a request for tens of ms."""
    gc.collect()
    gc.freeze()


def _close_streams_first(hub: Hub) -> None:
    """Let a replica that is to go tell its streams before it waits for its requests to end.

    Serve has no hook for this: it waits until no request is in progress, which streams always are,
    then kills the process, and the clients see a broken connection. tests/integration/api/test_serve.py
    notices should the method that is wrapped here change its name.
    """
    replica: Any = Replica
    shut_down = replica.perform_graceful_shutdown

    async def perform_graceful_shutdown(self: Replica) -> None:
        hub.close_soon()
        await shut_down(self)

    replica.perform_graceful_shutdown = perform_graceful_shutdown
