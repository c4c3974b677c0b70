"""The workers of a run as one of them sees the others. One alone needs no process group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rank and size, and what the workers do together: every rank has to call, in the same order."""

    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    # A gloo group of its own: agreeing on a flag must wait neither for the GPU's queue nor for gradients.
    control: Any = None

    @classmethod
    def of_process(cls, device: torch.device) -> Group:
        """The process group that Ray Train has set up, or a group of one."""
        if not dist.is_initialized() or dist.get_world_size() == 1:
            return cls(device=device)
        control = dist.new_group(backend="gloo")
        return cls(rank=dist.get_rank(), world_size=dist.get_world_size(), device=device, control=control)

    @property
    def is_first(self) -> bool:
        """Rank 0 reports and writes."""
        return self.rank == 0

    def seats(self, seats: int) -> list[int]:
        """Of the parts of a global batch, numbered from 0, those that this worker computes, one after the other.

        There are as many parts as a run has workers at most. An elastic run with fewer computes the same parts
        with fewer hands: its batches, its steps and its random draws are those of the full width.
        """
        return list(range(self.rank, seats, self.world_size))

    def sum(self, values: Tensor) -> Tensor:
        """Sum over the workers, in place; the same bits on each."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    def gather(self, value: Any) -> list[Any]:
        """A small object of every worker, to all of them."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value, group=self.control)
        return values

    def share(self, module: nn.Module) -> None:
        """Give rank 0's weights to all."""
        if self.world_size > 1:
            for tensor in (*module.parameters(), *module.buffers()):
                dist.broadcast(tensor.data, src=0)


class Agreement:
    """Rank 0's flag, told to all while the next step runs, so that all act on it after the same step."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._flag = torch.zeros(1, dtype=torch.int64)
        self._work: Any = None

    def after_step(self, flag: int) -> int:
        """Offer rank 0's present flag; returns the one that rank 0 offered a step before."""
        if self._group.world_size == 1:
            return flag
        agreed = 0
        if self._work is not None:
            self._work.wait()
            agreed = int(self._flag.item())
        self._flag.fill_(flag)
        self._work = dist.broadcast(self._flag, src=0, group=self._group.control, async_op=True)
        return agreed

    def finish(self) -> int:
        """The last offer; call it when no step follows, so that nothing is left on its way."""
        if self._work is None:
            return 0
        self._work.wait()
        self._work = None
        return int(self._flag.item())


def first_of(values: Sequence[dict[str, str]]) -> dict[str, str]:
    """Merge dictionaries; the first that names a key wins."""
    merged: dict[str, str] = {}
    for value in values:
        for name, item in value.items():
            merged.setdefault(name, item)
    return merged
