"""Which shots a step trains on, and every random number that it takes.

Nothing here has a memory: what is drawn follows from the seed and the place in the run, for each sample
on its own. A run that is taken up at any step therefore goes on bit by bit, and two workers with a batch
of one draw what one worker with a batch of two does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from train_jobs.lora.examples import Shot

# Kinds of draws, so that none shares its numbers with another.
ORDER, SAMPLE, VALIDATION = 1, 2, 3


class Plan:
    """The batches of a run: `n` counts them from 0, over all epochs."""

    def __init__(self, shots: Sequence[Shot], *, batch: int, repeats: int, seed: int) -> None:
        """The batches over these shots.

        Args:
            shots: at least one.
            batch: samples of all workers together.
            repeats: how often an epoch shows each shot.
            seed: of the run.
        """
        self._shots = shots
        self._batch = batch
        self._repeats = repeats
        self._seed = seed
        self._epoch: tuple[int, list[list[int]]] = (-1, [])
        self.batches_per_epoch = len(self._order(0))

    def at(self, n: int) -> list[Shot]:
        """The samples of batch `n`, all of one size."""
        epoch, place = divmod(n, self.batches_per_epoch)
        return [self._shots[index] for index in self._order(epoch)[place]]

    def epoch_of(self, n: int) -> int:
        """The epoch, from 1, that batch `n` belongs to."""
        return n // self.batches_per_epoch + 1

    def _order(self, epoch: int) -> list[list[int]]:
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self._shuffled(epoch))
        return self._epoch[1]

    def _shuffled(self, epoch: int) -> list[list[int]]:
        random = np.random.default_rng([self._seed, ORDER, epoch])
        by_size: dict[tuple[int, int], list[int]] = {}
        for index, shot in enumerate(self._shots):
            by_size.setdefault(shot.size, []).extend([index] * self._repeats)
        batches: list[list[int]] = []
        for size in sorted(by_size):
            shuffled = random.permutation(by_size[size]).tolist()
            missing = -len(shuffled) % self._batch
            # A bucket that does not fill its last batch begins again, so that every worker has a full one.
            filled = shuffled + [shuffled[place % len(shuffled)] for place in range(missing)]
            batches += [filled[start : start + self._batch] for start in range(0, len(filled), self._batch)]
        return [batches[place] for place in random.permutation(len(batches))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """The random numbers of one sample."""

    crop: int
    is_flipped: bool
    is_caption_dropped: bool
    generator: torch.Generator  # of the CPU, for the latents' sample, the noise and the time, in this order


def draw(shot: Shot, *, seed: int, n: int, place: int, flip: bool, caption_dropout: float) -> Draw:
    """What sample `place` of batch `n` takes."""
    generator = generator_for(seed, SAMPLE, n, place)
    numbers = torch.rand(3, generator=generator).tolist()
    return Draw(
        crop=min(int(numbers[0] * shot.crops), shot.crops - 1),
        is_flipped=flip and numbers[1] < 0.5,
        is_caption_dropped=numbers[2] < caption_dropout,
        generator=generator,
    )


def generator_for(*key: int) -> torch.Generator:
    """A generator of the CPU whose numbers follow from the key."""
    words = np.random.SeedSequence(list(key)).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(words[0]) << 32 | int(words[1]))


def normal(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Standard normal numbers in float32."""
    return torch.randn(tuple(shape), generator=generator)
