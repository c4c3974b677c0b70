"""On which machines the workers of a run are, for people who look for the slow one."""

from __future__ import annotations

import ray

from train_jobs.common.group import Group


def nodes_of(group: Group) -> list[str]:
    """Ray's node id of each rank, the first eight digits of it. All workers call this."""
    return [str(node)[:8] for node in group.gather(ray.get_runtime_context().get_node_id())]
