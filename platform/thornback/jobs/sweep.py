"""What a sweep of many trials needs to know: what is searched, by whom, what is compared, and when it is enough."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from thornback.jobs.flag import Flag
from thornback.jobs.space import Domain, Grid, in_order
from thornback.jobs.versions import MODEL_NAME

MOST_TRIALS = 1000
MOST_AT_ONCE = 64

FACT_TRIAL = "trial"
"""On a trial's job: `sweep`, `number`, `parameters`, `metric`, `mode`, `unit`, and what it took over (`source`)."""

FACT_RESULT = "trial_result"
"""On a trial's job: `value` (the best so far) and `best_at`, `last`, `reached`, all in the sweep's unit; `ended`."""

FACT_SWEEP = "sweep"
"""On the sweep's job: see train_jobs/sweep/tally.py."""


class Fifo(BaseModel):
    """Every trial runs to its own end."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["fifo"]


class Asha(BaseModel):
    """Asynchronous successive halving: at each rung only the best share goes on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["asha"]
    grace: Annotated[int, Field(ge=1, description="Epochs (steps of a LoRA) before a trial can be stopped.")] = 1
    reduction: Annotated[float, Field(gt=1.0, le=10.0, description="One in so many goes on from each rung.")] = 4.0
    most: Annotated[int | None, Field(ge=1, description="Epochs or steps at most; left out: the trial's own.")] = None
    brackets: Annotated[int, Field(ge=1, le=5, description="More: asynchronous HyperBand.")] = 1


class Pbt(BaseModel):
    """Population-based training: the worst go on from the checkpoints of the best, with changed parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["pbt"]
    every: Annotated[int, Field(ge=1, description="Epochs (steps of a LoRA) between two comparisons.")] = 1
    share: Annotated[float, Field(gt=0.0, le=0.5, description="Of the population that is replaced.")] = 0.25
    resample: Annotated[
        float, Field(ge=0.0, le=1.0, description="How often a parameter is drawn anew instead of changed a little.")
    ] = 0.25


Scheduler = Annotated[Fifo | Asha | Pbt, Field(discriminator="type")]


class Budget(BaseModel):
    """When it is enough, whichever comes first."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    trials: Annotated[
        int | None, Field(ge=1, le=MOST_TRIALS, description="Left out: every point of a grid once, else 10.")
    ] = None
    hours: Annotated[float | None, Field(gt=0.0, le=10_000.0, description="From its first start; null: no limit.")] = (
        None
    )
    usd: Annotated[float | None, Field(gt=0.0, le=1e6, description="For all trials together; null: no own limit.")] = (
        None
    )


DEFAULT_TRIALS = 10


class SweepConfig(BaseModel):
    """Many trials of one training, each with other values for some of its fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    trial: Annotated[
        dict[str, Any],
        Field(max_length=32, description="The training that is tried, as a job of its own without a name."),
    ]
    space: Annotated[
        dict[str, Domain],
        Field(min_length=1, max_length=32, description="What is tried, by the dotted name of the trial's field."),
    ]
    search: Annotated[
        Literal["random", "grid", "optuna", "bohb"],
        Field(
            description="Who chooses the values. bohb is Optuna's tree of Parzen estimators over all fields together, "
            "with asynchronous HyperBand; HpBandSter, which the name stands for elsewhere, is no longer kept."
        ),
    ] = "random"
    scheduler: Annotated[
        Scheduler | None, Field(description="Who ends trials early. Left out: bohb has its HyperBand, others nobody.")
    ] = None
    metric: Annotated[str, Field(min_length=1, max_length=100, description="What trials are compared by.")] = "val_loss"
    mode: Annotated[Literal["min", "max"], Field(description="Whether less or more of it is better.")] = "min"
    at_once: Annotated[
        int | None,
        Field(ge=1, le=MOST_AT_ONCE, description="Trials that run or wait at one time. Left out: 4; all of a pbt."),
    ] = None
    budget: Budget = Budget()
    seed: Annotated[int | None, Field(ge=0, lt=2**31, description="Of the choices, so that they can be repeated.")] = (
        None
    )
    publish: Annotated[Flag, Field(description="Make the best trial's model a version when the sweep has ended.")] = (
        False
    )
    model: Annotated[
        str | None, Field(pattern=MODEL_NAME, description="Publish: as which model; left out: made of the job's name.")
    ] = None

    @property
    def planned_trials(self) -> int:
        """How many trials it has where nothing ends it early."""
        return self.budget.trials or (self.grid_points if self.search == "grid" else DEFAULT_TRIALS)

    @property
    def grid_points(self) -> int:
        """Combinations of the values that are gone through."""
        return math.prod(len(domain.values) for domain in self.space.values() if isinstance(domain, Grid))

    @property
    def concurrency(self) -> int:
        """Trials at one time, as it is carried out."""
        if isinstance(self.scheduler, Pbt):
            return self.planned_trials
        return min(self.at_once or 4, self.planned_trials)

    @property
    def scheduling(self) -> Fifo | Asha | Pbt:
        """The scheduler, as it is carried out."""
        if self.scheduler is not None:
            return self.scheduler
        return Asha(type="asha", brackets=3, reduction=3.0) if self.search == "bohb" else Fifo(type="fifo")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        try:
            in_order(self.space)
        except ValueError as error:
            raise ValueError(f"config.space.{error}") from None
        self._check_grid()
        if isinstance(self.scheduler, Pbt):
            self._check_population()
        if self.search == "bohb" and not isinstance(self.scheduling, Asha):
            raise ValueError("config.scheduler: bohb brings asynchronous HyperBand; leave it out or give an asha")
        if self.model is not None and not self.publish:
            raise ValueError("config.model: is for publish, which is off")
        return self

    def _check_grid(self) -> None:
        grids = {name: domain for name, domain in self.space.items() if isinstance(domain, Grid)}
        if self.search != "grid":
            if grids:
                raise ValueError(f"config.space.{next(iter(grids))}: a grid needs search grid; or make it a choice")
            return
        if not grids:
            raise ValueError("config.search: grid needs a field of type grid in the space")
        conditional = [name for name, domain in grids.items() if domain.when]
        if conditional:
            raise ValueError(f"config.space.{conditional[0]}: a grid is gone through always, so it has no `when`")
        if self.grid_points > MOST_TRIALS:
            raise ValueError(f"config.space: the grid has {self.grid_points} points; {MOST_TRIALS} are the most")
        if self.budget.trials is not None and self.budget.trials % self.grid_points:
            raise ValueError(
                f"config.budget.trials: the grid has {self.grid_points} points; give it once, twice, … so many"
            )

    def _check_population(self) -> None:
        if self.search != "random":
            raise ValueError("config.search: pbt draws its own values; leave it at random")
        conditional = [name for name, domain in self.space.items() if domain.when]
        if conditional:
            raise ValueError(f"config.space.{conditional[0]}: pbt changes every field, so it has no `when`")
        if not 2 <= self.planned_trials <= MOST_AT_ONCE:
            raise ValueError(f"config.budget.trials: a population is 2 to {MOST_AT_ONCE}")
        if self.at_once not in (None, self.planned_trials):
            raise ValueError(
                f"config.at_once: a population of {self.planned_trials} is compared while it trains; leave it out"
            )
