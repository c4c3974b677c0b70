"""A Ray cluster of several nodes on this machine, each as `ray start --block` makes it, with Thornback on it.

A node is a tree of processes: killing all of them at once is what a machine does that loses its power.
The test holds no connection to Ray; it sees what a client of the API sees.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.fixtures.ray import OBJECT_STORE_BYTES, QUICK_RAY, free_port
from thornback.client import Client
from thornback.client.models import Event, Job
from thornback.errors import Unavailable
from thornback.jobs.events import EventKind

WITHIN_S = 900.0  # of anything that is waited for; a busy machine needs most of it
BIN = Path(sys.executable).parent
MARK = "THORNBACK_TEST_MACHINE"
# Said beforehand: a raylet waits 15 s for an agent to say which port it has taken.
AGENT_PORTS = ("dashboard-agent-listen", "dashboard-agent-grpc", "metrics-export", "runtime-env-agent")

STARTS = 8  # of one node

# A head that is started again would find the nodes of its cluster among the processes, and take them for itself.
OWN_PROCESSES = ("unshare", "--pid", "--fork", "--mount-proc")

# A node that is killed is known to be dead after 5 s instead of 15. One that is only slow, on a busy machine, has
# more time than usual to answer.
PATIENCE = {
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "20000",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "300",
    "RAY_worker_niceness": "0",  # 15 as Ray has it: beside other tests no training would come to its turn
}


@dataclass(frozen=True, slots=True)
class Machine:
    """One node."""

    name: str
    process: subprocess.Popen[bytes]
    mark: str  # in the environment of all of its processes

    def kill(self) -> None:
        """SIGKILL to every process of it, also where `ray start` is gone and has left some behind."""
        pause = threading.Event()
        while family := [process for process in psutil.process_iter() if self._is_mine(process)]:
            for process in family:  # first nobody can tidy up any more, then all go
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            pause.wait(0.05)
        self.process.wait()

    def _is_mine(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


@dataclass
class Machines:
    """The cluster. Use `running_machines`."""

    home: Path
    folder: str  # of Ray's sessions; short, for it makes sockets in it
    settings: dict[str, str] = field(default_factory=dict)  # of Thornback, by name
    environment: dict[str, str] = field(default_factory=dict)  # more of it
    head_environment: dict[str, str] = field(default_factory=dict)  # of the head alone
    autoscaling: Path | None = None
    gcs_port: int = field(default_factory=free_port)
    dashboard_port: int = field(default_factory=free_port)
    port: int = field(default_factory=free_port)  # of the API
    nodes: dict[str, Machine] = field(default_factory=dict)
    clients: list[Client] = field(default_factory=list)
    token: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def address(self) -> str:
        """Of the control store."""
        return f"127.0.0.1:{self.gcs_port}"

    def start_head(self, *, cpus: int = 0) -> None:
        """The head, which as in production has nothing to give unless told otherwise."""
        self._start(
            "head",
            "--head",
            f"--port={self.gcs_port}",
            f"--num-cpus={cpus}",
            f"--temp-dir={self.folder}",
            "--dashboard-host=127.0.0.1",
            f"--dashboard-port={self.dashboard_port}",
            f"--ray-client-server-port={free_port()}",
            *([] if self.autoscaling is None else [f"--autoscaling-config={self.autoscaling}"]),
        )

    def add(self, name: str, *, cpus: int = 1) -> None:
        """A worker node."""
        resources = json.dumps({name: 1})
        self._start(name, f"--address={self.address}", f"--num-cpus={cpus}", f"--resources={resources}")

    def kill(self, name: str) -> None:
        """A node without power."""
        self.nodes.pop(name).kill()

    def drain(self, name: str, *, within_s: int) -> None:
        """What a provider's notice comes to: the node will be gone in so many seconds."""
        self.ray(
            "drain-node",
            f"--address={self.address}",
            f"--node-id={self.node_id(name)}",
            "--reason=DRAIN_NODE_REASON_PREEMPTION",
            "--reason-message=the spot machine is taken back",
            f"--deadline-remaining-seconds={within_s}",
        )

    def node_id(self, name: str) -> str:
        """Ray's id of a node that is alive."""
        return str(next(node["NodeID"] for node in self.alive() if name in node["Resources"]))

    def alive(self) -> list[dict[str, Any]]:
        """Ray's own table of the nodes that are alive."""
        script = (
            "import json, ray; ray.init(log_to_driver=False, configure_logging=False); print(json.dumps(ray.nodes()))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=self._environment() | {"RAY_ADDRESS": self.address},
            capture_output=True,
            check=True,
            timeout=WITHIN_S,
        )
        nodes: list[dict[str, Any]] = json.loads(done.stdout)
        return [node for node in nodes if node["Alive"]]

    def up(self) -> Client:
        """Put the platform on the cluster, as `ray up` ends; returns a client of it."""
        try:
            self._run(sys.executable, "-m", "thornback.cli.main", "up", "--json")
        except AssertionError:  # not ready within its three minutes: going on with what it has begun is what it is for
            self._run(sys.executable, "-m", "thornback.cli.main", "up", "--json")
        client = Client(f"http://127.0.0.1:{self.port}")
        self.clients.append(client)
        return client

    def ray(self, *arguments: str) -> str:
        """One of Ray's own commands."""
        return self._run(str(BIN / "ray"), *arguments)

    def close(self) -> None:
        """End all of it."""
        for client in self.clients:
            client.close()
        for name in list(self.nodes):
            self.kill(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, name: str, *arguments: str) -> None:
        """Ray gives a node 30 s to be known, however busy the machine is: one that was too slow is started again."""
        for _ in range(STARTS):
            machine, log = self._launch(name, *arguments)

            def settled(machine: Machine = machine, log: Path = log) -> bool:
                return machine.process.poll() is not None or b"--block" in log.read_bytes()

            until(settled, f"start of {name}")
            if machine.process.poll() is None:
                self.nodes[name] = machine
                return
            machine.kill()
        raise AssertionError(log.read_text()[-3000:])

    def _launch(self, name: str, *arguments: str) -> tuple[Machine, Path]:
        log = Path(self.folder) / f"{name}-{uuid.uuid4().hex[:4]}.log"
        command = [
            *(OWN_PROCESSES if name == "head" and os.geteuid() == 0 else ()),
            str(BIN / "ray"),
            "start",
            "--block",
            "--disable-usage-stats",
            f"--object-store-memory={OBJECT_STORE_BYTES}",
            *(f"--{name}-port={free_port()}" for name in AGENT_PORTS),
            "--min-worker-port=0",
            "--max-worker-port=0",
            "--node-ip-address=127.0.0.1",
            *arguments,
        ]
        mark = uuid.uuid4().hex
        environment = self._environment() | {MARK: mark} | (self.head_environment if name == "head" else {})
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        return Machine(name, process, mark), log

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command, env=self._environment(), capture_output=True, text=True, timeout=WITHIN_S, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def _environment(self) -> dict[str, str]:
        names = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH")
        settings = {
            "HOME": str(self.home),
            "PORT": str(self.port),
            "RAY_ADDRESS": self.address,
            "DISPATCH_INTERVAL_S": "0.5",
            **self.settings,
        }
        return {
            **{name: os.environ[name] for name in names if name in os.environ},
            **{name: value for name, value in QUICK_RAY.items() if name != "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"},
            **PATIENCE,
            "RAY_AUTH_TOKEN": self.token,
            "OMP_NUM_THREADS": "1",
            **{f"THORNBACK_{name}": value for name, value in settings.items()},
            **self.environment,
        }


