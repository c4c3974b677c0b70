"""The platform on one machine, or our part of a cluster: started and stopped in this process.

Ray is left with the process that started it, so this wants a process of its own: `python -m
thornback.node`, started by `NodeProcess`, which also prepares the environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ray
from ray._private import parameter
from ray.exceptions import RayActorError

from thornback.access.first import make_first_admin
from thornback.dispatch.actor import DISPATCHER_ACTOR, start_dispatcher
from thornback.errors import BackendError, SettingsError, ThornbackError
from thornback.metrics.actor import connect, start_metrics_actor
from thornback.metrics.names import running_recorders
from thornback.node.ports import next_free, require_free
from thornback.node.ray_folder import announce, prepare_folder
from thornback.node.serve import ServeApps
from thornback.notify.actor import NOTIFY_ACTOR, start_sender
from thornback.providers.open import NAMES
from thornback.remote.actor import actor_name, start_trackers
from thornback.settings import Settings
from thornback.store.migrate import upgrade

# Nothing large goes through Ray's object store here: models and data are read by the workers themselves.
OBJECT_STORE_BYTES = 256 * 1024**2
SHM = Path("/dev/shm")  # noqa: S108 - looked at, not written
READY_TIMEOUT_S = 180.0
DASHBOARD_PORT = 8265  # Ray's own, where the setting is 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeInfo:
    """Where things are once the node runs."""

    url: str
    dashboard_url: str
    ray_address: str
    session_dir: str | None
    admin_key: str | None  # of the first admin, where this start made one


def _ignore(_phase: str) -> None:
    """The default listener."""


class Node:
    """Ray, the database, the actors and the API; `start` brings them up in this order, `stop` back down."""

    def __init__(self, settings: Settings, *, on_phase: Callable[[str], None] = _ignore, with_api: bool = True) -> None:
        """`with_api`: False where somebody else deploys cluster/serve.yaml."""
        self._settings = settings
        self._with_api = with_api
        self._on_phase = on_phase
        self._apps: ServeApps | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    @property
    def is_local(self) -> bool:
        """True where we start Ray ourselves."""
        return self._settings.ray_address is None

    def start(self) -> NodeInfo:
        """Bring everything up and wait until the API is ready.

        Raises:
            SettingsError: others could reach an API that asks nobody who they are.
            PortTaken: something else listens on the API's port.
            BackendError: Ray or an application did not start.
            StoreUnavailable: the database cannot be opened or migrated.
        """
        settings = self._settings
        refuse_open(settings)
        if self.is_local:
            require_free(settings.host, settings.port, what="the API", setting="--port or THORNBACK_PORT")
        self._on_phase("preparing the database")
        upgrade(settings.database_url)
        self._on_phase("starting Ray" if self.is_local else f"connecting to Ray at {settings.ray_address}")
        context = self._start_ray()
        self._on_phase("starting the actors")
        start_metrics_actor(settings)
        start_trackers(settings)
        start_dispatcher(settings)
        start_sender(settings)
        dashboard_url = f"http://{context.dashboard_url}"
        if self._with_api:
            self._on_phase("starting the API")
            self._apps = ServeApps(dashboard_url, settings)
            self._apps.deploy()
            self._apps.await_ready(timeout_s=READY_TIMEOUT_S)
        return NodeInfo(
            url=settings.public_url or f"http://{settings.host}:{settings.port}",
            dashboard_url=dashboard_url,
            ray_address=str(context.address_info["gcs_address"]),
            session_dir=context.address_info.get("session_dir"),
            admin_key=self._first_admin() if settings.has_access_control else None,
        )

    def _first_admin(self) -> str | None:
        recorder = connect(self._settings)
        return asyncio.run(make_first_admin(recorder.administer, at=datetime.now(UTC)))

    def stop(self) -> None:
        """Take down what `start` brought up. Jobs that run are taken up again at the next start."""
        if not ray.is_initialized():
            return
        # The dispatcher first, or it would take the end of the drivers for losses; then the API, which
        # hands in what clients still send; the writer last. What it does not have by then, a job that
        # resumes from its checkpoint reports again.
        self._end_actor(DISPATCHER_ACTOR)
        if self._apps is not None:
            with contextlib.suppress(ThornbackError, ConnectionError, RuntimeError):
                # In a local node Ray ends with us whether Serve could still answer or not.
                self._apps.remove()
        for provider in NAMES:  # also of one whose key has been taken away
            self._end_actor(actor_name(provider))
        self._end_actor(NOTIFY_ACTOR)
        for name in running_recorders(self._settings.namespace):
            self._end_actor(name)
        ray.shutdown()

    def remove(self) -> None:
        """Take our applications and actors off a cluster; Ray, and everything of others, goes on."""
        context = self._start_ray()
        self._apps = ServeApps(f"http://{context.dashboard_url}", self._settings)
        self.stop()

    def _start_ray(self) -> Any:
        settings = self._settings
        options: dict[str, Any] = {"namespace": settings.namespace, "log_to_driver": False, "logging_level": "WARNING"}
        if not self.is_local:
            return _ray_init(address=settings.ray_address, **options)
        folder = prepare_folder(settings.home)
        with _free_agent_port():
            context = _ray_init(
                address="local",
                include_dashboard=True,
                dashboard_host=settings.dashboard_host,
                dashboard_port=next_free(settings.dashboard_host, settings.dashboard_port or DASHBOARD_PORT),
                object_store_memory=_object_store_bytes(),
                _temp_dir=str(folder),
                **options,
            )
        announce(folder, str(context.address_info["gcs_address"]))
        return context

    def _end_actor(self, name: str) -> None:
        try:
            ray.kill(ray.get_actor(name, namespace=self._settings.namespace), no_restart=True)
        except (ValueError, RayActorError):
            return  # it never started, or it is gone


def refuse_open(settings: Settings) -> None:
    """Raises SettingsError where everybody on the network would be let in."""
    if settings.has_access_control or settings.is_loopback:
        return
    problem = (
        f"THORNBACK_ACCESS is off and the API would listen on {settings.host}: whoever reaches it could run code "
        "here. Listen on 127.0.0.1, or leave THORNBACK_ACCESS out"
    )
    raise SettingsError(problem, errors=[{"field": "THORNBACK_ACCESS", "message": problem}])


def _ray_init(**options: Any) -> Any:
    try:
        return ray.init(**options)
    except (RuntimeError, ConnectionError, OSError, ValueError) as error:
        raise BackendError(f"Ray did not start, or did not let us in: {error}") from error


@contextlib.contextmanager
def _free_agent_port() -> Iterator[None]:
    """Let the agent, through which jobs are submitted, take any free port.

    `ray.init` always gives it 52365. Where another Ray of the machine has that port, the agent goes on
    without its server and every submission fails; only `ray start` has an option for it.
    """
    original = parameter.RayParams
    parameter.RayParams = functools.partial(original, dashboard_agent_listen_port=0)  # type: ignore[misc,assignment]
    try:
        yield
    finally:
        parameter.RayParams = original  # type: ignore[misc]


def _object_store_bytes() -> int:
    """What the object store may take: modest, and never more than half of a small /dev/shm (containers have 64 MB)."""
    if not SHM.is_dir():
        return OBJECT_STORE_BYTES
    return max(80 * 1024**2, min(OBJECT_STORE_BYTES, shutil.disk_usage(SHM).free // 2))
