"""TensorBoard and MLflow beside the platform: the same rows, written by a thread of their own.

Setting a sink up may end the run, because somebody asked for it; writing to one never does.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Protocol, SupportsFloat

from thornback.artifacts.files import join, locate
from thornback.log import get_logger
from thornback.metrics.reporter import Reporter
from train_jobs.common.layers import ReporterLayer

_log = get_logger("tracking")

UPLOAD_S = 30.0  # event files on s3:// are at most so old


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowTarget:
    """Where the run is logged besides; the same MLflow run for every attempt."""

    tracking_uri: str
    run_id: str


class Sink(Protocol):
    """Takes rows of numbers."""

    def write(self, step: int, prefix: str, values: Mapping[str, float], at: float) -> None:
        """One row; `step` grows along the run, `at` is in seconds since 1970."""
        ...

    def close(self) -> None:
        """Bring what was written to its place."""
        ...


class TensorBoardSink:
    """Event files in the run's folder; for s3:// they are written here and copied there."""

    def __init__(self, uri: str) -> None:
        from torch.utils.tensorboard import SummaryWriter  # needs tensorboard, which training itself does not

        self._uri = uri if "://" in uri else None
        self._folder = Path(mkdtemp(prefix="thornback-tensorboard-")) if self._uri else Path(uri)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._writer = SummaryWriter(str(self._folder), flush_secs=5)
        self._uploaded_at = time.monotonic()

    def write(self, step: int, prefix: str, values: Mapping[str, float], at: float) -> None:
        """See Sink."""
        for name, value in values.items():
            self._writer.add_scalar(f"{prefix}/{name}", value, step, walltime=at)
        if time.monotonic() - self._uploaded_at > UPLOAD_S:
            self._writer.flush()
            self._upload()

    def close(self) -> None:
        """See Sink."""
        self._writer.close()
        self._upload()

    def _upload(self) -> None:
        self._uploaded_at = time.monotonic()
        if self._uri:
            for file in sorted(self._folder.iterdir()):
                locate(join(self._uri, file.name)).upload(file)


class MlflowSink:
    """Rows to an MLflow run that the driver has made."""

    def __init__(self, target: MlflowTarget) -> None:
        from mlflow.tracking import MlflowClient  # an extra

        self._client = MlflowClient(tracking_uri=target.tracking_uri)
        self._run_id = target.run_id

    def write(self, step: int, prefix: str, values: Mapping[str, float], at: float) -> None:
        """See Sink."""
        from mlflow.entities import Metric

        rows = [Metric(f"{prefix}/{name}", value, int(at * 1000), step) for name, value in values.items()]
        self._client.log_batch(self._run_id, metrics=rows)

    def close(self) -> None:
        """See Sink."""


def open_sinks(tensorboard_uri: str, mlflow: MlflowTarget | None) -> list[Sink]:
    """TensorBoard always, MLflow where the driver has set it up."""
    sinks: list[Sink] = [TensorBoardSink(tensorboard_uri)]
    if mlflow is not None:
        sinks.append(MlflowSink(mlflow))
    return sinks


def prepare_mlflow(
    tracking_uri: str | None, *, experiment: str | None, parameters: Mapping[str, Any], note_uri: str, name: str
) -> MlflowTarget | None:
    """An MLflow run for this job, the same one for each attempt; None where no server is set.

    Args:
        tracking_uri: of the server.
        experiment: its name; None: thornback.
        parameters: logged once.
        note_uri: a file in the run's folder that remembers the MLflow run.
        name: of the run.

    Raises:
        whatever MLflow raises where its server cannot be used: it was asked for, so its lack ends the run.
    """
    if tracking_uri is None:
        return None
    from mlflow.tracking import MlflowClient  # an extra, and a second to import

    note = locate(note_uri)
    if note.exists():
        return MlflowTarget(tracking_uri=tracking_uri, run_id=note.read_bytes().decode())
    client = MlflowClient(tracking_uri=tracking_uri)
    experiment = experiment or "thornback"
    known = client.get_experiment_by_name(experiment)
    experiment_id = known.experiment_id if known else client.create_experiment(experiment)
    run_id: str = client.create_run(experiment_id, run_name=name).info.run_id
    for key, value in parameters.items():
        client.log_param(run_id, key, value)
    note.write_bytes(run_id.encode())
    return MlflowTarget(tracking_uri=tracking_uri, run_id=run_id)


class TrackingReporter(ReporterLayer):
    """Also gives each row of numbers to the sinks, from a thread, so that no step waits for a server."""

    def __init__(self, inner: Reporter, sinks: Sequence[Sink], *, steps_per_epoch: int) -> None:
        super().__init__(inner)
        self._sinks = list(sinks)
        self._steps_per_epoch = steps_per_epoch
        self._rows: queue.SimpleQueue[tuple[int, str, dict[str, float], float] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="thornback-tracking", daemon=True)
        self._thread.start()

    def metrics(self, *, epoch: int, phase: str, values: Mapping[str, SupportsFloat], batch: int | None = None) -> None:
        """Rows of steps are counted in steps of the run, rows of epochs in epochs."""
        super().metrics(epoch=epoch, phase=phase, values=values, batch=batch)
        step = epoch if batch is None else (epoch - 1) * self._steps_per_epoch + batch
        prefix = "step" if batch is not None else "epoch" if phase == "val" else phase
        self._rows.put((step, prefix, {name: float(value) for name, value in values.items()}, time.time()))

    def close(self, timeout_s: float = 10.0) -> bool:
        """Also waits for the sinks."""
        self._rows.put(None)
        self._thread.join(timeout_s)
        return super().close(timeout_s)

    def _write(self) -> None:
        while (row := self._rows.get()) is not None:
            for sink in self._sinks:
                _guard(sink, partial(sink.write, *row))
        for sink in self._sinks:
            _guard(sink, sink.close)


def _guard(sink: Sink, call: Callable[[], None]) -> None:
    try:
        call()
    except Exception as error:  # noqa: BLE001 - a sink's server or disk must not end a training
        _log.warning("a row was not tracked", sink=type(sink).__name__, error=str(error))
