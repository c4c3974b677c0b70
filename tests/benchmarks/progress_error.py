"""How far shown progress and time left are from the truth, over recorded runs whose truth is known.

    python -m tests.benchmarks.progress_error [--poll 5]

Each run is drawn by tqdm itself, on a clock of its own, with a pace profile: steps, pauses for samples and
checkpoints, preparations before and saving after. The log is read as a provider sends it: whole, every `--poll`
seconds, through `GrowingLog`, `LogParser`, `ProgressTracker` and `Eta`. Truth of progress is the step that was being
done, on the same scale (10 + 0.85 * percent; 5 to 10 while it prepares); truth of the time left is when the last step
was done. Beside them: progress by time alone, and the time left that the last bar in the log shows.
"""

from __future__ import annotations

import argparse
import io
import random
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import fmean

from tqdm import tqdm  # type: ignore[import-untyped]

from thornback.jobs.eta import Eta
from thornback.jobs.progress import ProgressTracker, Stage, by_time, overall_percent
from thornback.trainlog.growing import GrowingLog
from thornback.trainlog.parser import LogParser
from thornback.trainlog.sample import Phase

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Profile:
    """How a run goes; seconds."""

    name: str
    steps: int = 1000
    pace: Callable[[int, random.Random], float] = lambda _, chance: 1.0 + chance.uniform(-0.05, 0.05)
    prepares: float = 90.0
    pause_every: int = 0
    pause: float = 0.0
    resumes_at: int = 0  # the bar then has only what remains
    says_preparing: bool = True


PROFILES = (
    Profile("steady"),
    Profile("noisy pace", pace=lambda _, chance: chance.lognormvariate(0.0, 0.5)),
    Profile("slow start", pace=lambda step, _: 20.0 if step < 10 else 0.8),
    Profile("slower by and by", pace=lambda step, _: 0.7 + step / 1000),
    Profile("samples every 250", pause_every=250, pause=60.0),
    Profile("samples every 100, long", pause_every=100, pause=120.0),
    Profile("resumed at 400", resumes_at=400),
    Profile("long preparation, silent", prepares=400.0, says_preparing=False),
    Profile("long preparation, told", prepares=400.0),
    Profile("few long steps", steps=60, pace=lambda _, chance: 15.0 + chance.uniform(-2.0, 2.0)),
)


@dataclass
class Recorded:
    """A log with the times of its parts, and the truth."""

    steps: int
    texts: list[tuple[float, str]] = field(default_factory=list)
    done_at: list[float] = field(default_factory=list)  # of every step, the first of them when training began
    first: int = 0

    @property
    def end(self) -> float:
        """When the last step was done."""
        return self.done_at[-1]

    def true_percent(self, at: float) -> float:
        """Overall, on the scale that is shown."""
        began = self.done_at[0]
        if at < began:
            return 5.0 + 5.0 * at / began
        place = bisect_right(self.done_at, at) - 1
        share = 0.0
        if place + 1 < len(self.done_at):
            share = (at - self.done_at[place]) / (self.done_at[place + 1] - self.done_at[place])
        return overall_percent(100.0 * (self.first + place + share) / self.steps)


def record(profile: Profile) -> Recorded:
    """Draw the log of one run."""
    chance, clock = random.Random(7), 0.0
    run = Recorded(profile.steps, first=profile.resumes_at)
    if profile.says_preparing:
        for n in range(11):
            run.texts.append(
                (profile.prepares * n / 10, f"Caching latents:  {n * 10}%|█| {n}/10 [00:01<00:01,  1.00it/s]\r")
            )
    clock = profile.prepares
    if profile.resumes_at:
        run.texts.append((clock, f"resuming from step {profile.resumes_at}\n"))
    paper = io.StringIO()
    bar = tqdm(total=profile.steps - profile.resumes_at, desc="steps", file=paper, mininterval=0, miniters=1)
    bar._time = lambda: clock
    bar.start_t = bar.last_print_t = clock
    run.done_at.append(clock)
    for step in range(profile.resumes_at, profile.steps):
        clock += profile.pace(step, chance)
        if profile.pause_every and step and step % profile.pause_every == 0:
            run.texts.append((clock, "\nGenerating Images:  50%|█| 2/4 [00:20<00:20, 10.00s/it]\n"))
            clock += profile.pause
        bar.update()
        run.done_at.append(clock)
        run.texts.append((clock, paper.getvalue()))
        paper.seek(0)
        paper.truncate()
    bar._time = lambda: clock
    bar.close()
    return run


@dataclass(frozen=True)
class Point:
    """What was shown at one poll, beside the truth; None where nothing was."""

    at: float
    shown: float
    true: float
    left: float | None
    in_range: bool
    bars_left: float | None


def follow(run: Recorded, poll: float) -> Iterator[Point]:
    """Read the log as it grows."""
    growing, parser, tracker, eta = GrowingLog(), LogParser(steps=run.steps), ProgressTracker(), Eta(run.steps)
    tracker.enter(Stage.TRAINING, BEGIN)
    bars_left: float | None = None
    whole, used, seconds = "", 0, poll
    while seconds < run.end:
        while used < len(run.texts) and run.texts[used][0] <= seconds:
            whole += run.texts[used][1]
            used += 1
        now = BEGIN + timedelta(seconds=seconds)
        for sample in parser.feed(growing.take(whole)):
            if sample.phase.is_preparation:
                tracker.preparing()
            if sample.phase is Phase.TRAINING and sample.percent is not None and sample.done is not None:
                tracker.training(sample.percent, now)
                eta.add(sample.done, now, sample.of)
                bars_left = sample.eta_seconds
        estimate = eta.estimate(now)
        rest = run.end - seconds
        yield Point(
            at=seconds,
            shown=tracker.point(now).percent,
            true=run.true_percent(seconds),
            left=estimate.seconds if estimate else None,
            in_range=estimate is not None and estimate.low <= rest <= estimate.high,
            bars_left=bars_left,
        )
        seconds += poll


@dataclass(frozen=True)
class Errors:
    """Means over one run."""

    progress: float  # points of percent
    by_time: float
    eta: float  # share of the whole run, percent
    bars_eta: float
    in_range: float  # percent


def errors(run: Recorded, poll: float) -> Errors:
    """Of the time left, only points at which both estimates are there count."""
    points = list(follow(run, poll))
    both = [point for point in points if point.left is not None and point.bars_left is not None]
    return Errors(
        progress=fmean(abs(point.shown - point.true) for point in points),
        by_time=fmean(abs(by_time(point.at) - point.true) for point in points),
        eta=100 * fmean(abs((point.left or 0.0) - (run.end - point.at)) for point in both) / run.end,
        bars_eta=100 * fmean(abs((point.bars_left or 0.0) - (run.end - point.at)) for point in both) / run.end,
        in_range=100 * fmean(point.in_range for point in both),
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--poll", type=float, default=5.0)
    poll: float = options.parse_args().poll
    print(f"mean absolute error; a poll every {poll:g} s")
    print(f"{'':28}progress, points            time left, % of the run         true rest")
    print(f"{'':28}shown    by time alone      ours     the bar's own         inside range")
    rows = []
    for profile in PROFILES:
        row = errors(record(profile), poll)
        rows.append(row)
        show(profile.name, row)
    show("all", Errors(*(fmean(getattr(row, name) for row in rows) for name in Errors.__dataclass_fields__)))


def show(name: str, row: Errors) -> None:
    print(f"  {name:26}{row.progress:6.2f}{row.by_time:15.2f}{row.eta:14.2f}{row.bars_eta:16.2f}{row.in_range:18.0f} %")


if __name__ == "__main__":
    main()
