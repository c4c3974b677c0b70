"""A machine that dies in the middle of an epoch: seconds and steps until its training goes on.

    python -m tests.benchmarks.node_loss [--rounds 3] [--every 5] [--no-spare]

A cluster of real nodes on this machine, each a tree of processes that `ray start` makes; ConvNeXt over two
of them, with a checkpoint each `--every` steps; then SIGKILL to every process of one of the two. With a
third node to spare the run starts again where it is; with --no-spare it goes back to the queue, and a new
node is started 20 s after the loss, whose seconds are part of the figure.

All times come from the events of the job, as a client is told of them.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.integration.cluster.machines import Machines, Told, job_when, running_machines
from tests.unit.train_jobs.helpers import make_tones, small_config
from thornback.client import Client
from thornback.client.models import Event
from thornback.jobs.events import EventKind

CLIPS, BATCH, EPOCHS = 64, 2, 8
STEPS = CLIPS * 3 * 3 // 4 // (2 * BATCH)  # of an epoch: three pitches, a quarter is held out
REPLACED_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Seconds after the kill, and steps."""

    noticed_s: float  # the driver has said so
    training_s: float  # the workers have loaded the checkpoint and train
    new_step_s: float  # the first step that was never done before: what was lost has been made up
    steps: int  # that were done twice

    def row(self) -> Sequence[float]:
        return self.noticed_s, self.training_s, self.new_step_s, self.steps


def measure(machines: Machines, client: Client, tones: Path, *, every: int, victim: str, spare: str | None) -> Loss:
    """One training and one death."""
    config = small_config(
        tones, devices=2, batch_size=BATCH, epochs=EPOCHS, log_every_steps=1, checkpoint_every_steps=every
    )
    job = client.submit(f"loses {victim}", config.model_dump(mode="json"))
    job_when(client, job.id, lambda job: job.current_epoch >= 2, "second epoch")
    if spare is not None:
        machines.add(spare)
    job_when(client, job.id, lambda job: job.current_epoch >= 3, "third epoch")
    killed = datetime.now(UTC)
    machines.kill(victim)
    if spare is None:
        threading.Event().wait(REPLACED_S)
        machines.add(f"{victim}x")
    job_when(client, job.id, lambda job: job.is_final, "end")
    return loss_of(Told.of(client, job.id), killed)


def loss_of(told: Told, killed: datetime) -> Loss:
    """What the events say."""

    def first(kind: EventKind, *names: str) -> Event:
        def has(event: Event) -> bool:
            return event.kind is kind and event.at > killed and all(name in str(event.data) for name in names)

        return next(event for event in told.events if has(event))

    noticed, training = first(EventKind.RETRIED), first(EventKind.DESCRIBED, "resumed_from_step")
    reached = max(told.before(noticed).steps(STEPS))
    new = first(EventKind.METRICS, "train_loss")
    while (new.data["epoch"] - 1) * STEPS + (new.data["batch"] or 0) <= reached:
        new = next(event for event in told.events if event.id > new.id and event.kind is EventKind.METRICS)
    return Loss(
        noticed_s=(noticed.at - killed).total_seconds(),
        training_s=(training.at - killed).total_seconds(),
        new_step_s=(new.at - killed).total_seconds(),
        steps=reached - told.resumed()[-1],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--no-spare", action="store_true")
    arguments = parser.parse_args()
    losses: list[Loss] = []
    with tempfile.TemporaryDirectory() as folder, running_machines(Path(folder) / "home") as machines:
        tones = make_tones(Path(folder) / "tones", clips=CLIPS)
        machines.start_head()
        machines.add("node0")
        machines.add("node1")
        client = machines.up()
        names = ["node0", "node1"]
        print(f"{'round':<8}{'noticed s':>12}{'training s':>12}{'new step s':>12}{'steps lost':>12}")
        for number in range(arguments.rounds):
            victim = names.pop(0)
            spare = None if arguments.no_spare else f"node{number + 2}"
            began = time.monotonic()
            losses.append(measure(machines, client, tones, every=arguments.every, victim=victim, spare=spare))
            names.append(spare or f"{victim}x")
            show(str(number + 1), losses[-1].row())
            print(f"        ({time.monotonic() - began:.0f} s in all)", flush=True)
    show("median", [statistics.median(values) for values in zip(*(loss.row() for loss in losses), strict=True)])


def show(name: str, values: Sequence[float]) -> None:
    print(f"{name:<8}" + "".join(f"{value:>12.1f}" for value in values), flush=True)


if __name__ == "__main__":
    main()
