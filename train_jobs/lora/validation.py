"""The loss on held-out images, comparable from step to step: fixed noise, fixed times, no dropped captions."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from train_jobs.common.group import Group
from train_jobs.lora.draws import VALIDATION, generator_for, normal
from train_jobs.lora.examples import Encoded, Shot
from train_jobs.lora.learner import Learner

TIMES = 8  # at which each image is judged, spread evenly: the loss differs more between times than between images


@torch.no_grad()
def validate(learner: Learner, shots: Sequence[Shot], encoded: Encoded, group: Group) -> float:
    """Mean unweighted loss over all shots and times. Every worker takes a part, and all get the same answer."""
    learner.eval()
    times = learner.family.objective.even_times(TIMES)
    pairs = [(place, number) for place in range(len(shots)) for number in range(TIMES)]
    mine = pairs[group.rank :: group.world_size]
    # A sharded base is gathered by all workers together: each has to walk through the model as often as the others.
    rounds = -(-len(pairs) // group.world_size)
    sums = torch.zeros(2, dtype=torch.float64, device=group.device)
    with learner.showing_average():
        for turn in range(rounds):
            counts = turn < len(mine)
            place, number = mine[turn] if counts else pairs[0]
            loss = _loss(learner, shots[place], encoded, place, times[number : number + 1], number)
            if counts:
                sums += torch.stack([loss.double(), torch.ones_like(loss.double())])
    total, count = group.sum(sums).tolist()
    return float(total / count)


def _loss(learner: Learner, shot: Shot, encoded: Encoded, place: int, time: torch.Tensor, number: int) -> torch.Tensor:
    kept = encoded.latents(shot, 0)
    noise = normal(kept.mean.shape, generator_for(VALIDATION, place, number))
    device = learner.device
    batch = learner.assemble(
        kept.mean[None].float().to(device),
        noise[None].to(device),
        time.to(device),
        learner.texts([shot.caption], encoded),
        [kept.frame],
        [kept.mask],
        torch.ones(1, device=device),
        encoded.statistics,
    )
    return learner.losses(batch).mean() / batch.noised.weight.mean()
