"""Packing equal worker bundles onto nodes. Pure.

It is a model for admission: Ray itself chooses the nodes. Equal bundles are placed greedily, which
is optimal for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf

from thornback.backends.port import Node, Resources

# Ray counts resources in ten-thousandths.
PRECISION = 1e-4

Placement = Mapping[str, int]  # bundles by node id


def fraction(free: Resources, bundle: Resources) -> float:
    """How many bundles fit, as a real number; infinite for a bundle that asks for nothing."""
    parts = [
        max(have, 0.0) / want for have, want in ((free.cpus, bundle.cpus), (free.gpus, bundle.gpus)) if want > PRECISION
    ]
    return min(parts, default=inf)


def slots(free: Resources, bundle: Resources, *, most: int) -> int:
    """How many whole bundles fit, at most `most`."""
    found = fraction(free, bundle)
    return most if found >= most else int(found + PRECISION)


class Room:
    """What is left on each node while a decision is being made."""

    def __init__(self, free: Mapping[str, Resources]) -> None:
        self._free = dict(free)

    @classmethod
    def free_on(cls, nodes: Iterable[Node]) -> Room:
        """What is free at this moment."""
        return cls({node.id: node.free for node in nodes})

    @classmethod
    def whole(cls, nodes: Iterable[Node]) -> Room:
        """The nodes as if nothing ran on them."""
        return cls({node.id: node.total for node in nodes})

    @classmethod
    def reachable(cls, nodes: Iterable[Node]) -> Room:
        """What would be free if all of our jobs ended; what others hold is out of reach."""
        return cls({node.id: node.free + node.held for node in nodes})

    @property
    def total(self) -> Resources:
        """All nodes together."""
        return sum(self._free.values(), Resources())

    def holds(self, bundle: Resources, count: int) -> bool:
        """True where `count` bundles fit."""
        return self.most(bundle, count) >= count

    def most(self, bundle: Resources, count: int) -> int:
        """How many bundles fit, at most `count`."""
        return min(count, sum(slots(free, bundle, most=count) for free in self._free.values()))

    def place(self, bundle: Resources, count: int, *, like: Room | None = None) -> Placement:
        """Take room for up to `count` bundles and say where.

        Bundles without a GPU go to nodes without GPUs first. Then the fullest node comes first, so
        that big gaps stay; with `like` it is the node that is emptiest there. Node ids break ties, so
        that the same nodes are chosen each time.
        """
        wants_gpu = bundle.gpus > PRECISION

        def order(node_id: str) -> tuple[bool, float, str]:
            has_gpu = self._free[node_id].gpus > PRECISION
            room = -fraction(like._free[node_id], bundle) if like else fraction(self._free[node_id], bundle)
            return has_gpu and not wants_gpu, room, node_id

        placement: dict[str, int] = {}
        for node_id in sorted(self._free, key=order):
            fitting = slots(self._free[node_id], bundle, most=count - sum(placement.values()))
            if fitting:
                placement[node_id] = fitting
                self._free[node_id] -= bundle * fitting
        return placement

    def reach_of(self, bundle: Resources, count: int) -> Placement:
        """The most bundles, of `count`, that could land on each node, wherever they are put in the end."""
        found = {node_id: slots(free, bundle, most=count) for node_id, free in self._free.items()}
        return {node_id: number for node_id, number in found.items() if number}

    def covers(self, bundle: Resources, placement: Placement) -> bool:
        """True where each node has room for its part of a placement."""
        return all(slots(self._free[node_id], bundle, most=number) >= number for node_id, number in placement.items())

    def take(self, bundle: Resources, placement: Placement) -> None:
        """Take what a placement made elsewhere takes, or what is left where that is less."""
        for node_id, count in placement.items():
            left = self._free[node_id] - bundle * count
            self._free[node_id] = Resources(max(left.cpus, 0.0), max(left.gpus, 0.0))
