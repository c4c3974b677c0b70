"""Batches of waveforms: which clips in which order, decoded in loader processes.

The order of an epoch depends on the seed and the epoch alone, so a run can be taken up in the middle of
one: `train_batches` is told how many clips are done. Seats take every n-th clip of each global batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from thornback.artifacts.node_cache import NodeCache
from thornback.datasets.clips import Clip
from thornback.datasets.source import BrokenClip, ClipSource
from thornback.jobs.convnext import TrainingConfig

CENTRE = -1  # in place of a seed: take the middle of a clip that is too long
NOTHING = -1  # in place of a clip: a row that only fills the batch


@dataclass(frozen=True, slots=True)
class Ticket:
    """One row of a batch: which clip, and the seed of its crop."""

    clip: int
    crop: int = CENTRE


@dataclass(frozen=True, slots=True)
class Batch:
    """What a step gets; `weight` is 0 for a row without a usable clip."""

    wave: Tensor  # [batch, samples] float32, about ±1
    label: Tensor  # [batch] int64
    weight: Tensor  # [batch] float32
    broken: tuple[tuple[str, str], ...] = ()  # path and reason

    def to(self, device: torch.device) -> Batch:
        """The same on a device, without waiting for the copy."""
        wave, label, weight = (part.to(device, non_blocking=True) for part in (self.wave, self.label, self.weight))
        return Batch(wave, label, weight, self.broken)

    def pin_memory(self) -> Batch:
        """The same in page-locked memory; DataLoader calls it."""
        return Batch(self.wave.pin_memory(), self.label.pin_memory(), self.weight.pin_memory(), self.broken)


def epoch_order(clips: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order in which an epoch sees the clips: [clips]."""
    return np.random.default_rng([seed, epoch]).permutation(clips)


def train_batches(
    clips: int, config: TrainingConfig, *, epoch: int, done: int, seat: int, seats: int, fill: bool = False
) -> list[list[Ticket]]:
    """What one seat trains on in the rest of an epoch, one list for each step. See `Group.seats`.

    Every seat has the same number of steps. The last one may hold fewer clips, but never none; with
    `fill` it has its full size, with empty rows, because a compiled network knows one size.
    """
    order = epoch_order(clips, seed=config.seed, epoch=epoch)
    width = config.batch_size * seats
    batches = []
    for start in range(done, clips, width):
        share = order[start : start + width][seat::seats]
        tickets = [Ticket(int(clip), _crop_seed(config.seed, epoch, int(clip))) for clip in share]
        missing = (config.batch_size if fill else 1) - len(tickets)
        batches.append(tickets + [Ticket(NOTHING)] * missing)
    return batches


def eval_batches(clips: range, config: TrainingConfig, *, rank: int, world_size: int) -> list[list[Ticket]]:
    """What one worker judges: each clip of the range exactly once over all workers."""
    share = clips[rank::world_size]
    size = config.batch_size
    return [[Ticket(clip) for clip in share[start : start + size]] for start in range(0, len(share), size)]


def _crop_seed(seed: int, epoch: int, clip: int) -> int:
    return int(np.random.SeedSequence([seed, epoch, clip]).generate_state(1)[0])


class ClipDataset(Dataset[tuple[NDArray[np.float32], int, float, tuple[str, str] | None]]):
    """Decodes a ticket: (wave [samples], class, weight, what was broken)."""

    def __init__(
        self,
        root: str,
        clips: Sequence[Clip],
        classes: Sequence[str],
        config: TrainingConfig,
        *,
        near: NodeCache | None = None,
    ) -> None:
        """`near`: copies of clips from s3:// on this machine; None: none are kept."""
        self._source = ClipSource(root, near)
        self._clips = clips
        self._class_of = {name: index for index, name in enumerate(classes)}
        self._sample_rate = config.sample_rate
        self._samples = round(config.clip_seconds * config.sample_rate)

    def __getitem__(self, ticket: Ticket) -> tuple[NDArray[np.float32], int, float, tuple[str, str] | None]:
        if ticket.clip == NOTHING:
            return np.zeros(self._samples, dtype=np.float32), 0, 0.0, None
        clip = self._clips[ticket.clip]
        try:
            wave = self._source.read(clip, self._sample_rate)
        except BrokenClip as error:
            return np.zeros(self._samples, dtype=np.float32), 0, 0.0, (clip.path, str(error))
        return fit_length(wave, self._samples, ticket.crop), self._class_of[clip.label], 1.0, None

    def __len__(self) -> int:
        return len(self._clips)


def fit_length(wave: NDArray[np.float32], samples: int, crop: int) -> NDArray[np.float32]:
    """Cut (anywhere by the seed `crop`, or in the middle) or pad with silence at the end: [samples]."""
    spare = len(wave) - samples
    if spare <= 0:
        return np.pad(wave, (0, -spare))
    start = spare // 2 if crop == CENTRE else int(np.random.default_rng(crop).integers(spare + 1))
    return wave[start : start + samples]


def collate(rows: Sequence[tuple[NDArray[np.float32], int, float, tuple[str, str] | None]]) -> Batch:
    """Rows to a batch."""
    waves, labels, weights, broken = zip(*rows, strict=True)
    return Batch(
        wave=torch.from_numpy(np.stack(waves)),
        label=torch.tensor(labels, dtype=torch.int64),
        weight=torch.tensor(weights, dtype=torch.float32),
        broken=tuple(item for item in broken if item is not None),
    )


class Batches(Sampler[list[Ticket]]):
    """The tickets that the loader hands out next; set before each pass."""

    def __init__(self) -> None:
        self.plan: list[list[Ticket]] = []

    def __iter__(self) -> Iterator[list[Ticket]]:
        return iter(self.plan)

    def __len__(self) -> int:
        return len(self.plan)


class Loader:
    """One set of loader processes for training and validation, kept for the whole run."""

    def __init__(self, dataset: ClipDataset, *, processes: int, pin_memory: bool) -> None:
        self._batches = Batches()
        self._loader: DataLoader[Batch] = DataLoader(
            dataset,  # type: ignore[arg-type]  # the stubs know only integer indices
            batch_sampler=self._batches,
            collate_fn=collate,
            num_workers=processes,
            pin_memory=pin_memory,
            persistent_workers=processes > 0,
            # A fork would copy Ray's threads and pyarrow's S3 client in whatever state they are.
            multiprocessing_context="forkserver" if processes else None,
        )

    def load(self, plan: list[list[Ticket]]) -> Iterator[Batch]:
        """Decode these batches, in this order."""
        self._batches.plan = plan
        return iter(self._loader)
