"""Training, from examples to model to loop to report. One worker's view; every worker runs this.

It knows one Reporter, one place for checkpoints and the group of workers. It knows no database, no HTTP
and no Ray.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntFlag
from typing import Protocol

import torch

from thornback.errors import TrainingFailed
from thornback.jobs.own_lora import LoraConfig
from thornback.jobs.status import FailureReason
from thornback.metrics.reporter import Reporter
from train_jobs.common.group import Agreement, Group
from train_jobs.common.step_times import tell_step
from train_jobs.lora.checkpoint import Checkpoints, Snapshot, Weights
from train_jobs.lora.draws import Plan, draw, generator_for
from train_jobs.lora.examples import Encoded, Examples
from train_jobs.lora.learner import Batch, Learner
from train_jobs.lora.pace import Pace
from train_jobs.lora.sampling import Sample, Sampler
from train_jobs.lora.schedule import learning_rate
from train_jobs.lora.state import RunState
from train_jobs.lora.validation import validate

NEVER_BEST = 1e30
"""The score of a checkpoint without a validation. Not infinity: Ray Train's record would hold it as null."""


class Order(IntFlag):
    """What rank 0 tells the others after each step."""

    GO_ON = 0
    STOP = 1  # write a checkpoint and end, to be gone on with
    STOP_UNSAVED = 2  # another run has taken over
    SAVE = 4  # a checkpoint and its LoRA file now
    SAMPLE = 8  # pictures now
    KEEP = 16  # end here and publish what there is


class Wishes(Protocol):
    """What people have asked of a running job."""

    def __call__(self) -> Order:
        """Everything that was asked since the last call."""
        ...


class Gallery(Protocol):
    """Where pictures go."""

    def show(self, step: int, samples: Sequence[Sample]) -> None:
        """Keep the pictures of a step."""
        ...


class Shelf(Protocol):
    """Where the LoRA files of checkpoints go."""

    def put(self, step: int, epochs: int, weights: Weights) -> None:
        """Keep the file of a step."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to."""

    is_finished: bool  # False: stopped on request, at a checkpoint
    step: int
    epochs: int
    stopped_early: bool
    best_step: int
    best_loss: float | None
    weights: Weights  # on rank 0: what is published
    seconds: float


