"""Training, from data to model to loop to report. One worker's view; every worker runs this.

It knows one Reporter, one place for checkpoints and the group of workers. It knows no database, no HTTP
and no Ray. A run that is killed anywhere and taken up again goes through the same numbers: the order of
clips, every random draw and every decision follow from the seed and the position.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch

from thornback.datasets import AudioDataset
from thornback.errors import DataError, TrainingFailed
from thornback.jobs.status import FailureReason
from thornback.metrics.reporter import Reporter
from train_jobs.common.group import Agreement, Group, first_of
from train_jobs.common.step_times import timed
from train_jobs.convnext.checkpoint import Checkpoints, Weights
from train_jobs.convnext.choices import Choices
from train_jobs.convnext.data import Batch, ClipDataset, Loader, eval_batches, train_batches
from train_jobs.convnext.evaluate import evaluate
from train_jobs.convnext.hearing import Heard, hear, spread
from train_jobs.convnext.learner import Learner
from train_jobs.convnext.pace import Pace
from train_jobs.convnext.plan import RunPlan
from train_jobs.convnext.schedule import learning_rate
from train_jobs.convnext.scores import Scores
from train_jobs.convnext.state import Best, RunState, Sums

GO_ON, STOP, STOP_UNSAVED = 0, 1, 2
"""What rank 0 tells the others after each step: to write a checkpoint and end, or to end at once."""

NEVER_BEST = 1e30
"""The score of a checkpoint inside an epoch. Not infinity: Ray Train's record would hold it as null."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to; `best` is None where it was stopped before its first epoch ended."""

    is_finished: bool  # False: stopped on request, at a checkpoint
    epochs: int
    best: Best | None
    test: Best | None  # the best weights on the test split, where there is one
    seconds: float  # spent training, over all attempts
    images: int  # trained on in that time
    broken: Mapping[str, str]
    heard: tuple[Heard, ...] = ()  # what the best weights take single validation clips for


