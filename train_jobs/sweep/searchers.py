"""Who chooses a trial's values, and who ends trials early: Ray Tune's own, made from a sweep's configuration."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, PopulationBasedTraining, TrialScheduler
from ray.tune.search import BasicVariantGenerator, ConcurrencyLimiter, SearchAlgorithm, SearchGenerator

from thornback.jobs.space import Choice, Domain, Grid, Integer, LogUniform, Scalar, Space, holds, in_order
from thornback.jobs.sweep import Asha, Pbt, SweepConfig

REACHED = "reached"
"""In a result: the epoch or step that it is of."""

LEFT_OUT = "<left out>"
"""Stands for a field whose condition does not hold."""


def open_search(config: SweepConfig) -> SearchAlgorithm:
    """Who chooses; at most `concurrency` trials are given out at one time."""
    if config.search in ("random", "grid"):
        return BasicVariantGenerator(max_concurrent=config.concurrency, random_state=config.seed)
    from ray.tune.search.optuna import OptunaSearch

    searcher = OptunaSearch(
        space=Suggest(config.space), metric=config.metric, mode=config.mode, sampler=_sampler(config)
    )
    return SearchGenerator(ConcurrencyLimiter(searcher, max_concurrent=config.concurrency))


def param_space(config: SweepConfig) -> dict[str, Any]:
    """What is drawn from, for searchers that take it from the experiment; nothing for those that have their own."""
    if config.search not in ("random", "grid"):
        return {}
    return {name: _conditional(name, config.space) for name in in_order(config.space)}


def open_scheduler(config: SweepConfig, *, longest: int) -> TrialScheduler:
    """Who ends trials early; `longest`: epochs or steps of a whole trial."""
    how = config.scheduling
    common: dict[str, Any] = {"time_attr": REACHED, "metric": config.metric, "mode": config.mode}
    if isinstance(how, Asha):
        most = max(how.most or longest, how.grace)
        return AsyncHyperBandScheduler(
            **common,
            max_t=most,
            grace_period=how.grace,
            reduction_factor=how.reduction,
            brackets=_brackets(how, most),
            # A trial that comes to its own end is not "stopped".
            stop_last_trials=how.most is not None,
        )
    if isinstance(how, Pbt):
        return PopulationBasedTraining(
            **common,
            perturbation_interval=how.every,
            hyperparam_mutations={name: _mutation(domain) for name, domain in config.space.items()},
            quantile_fraction=how.share,
            resample_probability=how.resample,
            custom_explore_fn=Within(config.space),
            log_config=False,
            require_attrs=False,
        )
    return FIFOScheduler()  # type: ignore[no-untyped-call]


def parameters_of(drawn: Mapping[str, Any], space: Space) -> dict[str, Scalar]:
    """What was drawn for a trial, as JSON has it; without the fields whose condition does not hold."""
    plain = {name: getattr(drawn[name], "item", lambda name=name: drawn[name])() for name in space if name in drawn}
    return {name: value for name, value in plain.items() if value != LEFT_OUT}


class Suggest:
    """A space in Optuna's own terms, conditions included: asked field by field."""

    def __init__(self, space: Space) -> None:
        self._space = dict(space)

    def __call__(self, trial: Any) -> None:
        """Draw one trial's values."""
        chosen: dict[str, Scalar] = {}
        for name in in_order(self._space):
            if holds(self._space[name], chosen):
                chosen[name] = _suggest(trial, name, self._space[name])


class Within:
    """Keeps what PBT multiplies by 1.2 or 0.8 inside its range."""

    def __init__(self, space: Space) -> None:
        self._space = dict(space)

    def __call__(self, config: dict[str, Any]) -> dict[str, Any]:
        """The same values, each as near as its range allows."""
        return {**config, **{name: _kept(self._space[name], config[name]) for name in self._space if name in config}}


def _brackets(how: Asha, most: int) -> int:
    """No more than have a rung."""
    rungs = int(math.log(max(most / how.grace, 1.0)) / math.log(how.reduction)) + 1
    return max(1, min(how.brackets, rungs))


def _sampler(config: SweepConfig) -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        # Both options are marked as experimental; without them trials that run at once try the same.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        together = config.search == "bohb"
        return optuna.samplers.TPESampler(seed=config.seed, multivariate=together, group=together, constant_liar=True)


def _suggest(trial: Any, name: str, domain: Domain) -> Scalar:
    if isinstance(domain, Choice):
        return trial.suggest_categorical(name, list(domain.values))  # type: ignore[no-any-return]
    if isinstance(domain, Integer):
        return int(trial.suggest_int(name, domain.low, domain.high, log=domain.log))
    return float(trial.suggest_float(name, domain.low, domain.high, log=isinstance(domain, LogUniform)))


def _conditional(name: str, space: Space) -> Any:
    domain = space[name]
    if not domain.when:
        return _domain(domain)

    def sample(spec: Any) -> Any:
        chosen = {other: spec.config[other] for other in domain.when}
        if not holds(domain, chosen):
            return LEFT_OUT
        drawn: Any = _domain(domain)
        return drawn.sample()

    return tune.sample_from(sample)


def _domain(domain: Domain) -> Any:
    if isinstance(domain, Grid):
        return tune.grid_search(list(domain.values))
    if isinstance(domain, Choice):
        return tune.choice(list(domain.values))
    if isinstance(domain, Integer):
        return (tune.lograndint if domain.log else tune.randint)(domain.low, domain.high + 1)
    return (tune.loguniform if isinstance(domain, LogUniform) else tune.uniform)(domain.low, domain.high)


def _mutation(domain: Domain) -> Any:
    return list(domain.values) if isinstance(domain, Choice) else _domain(domain)


def _kept(domain: Domain, value: Any) -> Any:
    if isinstance(domain, Choice):
        return value
    kept = min(max(float(value), float(domain.low)), float(domain.high))
    return round(kept) if isinstance(domain, Integer) else kept