@contextmanager
def running_machines(home: Path, **choices: Any) -> Iterator[Machines]:
    """A cluster without nodes yet; all that is started of it is ended."""
    machines = Machines(home, tempfile.mkdtemp(prefix="tb-"), **choices)
    try:
        yield machines
    finally:
        machines.close()


def until(holds: Callable[[], Any], what: str, *, within_s: float = WITHIN_S) -> Any:
    """The first true answer."""
    give_up = time.monotonic() + within_s
    pause = threading.Event()
    while not (answer := holds()):
        assert time.monotonic() < give_up, f"no {what} within {within_s:g} s"
        pause.wait(0.1)
    return answer


def job_when(client: Client, job_id: str, holds: Callable[[Job], object], what: str) -> Job:
    """A job once it is as wanted; fails at once where it has failed."""

    def look() -> Job | None:
        try:
            job = client.get(job_id)
        except Unavailable:
            return None  # a head may be on its way back
        assert job.status.value != "failed", (job.failure, job.error_message)
        return job if holds(job) else None

    found: Job = until(look, f"{what} (job {job_id})")
    return found


def steps_of(client: Client, job_id: str) -> Mapping[tuple[int, int], float]:
    """(epoch, step within it) -> loss, of all rows of steps."""
    rows = client.metrics(job_id, level="step")
    return {(row.epoch, row.batch): row.train_loss or 0.0 for row in rows if row.batch is not None}


@dataclass(frozen=True, slots=True)
class Told:
    """A job's stream from its first event to its last, as a client saw it."""

    events: list[Event]

    @classmethod
    def of(cls, client: Client, job_id: str) -> Told:
        """Reads to the end of the job."""
        return cls(list(client.events(job_id, after=0)))

    def steps(self, per_epoch: int) -> list[int]:
        """The steps of the run, from 1, in the order in which they were told."""
        rows = (event.data for event in self.events if event.kind is EventKind.METRICS)
        return [(row["epoch"] - 1) * per_epoch + row["batch"] for row in rows if row["batch"] is not None]

    def restarts(self) -> list[Event]:
        """Where the run began again."""
        return [event for event in self.events if event.kind is EventKind.RETRIED]

    def resumed(self) -> list[int]:
        """The step that each start of the training went on from."""
        facts = (event.data["facts"] for event in self.events if event.kind is EventKind.DESCRIBED)
        return [fact["resumed_from_step"] for fact in facts if "resumed_from_step" in fact]

    def percents(self) -> list[float]:
        """What the run said of its progress."""
        return [event.data["percent"] for event in self.events if event.kind is EventKind.PROGRESS]

    def before(self, event: Event) -> Told:
        """What was told until then."""
        return Told([one for one in self.events if one.id < event.id])
