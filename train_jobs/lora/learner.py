"""One worker's denoiser with its LoRA, the optimizer and the moving average, and what a step does with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from thornback.jobs.own_lora import LoraConfig
from train_jobs.common.group import Group
from train_jobs.lora import adapter
from train_jobs.lora.draws import Draw, normal
from train_jobs.lora.examples import Encoded, Shot
from train_jobs.lora.families.base import Family, Frame
from train_jobs.lora.families.objective import Noised, weighted_loss
from train_jobs.lora.optimizers import make_optimizer, restore_optimizer

TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj")
"""CLIP's attention."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one worker trains on at once, on its device."""

    noised: Noised
    conditioning: Mapping[str, Tensor]
    frames: Sequence[Frame]
    weight: Tensor  # [batch]
    mask: Tensor | None  # [batch, 1, height, width]


class Learner:
    """Built by every worker alike; in DDP or FSDP where there are several."""

    def __init__(
        self,
        config: LoraConfig,
        family: Family,
        denoiser: nn.Module,
        scheduler: Mapping[str, Any],
        group: Group,
        *,
        autocast: torch.dtype | None,
        shard: bool = False,
        compiled: bool = False,
        text_pipe: Any = None,
    ) -> None:
        """Attach the LoRA.

        Args:
            config: of the run.
            family: of the base model.
            denoiser: frozen, on its device.
            scheduler: the configuration that the base was trained with.
            group: the workers.
            autocast: what the forward pass computes in; None: as the weights are.
            shard: spread the base over the workers (FSDP2) instead of a copy on each (DDP).
            compiled: compile the blocks that repeat.
            text_pipe: the pipeline with its text encoders, where they are trained too.
        """
        self.config, self.family, self.denoiser = config, family, denoiser
        self._group = group
        self._autocast = autocast
        self._options: Mapping[str, Any] = {
            **scheduler,
            "timestep_sampling": config.timestep_sampling,
            "timestep_shift": config.timestep_shift,
            "min_snr_gamma": config.min_snr_gamma,
        }
        layers = adapter.layers_for(denoiser, config.targets or family.targets)
        torch.manual_seed(config.seed)  # every worker starts from the same LoRA
        adapter.attach(denoiser, layers, rank=config.rank, alpha=config.effective_alpha, dropout=config.dropout)
        self.parts: dict[str, nn.Module] = {family.denoiser: denoiser}
        self._text_pipe = text_pipe
        if text_pipe is not None:
            self.parts |= self._with_text_encoders(text_pipe)
        self.parameters = adapter.trained(self.parts, family.denoiser)
        if compiled:
            compile_blocks(denoiser)
        self._network: Any = denoiser
        self.is_sharded = shard and group.world_size > 1
        if self.is_sharded:
            shard_base(denoiser, [one for one in denoiser.parameters() if one.requires_grad], group)
        elif group.world_size > 1:
            self._network = DistributedDataParallel(denoiser, gradient_as_bucket_view=True)
        self.optimizer = make_optimizer(config, self.parameters.values(), group.device)
        self.averaged: dict[str, Tensor] = {}
        if config.ema_decay is not None:
            self.averaged = {name: one.detach().clone() for name, one in self.parameters.items()}

    def batch(self, shots: Sequence[Shot], draws: Sequence[Draw], encoded: Encoded) -> Batch:
        """Latents, noise and text of these samples."""
        self._train()  # text encoders that are trained are asked here
        device = self._group.device
        latents, noise, times, frames, masks = [], [], [], [], []
        for shot, drawn in zip(shots, draws, strict=True):
            kept = encoded.latents(shot, drawn.crop)
            sample = kept.mean + kept.std * normal(kept.mean.shape, drawn.generator).to(kept.mean)
            mask = kept.mask
            if drawn.is_flipped:
                sample = sample.flip(-1)
                mask = None if mask is None else mask.flip(-1)
            latents.append(sample)
            masks.append(mask)
            frames.append(kept.frame)
            noise.append(normal(kept.mean.shape, drawn.generator))
            times.append(self.draw_time(kept.mean, drawn.generator))
        captions = ["" if drawn.is_caption_dropped else shot.caption for shot, drawn in zip(shots, draws, strict=True)]
        return self.assemble(
            torch.stack(latents).float().to(device, non_blocking=True),
            torch.stack(noise).to(device, non_blocking=True),
            torch.cat(times).to(device),
            self.texts(captions, encoded),
            frames,
            masks,
            torch.tensor([shot.weight for shot in shots], device=device),
            encoded.statistics,
        )

    def texts(self, captions: Sequence[str], encoded: Encoded) -> list[Mapping[str, Tensor]]:
        """Encoded captions: kept ones, or fresh ones where the encoders are trained."""
        if self._text_pipe is None:
            return [encoded.text(caption) for caption in captions]
        with self.computing():
            return list(self.family.encode_text(self._text_pipe, list(captions)))

    def draw_time(self, latents: Tensor, generator: torch.Generator) -> Tensor:
        """[1] a time for one sample; large images are shifted towards noise where the configuration says so."""
        tokens = (latents.shape[-2] // 2) * (latents.shape[-1] // 2)
        return self.family.objective.draw_times(1, tokens, self._options, generator)

    def assemble(
        self,
        latents: Tensor,
        noise: Tensor,
        times: Tensor,
        texts: Sequence[Mapping[str, Tensor]],
        frames: Sequence[Frame],
        masks: Sequence[Tensor | None],
        weight: Tensor,
        statistics: Mapping[str, Any],
    ) -> Batch:
        """Normalise, mix and collate; everything [batch, …] on the device."""
        device = self._group.device
        normalised = self.family.normalise(latents, statistics)
        mask = None
        if any(one is not None for one in masks):
            whole = torch.ones(1, *latents.shape[-2:])
            mask = torch.stack([whole if one is None else one.float() for one in masks]).to(device)
        collated = self.family.collate(texts)
        return Batch(
            noised=self.family.objective.noise(normalised, noise, times, self._options),
            conditioning={name: tensor.to(device, non_blocking=True) for name, tensor in collated.items()},
            frames=frames,
            weight=weight,
            mask=mask,
        )

    def losses(self, batch: Batch) -> Tensor:
        """[batch] losses in float32."""
        with self.computing():
            prediction = self.family.predict(
                self._network, batch.noised.noisy.to(self.dtype), batch.noised.times, batch.conditioning, batch.frames
            )
        return weighted_loss(prediction, batch.noised, batch.mask)

    def step(self, batches: Sequence[Batch], *, share: float, learning_rate: float) -> tuple[Tensor, Tensor]:
        """One optimizer step over the batches of its accumulation.

        Args:
            batches: this worker's.
            share: what each counts, so that the mean over the workers is the mean over all batches of the step.
            learning_rate: for this step.

        Returns:
            This worker's share of the mean loss and the norm of the global gradient before clipping, on the device.
        """
        self._train()
        total = torch.zeros((), device=self._group.device)
        for place, batch in enumerate(batches):
            with self._gathering(is_last=place == len(batches) - 1):
                loss = (self.losses(batch) * batch.weight).mean() * share
                loss.backward()
            total += loss.detach()
        self._average_gradients()
        norm = self._clip()
        for part in self.optimizer.param_groups:
            part["lr"] = learning_rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._follow()
        return total, norm

    def restore(
        self, weights: Mapping[str, Tensor], averaged: Mapping[str, Tensor], optimizer: Mapping[str, Any]
    ) -> None:
        """Go on from a snapshot.

        Raises:
            InvalidInput: it is of another LoRA or another optimizer.
        """
        adapter.load(self.parameters, weights)
        restore_optimizer(self.optimizer, optimizer)
        if self.config.ema_decay is not None:
            # A run without an average may be gone on with by one that has one.
            self.averaged = {
                name: averaged.get(name, one).detach().to(self._group.device, copy=True)
                for name, one in self.parameters.items()
            }

    def weights(self) -> dict[str, Tensor]:
        """A copy of the LoRA's weights on the CPU."""
        return adapter.weights(self.parameters)

    def best_weights(self) -> dict[str, Tensor]:
        """A copy of what is judged and saved: the moving average where there is one."""
        if not self.averaged:
            return self.weights()
        return {name: tensor.to("cpu", copy=True) for name, tensor in self.averaged.items()}

    def showing_average(self) -> AbstractContextManager[None]:
        """Within this the denoiser has the averaged weights, where there are any."""
        return _Swapped(self.parameters, self.averaged) if self.averaged else nullcontext()

    def eval(self) -> None:
        """Switch to judging."""
        for module in self.parts.values():
            module.eval()

    def _train(self) -> None:
        """Switch to training, where it was left: a walk over thousands of modules is felt in each step."""
        for module in self.parts.values():
            if not module.training:
                module.train()

    @property
    def _text_encoders(self) -> dict[str, nn.Module]:
        return {name: module for name, module in self.parts.items() if name != self.family.denoiser}

    def _with_text_encoders(self, pipe: Any) -> dict[str, nn.Module]:
        config = self.config
        found: dict[str, nn.Module] = {}
        for name in self.family.trainable_text_encoders:
            encoder: nn.Module = getattr(pipe, name).requires_grad_(False)
            layers = adapter.layers_for(encoder, TEXT_TARGETS)
            adapter.attach(encoder, layers, rank=config.rank, alpha=config.effective_alpha, dropout=config.dropout)
            found[name] = encoder
        return found

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self._group.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the base's weights."""
        return next(one.dtype for one in self.denoiser.parameters() if not one.requires_grad)

    def computing(self) -> AbstractContextManager[Any]:
        """The precision of the forward pass."""
        enabled = self._autocast is not None
        return torch.autocast(self._group.device.type, dtype=self._autocast or torch.bfloat16, enabled=enabled)

    def _gathering(self, *, is_last: bool) -> AbstractContextManager[Any]:
        if is_last or self._group.world_size == 1 or self.is_sharded:
            return nullcontext()
        context: AbstractContextManager[Any] = self._network.no_sync()
        return context

    def _average_gradients(self) -> None:
        """Of what DDP does not look after: text encoders, and everything beside a sharded base."""
        if self._group.world_size == 1:
            return
        alone = self.parameters if self.is_sharded else adapter.trained(self._text_encoders, self.family.denoiser)
        gradients = [one.grad for one in alone.values() if one.grad is not None]
        if not gradients:
            return
        flat = self._group.sum(torch.cat([gradient.flatten() for gradient in gradients])) / self._group.world_size
        for gradient, mean in zip(gradients, flat.split([one.numel() for one in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def _clip(self) -> Tensor:
        parameters = list(self.parameters.values())
        norm = nn.utils.get_total_norm([one.grad for one in parameters if one.grad is not None])
        if self.config.gradient_clip_norm > 0:
            nn.utils.clip_grads_with_norm_(parameters, self.config.gradient_clip_norm, norm)
        return norm

    @torch.no_grad()
    def _follow(self) -> None:
        decay = self.config.ema_decay
        if decay is None:
            return
        averaged = [self.averaged[name] for name in self.parameters]
        torch._foreach_lerp_(averaged, [one.detach() for one in self.parameters.values()], 1.0 - decay)


class _Swapped:
    """Other values in the same parameters, for a while."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], values: Mapping[str, Tensor]) -> None:
        self._parameters, self._values = parameters, values
        self._kept: dict[str, Tensor] = {}

    def __enter__(self) -> None:
        for name, parameter in self._parameters.items():
            self._kept[name] = parameter.detach().clone()
            parameter.data.copy_(self._values[name])

    def __exit__(self, *error: object) -> None:
        for name, parameter in self._parameters.items():
            parameter.data.copy_(self._kept.pop(name))


def blocks_of(denoiser: nn.Module) -> list[nn.Module]:
    """The layers that repeat: the members of every list of modules at the top."""
    lists = [child for child in denoiser.children() if isinstance(child, nn.ModuleList)]
    return [block for members in lists for block in members]


def shard_base(denoiser: nn.Module, whole: Iterable[nn.Parameter], group: Group) -> None:
    """FSDP2 over the frozen base, block by block; the parameters in `whole` stay whole on each worker."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(group.device.type, (group.world_size,))
    ignored = set(whole)
    for parameter in ignored:  # FSDP moves only what it spreads
        parameter.data = parameter.data.to(group.device)
    for block in blocks_of(denoiser):
        fully_shard(block, mesh=mesh, ignored_params=ignored)
    fully_shard(denoiser, mesh=mesh, ignored_params=ignored)


def compile_blocks(denoiser: nn.Module) -> None:
    """Compile each block that repeats: one compilation serves all that are alike."""
    for block in blocks_of(denoiser):
        block.compile()
