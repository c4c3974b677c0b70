"""Hands a plan to Ray Train and waits for the outcome."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol

import ray

from thornback.artifacts.files import locate
from thornback.backends.port import Resources
from thornback.log import get_logger
from train_jobs.common import machines
from train_jobs.common.moving import Look, Mover
from train_jobs.common.stopping import open_stop_signal

log = get_logger("driver")

TRAIN_NAME = "train"
"""Ray Train's folder in a run's: checkpoints and its record of them."""

SCORE = "loss"
"""What Ray Train compares checkpoints by; the lowest is the best."""

# `ray.train.report`, and with it the end of a run, waits for the controller's next look: 2 s by default.
TRAIN_SETTINGS = {"RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1"}

# Starts that fail because a node went away or nothing was free, each after a minute; -1 would be for ever. The
# driver then looks whether there is room at all, and leaves the waiting to the queue where there is none.
START_FAILURES = 1

# An elastic run is asked to make way for more workers of its own by `Mover`, with a checkpoint. Ray Train would take
# its workers down at once.
NEVER_S = 1e9

LOOK_S = 2.0  # between two looks at the machines of a run
ROOM_S = 20.0  # how long nodes may take to be free, or to be found dead, after workers have ended


class Devices(Protocol):
    """The part of a configuration that says on what a run trains."""

    @property
    def accelerator(self) -> str:
        """auto, gpu or cpu."""
        ...

    @property
    def devices(self) -> int:
        """Workers, one device each."""
        ...

    @property
    def min_devices(self) -> int | None:
        """Elastic: down to this many."""
        ...

    @property
    def cpus_per_device(self) -> int:
        """CPU cores of each."""
        ...


class Plan(Protocol):
    """The part of a plan that launching needs; the rest is the worker's."""

    @property
    def config(self) -> Devices:
        """The configuration of the run."""
        ...

    @property
    def run_uri(self) -> str:
        """The run's folder."""
        ...

    @property
    def on_gpu(self) -> bool:
        """One GPU for each worker."""
        ...


class Launcher:
    """Runs plans one after the other and passes a request to stop on to whichever runs."""

    def __init__(self, worker: Callable[[dict[str, Any]], Any], *, patience_s: float = NEVER_S) -> None:
        """What it is for.

        Args:
            worker: what Ray Train calls in each worker with the `plan` and the `stop` signal.
            patience_s: how long room is free before an elastic run is interrupted to take it.
        """
        self._worker = worker
        self._patience_s = patience_s
        self._mover: Mover | None = None
        self.signal: int | None = None  # what asked us to stop
        self.moved: str | None = None  # why the last run was asked to leave its machines; None: it was not
        self._stop: Any = None

    def fit(self, plan: Plan) -> Any:
        """Train; returns rank 0's Outcome. Raises Ray Train's errors."""
        for name, value in TRAIN_SETTINGS.items():
            os.environ.setdefault(name, value)
        self._stop = open_stop_signal()
        self.moved = None
        if self.signal is not None:
            self._stop.set.remote()
        # In a thread: `fit` would otherwise take Ctrl-C for itself and drop the workers where they are.
        with ThreadPoolExecutor(1, thread_name_prefix="fit") as pool:
            run = pool.submit(_fit, self._worker, plan, self._stop)
            self._watch(run, plan)
            return run.result()

    def finds_room(self, plan: Plan) -> bool:
        """True where the fewest workers of a run fit on the nodes that stay. Blocks until they do, for `ROOM_S`."""
        config = plan.config
        least = config.min_devices or config.devices
        give_up = time.monotonic() + ROOM_S
        pause = threading.Event()
        while time.monotonic() < give_up and self.signal is None:
            look = _look(plan, most=least)
            if look is None or look.room >= least:
                return True  # where nothing can be seen, the start shows what there is
            pause.wait(LOOK_S / 2)
        return False

    def _watch(self, run: Future[Any], plan: Plan) -> None:
        """Ask the workers to leave where their machines go, or where more of them would fit."""
        config = plan.config
        if self._mover is None:
            self._mover = Mover(
                most=config.devices, is_elastic=config.min_devices is not None, patience_s=self._patience_s
            )
        while not _is_done(run, within_s=LOOK_S):
            if self.moved is not None or self.signal is not None:
                continue
            look = _look(plan, most=config.devices)
            self.moved = None if look is None else self._mover.see(look, now=time.monotonic())
            if self.moved is not None:
                self._stop.set.remote()

    @contextmanager
    def handling_signals(self) -> Iterator[None]:
        """Within this, the first SIGTERM or Ctrl-C asks for a checkpoint and an end; the second ends at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            os._exit(128 + number)
        self.signal = number
        if self._stop is not None:
            self._stop.set.remote()


def wants_gpu(config: Devices) -> bool:
    """`auto` takes GPUs where the cluster has any."""
    if config.accelerator == "auto":
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        return resources.get("GPU", 0.0) > 0
    return config.accelerator == "gpu"


def _look(plan: Plan, *, most: int) -> Look | None:
    """None where Ray's control store is away; the training goes on without it."""
    bundle = Resources(float(plan.config.cpus_per_device), 1.0 if plan.on_gpu else 0.0)
    try:
        return machines.look(bundle, most=most)
    except Exception as error:  # noqa: BLE001 - Ray raises RpcError, RuntimeError and others; none may end a training
        log.warning("the machines of the run cannot be seen", error=str(error))
        return None


def _is_done(run: Future[Any], *, within_s: float) -> bool:
    """Wait; what it raises is for whoever asks for its result."""
    done, _ = wait([run], timeout=within_s)
    return bool(done)


def _fit(worker: Callable[[dict[str, Any]], Any], plan: Plan, stop: Any) -> Any:
    # From where version 2 lives: ray.train picks between the two at run time, which no type checker follows.
    from ray.train.torch import TorchConfig, TorchTrainer
    from ray.train.v2.api.config import CheckpointConfig, FailureConfig, LoggingConfig, RunConfig, ScalingConfig

    config = plan.config
    place = locate(plan.run_uri)
    run_config: Any = RunConfig(
        name=TRAIN_NAME,
        storage_path=place.path,
        storage_filesystem=place.fs,
        # No retries here: Ray Train cannot tell a wrong shape from a lost machine, the driver can.
        failure_config=FailureConfig(
            max_failures=0, controller_failure_limit=START_FAILURES, max_preemption_failures=0
        ),
        # The best one by its score, and beside it the newest, which Ray Train never deletes.
        checkpoint_config=CheckpointConfig(
            num_to_keep=1, checkpoint_score_attribute=SCORE, checkpoint_score_order="min"
        ),
        logging_config=LoggingConfig(log_level="WARNING"),  # the run tells its own story
    )
    trainer = TorchTrainer(
        worker,
        train_loop_config={"plan": plan, "stop": stop},
        torch_config=TorchConfig(backend="nccl" if plan.on_gpu else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=(config.min_devices, config.devices) if config.min_devices else config.devices,
            use_gpu=plan.on_gpu,
            resources_per_worker={"CPU": config.cpus_per_device, **({"GPU": 1} if plan.on_gpu else {})},
            elastic_resize_monitor_interval_s=NEVER_S,
        ),
        run_config=run_config,
    )
    result: Any = trainer.fit()
    return result.return_value
