"""What a Ray cluster has, what is free on each node, and which of our jobs took what.

A Ray Train run takes its workers' resources by a placement group, and Ray knows which driver made the
group; that is how a job's share is found. What a job takes without a placement group counts as taken
by others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray._private import state as ray_state
from ray.core.generated import gcs_pb2

from thornback.backends.port import Node, Resources


@dataclass(frozen=True, slots=True)
class Bundle:
    """A reserved part of a node."""

    ray_job_id: str  # of the driver that reserved it, hex
    node_id: str
    amount: Resources


def bundles() -> list[Bundle]:
    """All parts of nodes that are reserved by placement groups. Blocks for a call to Ray's control store."""
    return list(_bundles())


def nodes(held: Mapping[str, Resources]) -> tuple[Node, ...]:
    """The nodes that are alive and take work. Blocks for three calls to Ray's control store.

    A node that is being drained is as good as gone: Ray places nothing on it any more.

    Args:
        held: what belongs to our jobs, by node id.
    """
    state: Any = ray_state  # Ray's own functions are not typed
    gone = draining()
    total: Mapping[str, Mapping[str, float]] = state.total_resources_per_node()
    free: Mapping[str, Mapping[str, float]] = state.available_resources_per_node()
    return tuple(
        Node(
            id=node_id,
            total=resources(amounts),
            free=resources(free.get(node_id, {})),
            held=held.get(node_id, Resources()),
        )
        for node_id, amounts in sorted(total.items())
        if node_id not in gone
    )


def alive() -> set[str]:
    """The ids of all nodes that have not died, also of those that take no more work."""
    state: Any = ray_state
    return set(state.total_resources_per_node())


def draining() -> Mapping[str, float | None]:
    """Nodes that take no more work, and when they end: seconds since 1970, None where nobody has said."""
    found: Mapping[str, int] = ray_state.state.get_draining_nodes()
    return {node_id: deadline / 1000 if deadline else None for node_id, deadline in found.items()}


def request(wanted: list[Resources]) -> None:
    """Tell the autoscaler what the cluster should hold at once; it stands until the next call."""
    from ray.autoscaler.sdk import request_resources  # takes a third of a second, and few clusters grow

    request_resources(bundles=[_as_ray(bundle) for bundle in wanted])


def resources(amounts: Mapping[str, float]) -> Resources:
    """The part of Ray's amounts that jobs ask for."""
    return Resources(float(amounts.get("CPU", 0.0)), float(amounts.get("GPU", 0.0)))


def _as_ray(bundle: Resources) -> dict[str, float]:
    # Whole numbers as such: the autoscaler's first version compares them with node types as integers.
    pairs = (("CPU", bundle.cpus), ("GPU", bundle.gpus))
    return {name: int(amount) if amount == int(amount) else amount for name, amount in pairs if amount > 0}


def _bundles() -> Iterator[Bundle]:
    # Ray's public listing of placement groups goes through the dashboard and takes ten times as long.
    accessor: Any = ray_state.state._connect_and_get_accessor()
    table: Any = gcs_pb2.PlacementGroupTableData  # type: ignore[attr-defined]  # generated code
    for data in accessor.get_placement_group_table():
        group = table.FromString(data)
        if group.state != table.CREATED:
            continue
        ray_job_id = group.creator_job_id.hex()
        for bundle in group.bundles:
            yield Bundle(ray_job_id, bundle.node_id.hex(), resources(dict(bundle.unit_resources)))


def gcs_address() -> str:
    """Where the control store of the cluster is that this process is connected to."""
    return str(ray.get_runtime_context().gcs_address)
