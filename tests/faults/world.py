"""A whole platform with everything in it that can be killed: Ray on two nodes, the actors, Serve, a provider."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from ray import serve
from ray._private import ray_constants

from tests.fixtures.postgres import PostgresServer
from tests.fixtures.ray import OBJECT_STORE_BYTES, RayNode, free_port, running_ray, started
from thornback.backends.ray_cluster import RayClusterBackend
from thornback.dispatch.actor import DISPATCHER_ACTOR, start_dispatcher
from thornback.metrics.actor import start_metrics_actor
from thornback.metrics.names import METRICS_ACTOR
from thornback.node.environment import NODE_ID_VARIABLE, node_environment
from thornback.node.processes import marked
from thornback.notify.actor import NOTIFY_ACTOR, start_sender
from thornback.providers.open import NAMES
from thornback.remote.actor import actor_name, start_trackers
from thornback.settings import Settings
from thornback.simulator.scenario import Scenario
from thornback.simulator.server import SimulatorServer
from thornback.store.engine import open_engine
from thornback.store.migrate import upgrade
from thornback.store.read import StoreReader

ENTRYPOINTS = {"convnext": "tests.faults.entry"}
HEAD_CPUS, SECOND_CPUS = 3, 2
REPLICAS = 2
_DASHBOARD = ray_constants.PROCESS_TYPE_DASHBOARD
_RAYLET = ray_constants.PROCESS_TYPE_RAYLET


@dataclass
class World:
    """One, running."""

    node: RayNode
    cluster: Any
    simulator: SimulatorServer
    settings: Settings
    mark: str
    postgres: PostgresServer | None = None  # None: SQLite
    second: Any = None
    reader: StoreReader = field(init=False)
    backend: RayClusterBackend = field(init=False)

    @property
    def url(self) -> str:
        """Of the API."""
        return f"http://127.0.0.1:{self.settings.port}"

    def start(self) -> None:
        """Bring everything up."""
        from serve_apps.api.deployment import api, live

        settings = self.settings
        upgrade(settings.database_url)
        start_metrics_actor(settings)
        start_trackers(settings)
        start_sender(settings)
        start_dispatcher(settings, entrypoints=ENTRYPOINTS)
        overrides = settings.model_dump(mode="json", exclude_unset=True)
        serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": settings.port})
        serve.run(api({"num_replicas": REPLICAS, "settings": overrides}), name="api", route_prefix="/")
        serve.run(live({"num_replicas": 1, "settings": overrides}), name="live", route_prefix="/ws")
        self.reader = StoreReader(open_engine(settings.database_url))
        self.backend = RayClusterBackend(settings)
        self.add_node()

    def stop(self) -> None:
        """Take it down."""
        serve.shutdown()  # type: ignore[no-untyped-call]
        for name in (DISPATCHER_ACTOR, *map(actor_name, NAMES), NOTIFY_ACTOR, METRICS_ACTOR):
            try:
                ray.kill(ray.get_actor(name, namespace=self.settings.namespace), no_restart=True)
            except ValueError:
                continue
        self.reader.close()

    def keep_logs(self, folder: Path) -> None:
        """What Ray's processes wrote, which goes with Ray's own folder."""
        shutil.copytree(Path(self.cluster.head_node.get_logs_dir_path()), folder, dirs_exist_ok=True, symlinks=True)

    def add_node(self) -> None:
        """The second machine of the cluster."""
        self.second = started(
            lambda: self.cluster.add_node(num_cpus=SECOND_CPUS, object_store_memory=OBJECT_STORE_BYTES)
        )

    def replace_node(self) -> None:
        """What is left of a second machine whose raylet died goes, and another comes."""
        self.cluster.remove_node(self.second, allow_graceful=False)
        self.add_node()

    def replace_dashboard(self) -> None:
        """As whoever runs Ray starts it again."""
        self.cluster.head_node.all_processes.pop(_DASHBOARD, None)
        self.cluster.head_node.start_api_server(include_dashboard=True, raise_on_failure=True)

    def crash_database(self) -> None:
        """PostgreSQL's processes end in the middle of everything, and it is started again."""
        assert self.postgres is not None
        self.postgres.crash()

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of what can be killed."""
        return (*KINDS, *(("database",) if self.postgres else ()))

    def run_of(self, pid: int) -> tuple[str, int] | None:
        """The job and the attempt of a driver, None where it has ended."""
        words = _title(psutil.Process(pid)).split() if psutil.pid_exists(pid) else []
        if "--job-id" not in words:
            return None
        return words[words.index("--job-id") + 1], int(words[words.index("--attempt") + 1])

    def processes(self) -> list[psutil.Process]:
        """All of this platform, wherever they were orphaned to."""
        return marked(self.mark)

    def find(self, kind: str) -> list[int]:
        """The process ids of one kind, see KINDS."""
        match kind:
            case "dashboard":
                return _pids(self.cluster.head_node, _DASHBOARD)
            case "raylet":
                return _pids(self.second, _RAYLET)
            case "agent":
                return [child.pid for pid in self.find("raylet") for child in _children(pid, "agent")]
            case _:
                return [process.pid for process in self.processes() if KINDS[kind](_title(process))]


KINDS: Mapping[str, Callable[[str], bool]] = {
    "api": lambda title: title.startswith("ray::ServeReplica:api"),
    "live": lambda title: title.startswith("ray::ServeReplica:live"),
    "proxy": lambda title: title.startswith("ray::ProxyActor"),
    "controller": lambda title: title.startswith("ray::ServeController"),
    "metrics": lambda title: title.startswith("ray::MetricsActor"),
    "dispatcher": lambda title: title.startswith("ray::DispatcherActor"),
    "tracker": lambda title: title.startswith("ray::TrackerActor"),
    "notify": lambda title: title.startswith("ray::NotifyActor"),
    "supervisor": lambda title: title.startswith("ray::JobSupervisor"),
    "driver": lambda title: "-m tests.faults.entry" in title and "ray::" not in title and "/bin/sh" not in title,
    "worker": lambda title: title.startswith("ray::Worker"),
    "raylet": lambda _: False,
    "agent": lambda _: False,
    "dashboard": lambda _: False,
}

# A node is stopped in tests of its own: Ray declares it dead, and somebody has to bring another.
NOT_STOPPED = frozenset({"raylet", "agent", "dashboard"})


@contextmanager
def running_world(home: Path, *, postgres: PostgresServer | None = None, **choices: Any) -> Iterator[World]:
    """One with its database in `home`, or on a PostgreSQL; `choices` are settings."""
    if postgres is not None:
        choices["database_url"] = postgres.url("postgres")
    mark = f"storm-{uuid.uuid4().hex[:12]}"
    # As `thornback up` starts Ray.
    environment = node_environment(Settings(home=home), node_id=mark, base={})
    patch = pytest.MonkeyPatch()
    for name, value in environment.items():
        if name.startswith("RAY_SERVE") or name == NODE_ID_VARIABLE:
            patch.setenv(name, value)
    # At this speed an hour, for which a provider keeps what it made, would be shorter than a recovery here.
    scenario = Scenario(speed=400, output_ttl_s=10 * 86_400, creates_per_minute=100_000, calls_per_minute=1_000_000)
    try:
        with SimulatorServer(scenario) as simulator, running_ray(cpus=HEAD_CPUS) as (node, cluster):
            world = World(node, cluster, simulator, _settings(node, home, simulator, choices), mark, postgres)
            world.start()
            try:
                yield world
            finally:
                world.keep_logs(home / "ray-logs")
            world.stop()
    finally:
        patch.undo()


def _settings(node: RayNode, home: Path, simulator: SimulatorServer, choices: Mapping[str, Any]) -> Settings:
    port = free_port()
    values: dict[str, Any] = {
        "port": port,
        "public_url": f"http://127.0.0.1:{port}",
        "replicate_api_token": simulator.replicate_token,
        "replicate_url": simulator.url,
        "replicate_webhook_secrets": simulator.webhook_secret,
        "fal_key": simulator.fal_key,
        "fal_url": simulator.url,
        "fal_jwks_url": simulator.jwks_url,
        "fetch_allow": "127.0.0.1",
        "provider_settle_s": 5.0,
        "provider_start_s": 600.0,
        "provider_slots": {"replicate": 20, "fal": 20},
        "log_level": "WARNING",
    }
    return node.settings(home, **{**values, **choices})


def _pids(node: Any, kind: str) -> list[int]:
    found = node.all_processes.get(kind, [])
    return [info.process.pid for info in found if info.process.poll() is None]


def _children(pid: int, word: str) -> list[psutil.Process]:
    try:
        return [child for child in psutil.Process(pid).children() if word in _title(child).lower()]
    except psutil.NoSuchProcess:
        return []


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
        return ""
