"""Judge a network on clips: each exactly once over all workers, nothing counted twice."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn import functional

from train_jobs.common.group import Group
from train_jobs.convnext.data import Batch
from train_jobs.convnext.learner import Learner
from train_jobs.convnext.scores import Scores


@torch.inference_mode()
def evaluate(learner: Learner, batches: Iterable[Batch], group: Group) -> tuple[Scores, dict[str, str]]:
    """Loss and confusion matrix over the clips of all workers, and what this worker could not decode.

    The loss is plain cross-entropy, without label smoothing or class weights, so that runs compare.
    """
    classes = learner.classes
    counts = torch.zeros(classes * classes, dtype=torch.int64, device=group.device)
    loss = torch.zeros(1, dtype=torch.float64, device=group.device)
    broken: dict[str, str] = {}
    module: nn.Module = learner.backbone
    module.eval()
    # Not the DDP wrapper: workers may have different numbers of batches here.
    for batch in batches:
        broken.update(batch.broken)
        moved = batch.to(group.device)
        logits = learner.logits(module, learner.frontend(moved.wave))
        losses = functional.cross_entropy(logits, moved.label, reduction="none")
        loss += (losses * moved.weight).sum(dtype=torch.float64)
        cells = (moved.label * classes + logits.argmax(dim=1))[moved.weight > 0]
        counts += torch.bincount(cells, minlength=classes * classes)
    group.sum(counts)
    group.sum(loss)
    confusion = counts.view(classes, classes).cpu().numpy()
    clips = max(int(confusion.sum()), 1)
    return Scores(confusion, float(loss.item()) / clips), broken
