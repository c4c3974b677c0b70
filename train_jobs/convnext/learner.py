"""One worker's network and optimizer, and what a step does with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from thornback.jobs.convnext import TrainingConfig
from train_jobs.common.group import Group
from train_jobs.convnext.augment import SpecAugment, mixup
from train_jobs.convnext.checkpoint import Snapshot, copy_weights
from train_jobs.convnext.choices import Choices
from train_jobs.convnext.data import Batch
from train_jobs.convnext.frontend import LogMel
from train_jobs.convnext.model import build_backbone, parameter_groups
from train_jobs.convnext.state import RunState, Sums


class Learner:
    """Front end, ConvNeXt and AdamW on one device, wrapped in DDP where there are several workers."""

    def __init__(
        self,
        config: TrainingConfig,
        choices: Choices,
        group: Group,
        class_counts: Sequence[int],
        *,
        pretrained_uri: str | None = None,
        model_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.config = config
        self.classes = len(class_counts)
        self._group = group
        self._amp = choices.amp.on
        torch.manual_seed(config.seed)  # every worker starts from the same weights
        backbone = build_backbone(config, self.classes, pretrained_uri=pretrained_uri, model_kwargs=model_kwargs).to(
            group.device
        )
        self._layout = torch.channels_last if choices.channels_last.on else torch.contiguous_format
        self.backbone: nn.Module = backbone.to(memory_format=self._layout)  # type: ignore[call-overload]
        self.frontend = LogMel(config).to(group.device)
        frames = round(config.clip_seconds * config.sample_rate) // config.hop_length + 1
        self._augment = SpecAugment(config.n_mels, frames) if config.spec_augment else nn.Identity()
        self.optimizer = torch.optim.AdamW(parameter_groups(backbone, config.weight_decay), lr=config.learning_rate)
        network = torch.compile(self.backbone) if choices.compile.on else self.backbone
        self._network: Any = DistributedDataParallel(network) if group.world_size > 1 else network
        self._class_weights = _class_weights(class_counts, group.device) if config.class_weights else None
        self._learning = [parameter for parameter in backbone.parameters() if parameter.requires_grad]
        # Sums since they were last taken and the first step that went wrong stay on the device: reading
        # them waits for it.
        self._sums = torch.zeros(3, dtype=torch.float64, device=group.device)
        self._bad_step = torch.full((1,), -1, dtype=torch.int64, device=group.device)

    def begin(self) -> None:
        """Switch to training, after judging; it walks through all modules, which is too much for each step."""
        self._network.train()

    def step(self, parts: Mapping[int, Batch], *, step: int, clips: int, learning_rate: float) -> Tensor:
        """Learn from a global batch.

        Args:
            parts: what this worker computes of it, by seat, on its device.
            step: of the whole run, from 1; with the seed and the seat it decides every random draw.
            clips: of the global batch, over all workers.
            learning_rate: for this step.

        Returns:
            The norm of the global gradient before clipping, on the device.
        """
        for place, (seat, batch) in enumerate(parts.items(), start=1):
            with self._gathering(is_last=place == len(parts)):
                self._learn(batch, seat=seat, step=step, clips=clips)
        norm = self._clip()
        for part in self.optimizer.param_groups:
            part["lr"] = learning_rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        is_first_bad = (self._bad_step < 0) & ~torch.isfinite(norm)
        self._bad_step = torch.where(is_first_bad, torch.full_like(self._bad_step, step), self._bad_step)
        return norm

    def _learn(self, batch: Batch, *, seat: int, step: int, clips: int) -> None:
        self._seed(step, seat)
        wave, partner, share = batch.wave, None, None
        if self.config.mixup_alpha > 0:
            wave, partner, share = mixup(wave, batch.weight, self.config.mixup_alpha)
        logits = self.logits(self._network, self._augment(self.frontend(wave)))
        losses, right = self._judge(logits, batch.label)
        if partner is not None and share is not None:
            others, right_others = self._judge(logits, batch.label[partner])
            losses = share * losses + (1 - share) * others
            right = share * right + (1 - share) * right_others
        total = (losses * batch.weight).sum()
        # DDP takes the mean over workers; this makes it the mean over the clips of all of them.
        (total * self._group.world_size / clips).backward()
        self._sums += torch.stack(
            [total.detach().double(), (right * batch.weight).sum().double(), batch.weight.sum().double()]
        )

    def logits(self, module: Any, spectrogram: Tensor) -> Tensor:
        """[batch, 1, mels, frames] -> [batch, classes] in float32."""
        spectrogram = spectrogram.contiguous(memory_format=self._layout)
        with torch.autocast(self._group.device.type, dtype=torch.bfloat16, enabled=self._amp):
            logits: Tensor = module(spectrogram)
        return logits.float()

    def take_sums(self) -> Sums:
        """The sums over all workers since this was last called. Waits for the device."""
        loss, right, clips = self._group.sum(self._sums.clone()).tolist()
        self._sums.zero_()
        return Sums(loss=loss, right=right, clips=clips)

    def first_bad_step(self) -> int | None:
        """The first step whose gradient was not finite, the same on every worker. Waits for the device."""
        step = int(self._bad_step.item())
        return None if step < 0 else step

    def snapshot(self, state: RunState, best: Mapping[str, Tensor] | None) -> Snapshot:
        """All that a resume needs; refers to the live tensors, so write it before the next step."""
        return Snapshot(
            state=state, weights=self.backbone.state_dict(), best=best, optimizer=self.optimizer.state_dict()
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot."""
        self.backbone.load_state_dict(snapshot.weights)
        self.optimizer.load_state_dict(dict(snapshot.optimizer))

    def weights(self) -> dict[str, Tensor]:
        """A copy of the weights as they are now."""
        return copy_weights(self.backbone)

    def _judge(self, logits: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        losses = functional.cross_entropy(
            logits,
            label,
            weight=self._class_weights,
            label_smoothing=self.config.label_smoothing,
            reduction="none",
        )
        return losses, (logits.detach().argmax(dim=1) == label).float()

    def _clip(self) -> Tensor:
        gradients = [parameter.grad for parameter in self._learning if parameter.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if self.config.gradient_clip_norm > 0:
            nn.utils.clip_grads_with_norm_(self._learning, self.config.gradient_clip_norm, norm)
        return norm

    def _gathering(self, *, is_last: bool) -> AbstractContextManager[Any]:
        """The workers' gradients meet once in a step."""
        if is_last or self._group.world_size == 1:
            return nullcontext()
        context: AbstractContextManager[Any] = self._network.no_sync()
        return context

    def _seed(self, step: int, seat: int) -> None:
        words = np.random.SeedSequence([self.config.seed, seat, step]).generate_state(2, np.uint32)
        torch.manual_seed(int(words[0]) << 32 | int(words[1]))


def _class_weights(counts: Sequence[int], device: torch.device) -> Tensor:
    """Inverse frequency, so that the mean over all clips is 1: [classes]."""
    numbers = torch.tensor(counts, dtype=torch.float32, device=device)
    return numbers.sum() / (len(counts) * numbers)
