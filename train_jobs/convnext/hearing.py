"""What the best network takes single validation clips for, so that people can listen to its mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from train_jobs.common.group import Group
from train_jobs.convnext.data import Batch, Ticket
from train_jobs.convnext.learner import Learner

MOST_HEARD = 512  # clips, spread over the split: mistakes enough to choose from, and little time


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One clip and the answer to it; probabilities are the network's own."""

    clip: int  # place in the list that the tickets count in
    truth: int  # class
    predicted: int
    probability: float  # of the predicted class
    truth_probability: float

    @property
    def is_right(self) -> bool:
        """True where it was named rightly."""
        return self.truth == self.predicted


def spread(clips: range, most: int = MOST_HEARD) -> range:
    """At most so many of a range, evenly over it."""
    return clips[:: max(1, -(-len(clips) // most))]


@torch.inference_mode()
def hear(
    learner: Learner, plan: list[list[Ticket]], load: Callable[[list[list[Ticket]]], Iterable[Batch]], group: Group
) -> list[Heard]:
    """Each worker hears its share; all get all answers, in the order of the clips. Broken clips are left out."""
    heard: list[Heard] = []
    learner.backbone.eval()
    for tickets, batch in zip(plan, load(plan), strict=True):
        moved = batch.to(group.device)
        probabilities = learner.logits(learner.backbone, learner.frontend(moved.wave)).float().softmax(dim=1)
        best, predicted = probabilities.max(dim=1)
        truths = probabilities.gather(1, moved.label.unsqueeze(1)).squeeze(1)
        rows = zip(
            tickets, moved.weight.tolist(), moved.label.tolist(), predicted.tolist(), best.tolist(), truths.tolist(),
            strict=False,
        )  # fmt: skip
        heard += [
            Heard(clip=ticket.clip, truth=truth, predicted=guess, probability=sure, truth_probability=share)
            for ticket, weight, truth, guess, sure, share in rows
            if weight > 0
        ]
    return sorted((one for part in group.gather(heard) for one in part), key=lambda one: one.clip)