class Training:
    """The parts of a run, put together in the order in which they are needed."""

    def __init__(
        self,
        plan: RunPlan,
        dataset: AudioDataset,
        choices: Choices,
        group: Group,
        reporter: Reporter,
        checkpoints: Checkpoints,
        stop: Callable[[], bool],
    ) -> None:
        self.config = plan.config
        self.group, self.reporter, self.checkpoints, self.stop = group, reporter, checkpoints, stop

        # Data: one list of clips, training first, so that a loader process serves all of them.
        self.dataset = dataset
        clips = [*dataset.train, *dataset.val, *dataset.test]
        self.train_clips = len(dataset.train)
        self.val_range = range(self.train_clips, self.train_clips + len(dataset.val))
        self.test_range = range(self.val_range.stop, len(clips))
        source = ClipDataset(dataset.root, clips, dataset.classes, self.config, near=plan.near)
        on_gpu = group.device.type == "cuda"
        self.loader = Loader(source, processes=choices.loader_processes, pin_memory=on_gpu)
        self.fill = choices.compile.on

        # Model
        counts = Counter(clip.label for clip in dataset.train)
        self.learner = Learner(
            self.config,
            choices,
            group,
            [counts[name] for name in dataset.classes],
            pretrained_uri=plan.pretrained_uri,
            model_kwargs=plan.model_kwargs,
        )

        # Where the run stands
        self.state = RunState()
        self.best: Weights | None = None
        snapshot = checkpoints.load()
        if snapshot is not None:
            self.learner.restore(snapshot)
            self.state, self.best = snapshot.state, snapshot.best
            reporter.log(f"going on from epoch {self.state.epoch}, step {self.state.batch}")
        self.agreement = Agreement(group)
        self.pace = Pace(time.monotonic, self.position(), self.state.seconds, self.config.epochs)

    def run(self) -> Outcome:
        """Train until the last epoch, an early stop, or a request to stop."""
        self.reporter.stage("training")
        if empty := self.learner.frontend.empty_filters:
            self.reporter.log(f"note: {empty} of {self.config.n_mels} mel bands are empty; lower n_mels or raise n_fft")
        self.reporter.describe(resumed_from_epoch=self.state.epoch, resumed_from_step=self.state.step)
        while not self.state.is_finished:
            order = self.train_epoch()
            if order != GO_ON:
                return self.stopped(order)
            self.end_epoch(self.validate())
        self.agreement.finish()
        self.reporter.stage("evaluating")
        self.take_best()
        return self.outcome(test=self.test(), heard=self.hear())

    def train_epoch(self) -> int:
        """Train on what is left of the present epoch. Returns what rank 0 says."""
        config, state = self.config, self.state
        width = config.batch_size * config.devices
        self.learner.begin()
        for parts in timed(self.load_parts(), kind="convnext", rank=self.group.rank):
            clips = min(width, self.train_clips - state.done)
            rate = learning_rate(config, self.position(state.done + clips / 2), state.watch.plateau_scale)
            norm = self.learner.step(parts, step=state.step + 1, clips=clips, learning_rate=rate)
            state.step, state.batch, state.done = state.step + 1, state.batch + 1, state.done + clips
            state.images += clips
            state.learning_rate = rate
            for part in parts.values():
                state.broken.update(part.broken)
            is_last = state.done >= self.train_clips
            if is_last or state.batch % config.log_every_steps == 0 or state.step == 1:
                self.report_step(norm)
            order = self.agreement.after_step(self.order())
            if order != GO_ON:
                return order
            every = config.checkpoint_every_steps
            if every and state.step % every == 0 and not is_last:
                self.save(f"step-{state.step:08d}", score=NEVER_BEST)
        return GO_ON

    def load_parts(self) -> Iterator[dict[int, Batch]]:
        """For each step that is left of the epoch, this worker's parts of the batch by seat, on its device."""
        seats = self.group.seats(self.config.devices)
        plans = [
            train_batches(
                self.train_clips,
                self.config,
                epoch=self.state.epoch,
                done=self.state.done,
                seat=seat,
                seats=self.config.devices,
                fill=self.fill,
            )
            for seat in seats
        ]
        batches = self.loader.load([tickets for step in zip(*plans, strict=True) for tickets in step])
        for _ in plans[0]:
            yield {seat: next(batches).to(self.group.device) for seat in seats}

    def validate(self) -> Scores | None:
        """The validation clips, all of them once; None where nothing is held out."""
        return self.judge(self.val_range) if self.val_range else None

    def end_epoch(self, val: Scores | None) -> None:
        """Report the epoch, note whether it was the best, decide whether it was the last, save."""
        state, train = self.state, self.state.epoch_sums
        loss = train.mean_loss if val is None else val.loss
        epoch = state.epoch
        if not math.isfinite(loss):
            raise diverged("the validation loss", epoch=epoch, step=state.batch)
        if state.watch.see(epoch, loss):
            state.best = best_of(epoch, val, train)
            self.best = self.learner.weights() if self.group.is_first else None
        self.reporter.metrics(epoch=epoch, phase="val", values=self.epoch_values(val, train))
        self.report_progress()
        self.refuse_broken()
        state.is_finished = epoch >= self.config.epochs or state.watch.is_over(self.config)
        if state.is_finished and epoch < self.config.epochs:
            self.reporter.log(f"stopped early: no better loss for {state.watch.epochs_without} epochs")
        state.epoch, state.done, state.batch, state.epoch_sums = epoch + 1, 0, 0, Sums()
        self.save(f"epoch-{epoch:04d}", score=loss)

    def take_best(self) -> None:
        """The weights of the best epoch, on every worker; nothing is trained after this."""
        if self.best is not None:
            self.learner.backbone.load_state_dict(self.best)
        self.group.share(self.learner.backbone)

    def hear(self) -> tuple[Heard, ...]:
        """Some of the validation clips, one by one; none where nothing is held out."""
        clips = spread(self.val_range)
        plan = eval_batches(clips, self.config, rank=self.group.rank, world_size=self.group.world_size)
        return tuple(hear(self.learner, plan, self.loader.load, self.group))

    def test(self) -> Best | None:
        """The best weights on the test split; None where there is none."""
        if not self.test_range:
            return None
        scores = self.judge(self.test_range)
        values = {"test_loss": scores.loss, "test_accuracy": scores.accuracy, "macro_f1": scores.macro_f1}
        best = self.state.best
        epoch = best.epoch if best else self.config.epochs
        self.reporter.metrics(epoch=epoch, phase="test", values=values)
        return best_of(epoch, scores, Sums())

    def judge(self, clips: range) -> Scores:
        """Loss and confusion over these clips."""
        plan = eval_batches(clips, self.config, rank=self.group.rank, world_size=self.group.world_size)
        scores, broken = evaluate(self.learner, self.loader.load(plan), self.group)
        self.state.broken.update(broken)
        return scores

    def order(self) -> int:
        """What this worker would tell the others; only rank 0 is asked."""
        if self.reporter.is_superseded:
            return STOP_UNSAVED
        return STOP if self.reporter.should_stop or self.stop() else GO_ON

    def stopped(self, order: int) -> Outcome:
        """End on request, at a checkpoint unless another run has taken over."""
        self.agreement.finish()
        if order == STOP:
            self.reporter.log(f"stopping on request in epoch {self.state.epoch}, step {self.state.batch}")
            self.collect_sums()
            self.save(f"step-{self.state.step:08d}", score=NEVER_BEST)
        return self.outcome(test=None)

    def report_step(self, norm: torch.Tensor) -> None:
        """A row for the charts: means since the row before. Waits for the device."""
        state = self.state
        self.collect_sums()
        window, state.window_sums = state.window_sums, Sums()
        state.gradient_norm = float(norm)
        values = {
            "train_loss": window.mean_loss,
            "train_accuracy": window.accuracy,
            "learning_rate": state.learning_rate,
            "gradient_norm": state.gradient_norm,
            "images_per_second": self.pace.images_per_second(state.images),
        }
        self.reporter.metrics(epoch=state.epoch, batch=state.batch, phase="train", values=values)
        self.report_progress()

    def collect_sums(self) -> None:
        """Bring the sums of all workers up to date and refuse to go on with a broken network."""
        sums = self.learner.take_sums()
        self.state.window_sums.add(sums)
        self.state.epoch_sums.add(sums)
        bad_step = self.learner.first_bad_step()
        if bad_step is not None:
            batch = self.state.batch - (self.state.step - bad_step)
            raise diverged("the loss or its gradient", epoch=self.state.epoch, step=batch)

    def report_progress(self) -> None:
        """How far the run is, and how long the rest takes at the pace so far."""
        position = self.position(self.state.done)
        self.reporter.progress(
            percent=100.0 * position / self.config.epochs,
            epoch=self.state.epoch,
            total_epochs=self.config.epochs,
            eta_seconds=self.pace.eta_seconds(position),
        )

    def epoch_values(self, val: Scores | None, train: Sums) -> dict[str, float]:
        """The epoch's own row."""
        values = {
            "train_loss": train.mean_loss,
            "train_accuracy": train.accuracy,
            "learning_rate": self.state.learning_rate,
            "gradient_norm": self.state.gradient_norm,
            "images_per_second": self.pace.images_per_second(self.state.images),
        }
        if val is not None:
            values |= {"val_loss": val.loss, "val_accuracy": val.accuracy, "macro_f1": val.macro_f1}
        return values

    def refuse_broken(self) -> None:
        """Tell which files could not be decoded; too many of them end the run on every worker."""
        state = self.state
        state.broken = first_of(self.group.gather(state.broken))
        before = self.dataset.report
        known = len(before.broken)
        total = known + before.kept
        if state.broken:
            named = [{"path": path, "reason": reason} for path, reason in list(state.broken.items())[:20]]
            self.reporter.describe(broken_while_training=len(state.broken), broken_files=named)
        share = (known + len(state.broken)) / total
        if share > self.config.max_broken_share:
            names = "; ".join(f"{path}: {reason}" for path, reason in list(state.broken.items())[:5])
            raise DataError.field(
                "max_broken_share",
                f"{known + len(state.broken)} of {total} clips ({share:.1%}) cannot be decoded and "
                f"{self.config.max_broken_share:.1%} are allowed: {names}",
            )

    def save(self, name: str, *, score: float) -> None:
        """A checkpoint; every worker takes part."""
        self.collect_sums()
        self.state.seconds = self.pace.seconds
        snapshot = self.learner.snapshot(replace(self.state), self.best) if self.group.is_first else None
        self.checkpoints.save(name, snapshot, score=score)

    def position(self, done: float | None = None) -> float:
        """How far the run is, in epochs."""
        return self.state.epoch - 1 + (self.state.done if done is None else done) / self.train_clips

    def outcome(self, *, test: Best | None, heard: tuple[Heard, ...] = ()) -> Outcome:
        """What it came to."""
        return Outcome(
            is_finished=self.state.is_finished,
            epochs=self.state.epoch - 1,
            best=self.state.best,
            test=test,
            seconds=self.pace.seconds,
            images=self.state.images,
            broken=self.state.broken,
            heard=heard,
        )


def best_of(epoch: int, scores: Scores | None, train: Sums) -> Best:
    """An epoch's figures: of the clips held out, or of the training where there are none."""
    if scores is None:
        return Best(epoch=epoch, loss=train.mean_loss, accuracy=train.accuracy, macro_f1=0.0, recall=[], confusion=[])
    return Best(
        epoch=epoch,
        loss=scores.loss,
        accuracy=scores.accuracy,
        macro_f1=scores.macro_f1,
        recall=scores.recall,
        confusion=scores.confusion.tolist(),
    )


def diverged(what: str, *, epoch: int, step: int) -> TrainingFailed:
    """The error that ends a run whose numbers are no longer finite."""
    return TrainingFailed(
        f"training diverged: {what} was not finite in epoch {epoch}, step {step}; lower learning_rate",
        reason=FailureReason.DIVERGED.value,
        retryable=False,
        epoch=epoch,
        step=step,
    )