class Training:
    """The parts of a run, put together in the order in which they are needed."""

    def __init__(
        self,
        config: LoraConfig,
        examples: Examples,
        encoded: Encoded,
        learner: Learner,
        group: Group,
        reporter: Reporter,
        checkpoints: Checkpoints,
        *,
        sampler: Sampler | None,
        gallery: Gallery,
        shelf: Shelf,
        wishes: Wishes,
        stop: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config, self.examples, self.encoded, self.learner = config, examples, encoded, learner
        self.group, self.reporter, self.checkpoints = group, reporter, checkpoints
        self.sampler, self.gallery, self.shelf, self.wishes, self.stop = sampler, gallery, shelf, wishes, stop

        self.plan = Plan(
            examples.train,
            batch=config.batch_size * config.devices,
            repeats=config.repeats,
            seed=config.seed,
        )
        self.steps = config.total_steps(math.ceil(self.plan.batches_per_epoch / config.gradient_accumulation))
        self.state = RunState()
        self.best: Weights = {}
        snapshot = checkpoints.load()
        if snapshot is not None:
            learner.restore(snapshot.weights, snapshot.averaged, snapshot.optimizer)
            self.state, self.best = snapshot.state, snapshot.best
            reporter.log(f"going on from step {self.state.step} of {self.steps}")
        self._loss = torch.zeros((), dtype=torch.float64, device=group.device)
        self.agreement = Agreement(group)
        self.pace = Pace(clock, self.state.step, self.state.seconds)
        self.clock = clock

    def run(self) -> Outcome:
        """Train to the end, or until asked to stop."""
        if not self.state.is_finished:
            self.reporter.stage("training")
        while not self.state.is_finished:
            loss, norm = self.step()
            self.note(loss, norm)
            self.state.is_finished = self.state.step >= self.steps
            score = self.validate_if_due()
            order = Order(self.agreement.after_step(self.order()))
            if order & Order.STOP_UNSAVED:
                return self.outcome()
            if order & Order.KEEP:
                self.state.is_finished = True
            self.sample_if_due(asked=bool(order & Order.SAMPLE))
            self.save_if_due(score, asked=bool(order & (Order.SAVE | Order.STOP)))
            if order & Order.STOP and not self.state.is_finished:
                self.agreement.finish()
                self.reporter.log(f"stopping on request at step {self.state.step} of {self.steps}")
                return self.outcome()
        self.agreement.finish()
        return self.outcome()

    def step(self) -> tuple[torch.Tensor, torch.Tensor]:
        """One optimizer step; returns this worker's loss and the gradient's norm, on the device."""
        config, group, state = self.config, self.group, self.state
        if config.dropout > 0:
            torch.manual_seed(generator_for(config.seed, state.step, group.rank).initial_seed())
        seats = group.seats(config.devices)
        asked = time.perf_counter()
        first = state.step * config.gradient_accumulation
        batches = [self.batch_of(n, seat) for n in range(first, first + config.gradient_accumulation) for seat in seats]
        given = time.perf_counter()
        # A sharded base wants every worker at each of its layers: who has a part less computes one for nothing.
        spare = config.gradient_accumulation * (math.ceil(config.devices / group.world_size) - len(seats))
        batches += [replace(batch, weight=torch.zeros_like(batch.weight)) for batch in batches[:spare]]
        rate = learning_rate(config, state.step + 1, self.steps)
        share = group.world_size / (config.gradient_accumulation * config.devices)
        loss, norm = self.learner.step(batches, share=share, learning_rate=rate)
        tell_step(kind="lora", rank=group.rank, data_s=given - asked, work_s=time.perf_counter() - given)
        state.step += 1
        state.learning_rate = rate
        return loss, norm

    def batch_of(self, n: int, seat: int) -> Batch:
        """What one seat computes of batch `n`."""
        config = self.config
        first = seat * config.batch_size
        shots = self.plan.at(n)[first : first + config.batch_size]
        draws = [
            draw(
                shot,
                seed=config.seed,
                n=n,
                place=first + place,
                flip=config.flip,
                caption_dropout=config.caption_dropout,
            )
            for place, shot in enumerate(shots)
        ]
        return self.learner.batch(shots, draws, self.encoded)

    def note(self, loss: torch.Tensor, norm: torch.Tensor) -> None:
        """Add up; every so often a row for the charts, for which the device is waited for."""
        state = self.state
        self._loss += loss.double()
        state.loss_steps += 1
        if state.step != 1 and state.step % self.config.log_every_steps and state.step < self.steps:
            return
        self.collect()
        mean = state.loss_sum / state.loss_steps
        state.gradient_norm = float(norm)
        state.loss_sum, state.loss_steps = 0.0, 0
        if not math.isfinite(mean) or not math.isfinite(state.gradient_norm):
            raise diverged(state.step)
        values = {
            "train_loss": mean,
            "learning_rate": state.learning_rate,
            "gradient_norm": state.gradient_norm,
            **self.step_times(),
        }
        self.reporter.metrics(epoch=self.epoch, batch=state.step, phase="train", values=values)
        self.report_progress()
        self.reporter.log(
            f"step {state.step}/{self.steps}  loss {mean:.4f}  lr {state.learning_rate:.2e}  "
            f"{values['seconds_per_step']:.3g} s/step"
        )

    def step_times(self) -> dict[str, float]:
        """The slowest worker's step, and where there are several each one's, from reading its batch to its end."""
        times = self.group.gather(self.pace.seconds_per_step(self.state.step))
        if len(times) == 1:
            return {"seconds_per_step": times[0]}
        return {"seconds_per_step": max(times)} | {
            f"seconds_per_step_rank_{rank}": seconds for rank, seconds in enumerate(times)
        }

    def collect(self) -> None:
        """Bring the sum of losses, over all workers, into the state. Waits for the device."""
        self.state.loss_sum += float(self.group.sum(self._loss.clone())) / self.group.world_size
        self._loss.zero_()

    def validate_if_due(self) -> float | None:
        """The validation loss where it is time for one; may end the run."""
        config, state = self.config, self.state
        every = config.validate_every
        is_due = state.is_finished or (every and state.step % every == 0)
        if not self.examples.val or not is_due:
            return None
        with self.pace.pausing():
            loss = validate(self.learner, self.examples.val, self.encoded, self.group)
        if not math.isfinite(loss):
            raise diverged(state.step)
        self.reporter.metrics(epoch=self.epoch, batch=state.step, phase="val", values={"val_loss": loss})
        self.reporter.log(f"step {state.step}/{self.steps}  val_loss {loss:.4f}")
        if state.watch.see(state.step, loss):
            self.best = self.learner.best_weights() if self.group.is_first else {}
        if state.watch.is_over(config.early_stop_patience) and not state.is_finished:
            state.is_finished = state.stopped_early = True
            self.reporter.log(f"stopped early: no better loss for {state.watch.validations_without} validations")
        return loss

    def sample_if_due(self, *, asked: bool) -> None:
        """Pictures where it is time for some."""
        every = self.config.sample_every
        is_due = asked or self.state.is_finished or (every and self.state.step % every == 0)
        prompts = len(self.config.sample_prompts)
        if self.sampler is None or not prompts or not is_due:
            return
        with self.pace.pausing():
            # With a sharded base every worker walks through the model for every picture.
            numbers = (
                range(prompts) if self.learner.is_sharded else range(self.group.rank, prompts, self.group.world_size)
            )
            drawn = self.sampler.draw(self.learner, self.encoded, list(numbers))
            everybodys = [drawn] if self.learner.is_sharded else self.group.gather(drawn)
            if self.group.is_first:  # only rank 0 speaks for the job
                self.gallery.show(self.state.step, [sample for samples in everybodys for sample in samples])

    def save_if_due(self, score: float | None, *, asked: bool) -> None:
        """A checkpoint where it is time for one; every worker takes part."""
        state = self.state
        if not (asked or state.is_finished or state.step % self.config.save_every == 0):
            return
        state.seconds = self.pace.seconds
        self.collect()
        snapshot = None
        if self.group.is_first:
            snapshot = Snapshot(
                state=replace(state, watch=replace(state.watch)),
                weights=self.learner.weights(),
                averaged={name: one.to("cpu", copy=True) for name, one in self.learner.averaged.items()},
                best=self.best,
                optimizer=self.learner.optimizer.state_dict(),
            )
        with self.pace.pausing():
            self.checkpoints.save(f"step-{state.step:08d}", snapshot, score=NEVER_BEST if score is None else score)
            if self.group.is_first and not state.is_finished:
                self.shelf.put(state.step, self.epoch, self.learner.best_weights())

    def order(self) -> int:
        """What this worker would tell the others; only rank 0 is asked."""
        if self.reporter.is_superseded:
            return Order.STOP_UNSAVED
        order = self.wishes()
        return order | Order.STOP if self.reporter.should_stop or self.stop() else order

    def report_progress(self) -> None:
        """How far the run is, and how long the rest takes at the pace so far."""
        self.reporter.progress(
            percent=100.0 * self.state.step / self.steps,
            epoch=self.epoch,
            total_epochs=self.plan.epoch_of((self.steps - 1) * self.config.gradient_accumulation),
            eta_seconds=self.pace.eta_seconds(self.state.step, self.steps),
        )

    @property
    def epoch(self) -> int:
        """The epoch that the last step belonged to."""
        return self.plan.epoch_of(max(self.state.step - 1, 0) * self.config.gradient_accumulation)

    def outcome(self) -> Outcome:
        """What it came to."""
        watch = self.state.watch
        weights: Weights = {}
        if self.group.is_first:
            weights = self.best if self.state.stopped_early and self.best else self.learner.best_weights()
        return Outcome(
            is_finished=self.state.is_finished,
            step=self.state.step,
            epochs=self.epoch,
            stopped_early=self.state.stopped_early,
            best_step=watch.best_step,
            best_loss=watch.best_loss,
            weights=weights,
            seconds=self.pace.seconds,
        )


def diverged(step: int) -> TrainingFailed:
    """The error that ends a run whose numbers are no longer finite."""
    return TrainingFailed(
        f"training diverged: the loss or its gradient was not finite at step {step}; lower learning_rate",
        reason=FailureReason.DIVERGED.value,
        retryable=False,
        step=step,
    )
