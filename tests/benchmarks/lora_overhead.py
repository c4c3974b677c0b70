"""What reporting costs a step of a LoRA training, sampling off.

    python -m tests.benchmarks.lora_overhead [--rounds 30] [--step-s 0.25]

The loop of the job on a tiny FLUX.1 (its steps are short, so that the cost of a report is not lost in their
noise), turn by turn with two reporters: one that does nothing, and the one of a real run with TensorBoard
behind it, which delivers to a recorder on SQLite. The recorder lives in this process, in a run it is another
one; so the CPU time of all threads is more than a training pays, and that of the loop's own thread, in the
calls that speak to the reporter, less than it pays where no core is free. Both are put beside a step of
`--step-s` seconds: 0.25 is about what the fastest published trainings of this kind need on an H100.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import torch

from tests.benchmarks.lora_models import build_base
from tests.benchmarks.lora_rig import CAPTION, Bench, make_pictures
from thornback import torch_shim
from thornback.jobs.events import Attempt, JobEvent
from thornback.jobs.own_lora import LoraConfig
from thornback.jobs.spec import parse_spec
from thornback.metrics.local import LocalRecorder
from thornback.metrics.port import Ack, NewJob, Speaker
from thornback.metrics.reporter import ActorReporter, NullReporter, Reporter
from thornback.settings import Settings
from thornback.store.migrate import upgrade
from train_jobs.common.tracking import TrackingReporter, open_sinks
from train_jobs.lora import components
from train_jobs.lora.loop import Training


@contextmanager
def real_reporter(folder: Path) -> Iterator[Reporter]:
    """As in a worker, with the recorder in this process."""
    settings = Settings(home=folder)
    upgrade(settings.database_url)
    recorder = LocalRecorder.open(settings)
    recorder.begin()
    job_id = str(uuid.uuid4())
    spec = parse_spec({"job_name": "bench"}).model_dump(mode="json")
    asyncio.run(recorder.create(NewJob(job_id=job_id, spec=spec, user="bench", at=datetime.now(UTC))))
    speaker = Speaker(job_id=job_id, attempt=Attempt())

    def send(events: Sequence[JobEvent]) -> Ack:
        return asyncio.run(recorder.record(events, speaker=speaker))

    inner = ActorReporter(job_id, attempt=Attempt(), rank=0, send=send)
    reporter = TrackingReporter(inner, open_sinks(str(folder / "tensorboard"), None), steps_per_epoch=0)
    yield reporter
    assert reporter.close(60)
    asyncio.run(recorder.close())


def turn(training: Training, reporter: Reporter, steps: int) -> tuple[float, float]:
    """CPU seconds of a step: of all threads in the whole of it, and of this one in what speaks to the reporter."""
    training.reporter = reporter
    began, here = time.process_time(), 0.0
    for _ in range(steps):
        told = training.step()
        began_here = time.thread_time()
        training.note(*told)
        training.order()
        here += time.thread_time() - began_here
    # The thread that delivers has its say within the turn that caused it.
    reporter.flush(60)
    return (time.process_time() - began) / steps, here / steps


def compare(training: Training, reporters: dict[str, Reporter], *, rounds: int, steps: int, step_s: float) -> None:
    """The median difference of the turns of a round."""
    differences: tuple[list[float], list[float]] = ([], [])
    silent: list[float] = []
    for number in range(rounds):
        names = ["null", "real"] if number % 2 else ["real", "null"]
        told = {name: turn(training, reporters[name], steps) for name in names}
        for place, found in enumerate(differences):
            found.append(told["real"][place] - told["null"][place])
        silent.append(told["null"][0])
    every = training.config.log_every_steps
    for what, found in zip(("all threads", "the loop's thread"), differences, strict=True):
        low, middle, high = statistics.quantiles(found, n=4)
        print(
            f"reporting every {every} steps, {what}: {middle * 1e6:.0f} µs a step "
            f"(quartiles {low * 1e6:.0f} to {high * 1e6:.0f}), {middle / step_s:.3%} of a step of {step_s} s"
        )
    print(f"   (the tiny model's own step: {statistics.median(silent) * 1e3:.1f} ms of CPU)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--steps", type=int, default=50, help="in a turn")
    parser.add_argument("--step-s", type=float, default=0.25)
    arguments = parser.parse_args()
    torch_shim.install()
    torch.set_num_threads(1)
    components.be_quiet()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = build_base("flux1", "tiny", folder / "base")
        pictures = make_pictures(folder / "pictures", count=4, side=64)
        for every in (10, 1):
            config = LoraConfig(
                base_model=str(base),
                dataset=str(pictures),
                default_caption=CAPTION,
                resolution=[64],
                steps=1_000_000,
                log_every_steps=every,
            )
            bench = Bench(config, folder / "cache", dtype=torch.float32)
            training = bench.training(*bench.encode()[:3])
            with real_reporter(folder / f"every-{every}") as reporter:
                reporters: dict[str, Reporter] = {"null": NullReporter(), "real": reporter}
                for one in reporters.values():
                    turn(training, one, 10)  # warm
                compare(training, reporters, rounds=arguments.rounds, steps=arguments.steps, step_s=arguments.step_s)
        print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
