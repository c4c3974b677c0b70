"""The cluster as the driver of one run sees it: where its workers are, and where more of them would fit."""

from __future__ import annotations

from collections import Counter

import ray

from thornback.backends import ray_nodes
from thornback.backends.port import Resources
from thornback.dispatch.capacity import slots
from train_jobs.common.moving import Look


def look(bundle: Resources, *, most: int) -> Look:
    """One look. Blocks for four calls to Ray's control store.

    Args:
        bundle: what a worker takes.
        most: count room for no more workers than this.
    """
    mine = ray.get_runtime_context().get_job_id()
    workers = Counter(held.node_id for held in ray_nodes.bundles() if held.ray_job_id == mine)
    room = sum(slots(node.free, bundle, most=most) for node in ray_nodes.nodes({}))
    return Look(workers=dict(workers), draining=ray_nodes.draining(), room=min(room, most))
