"""A database in a file belongs to one machine of a cluster: its head."""

from __future__ import annotations

from typing import Any

import ray

from thornback.errors import SettingsError
from thornback.settings import Settings

_HEAD = "node:__internal_head__"


def require_file_node(settings: Settings) -> None:
    """Look whether this process may open the database. Ray must be initialised.

    Raises:
        SettingsError: it is a SQLite file, and this is not the head node. A process here would make a file of its
            own, which nobody else sees, or share one over a network, where SQLite's locks do not hold.
    """
    if not settings.database_url.startswith("sqlite"):
        return
    cluster: Any = ray  # these functions carry no types
    here = str(cluster.get_runtime_context().get_node_id())
    heads = {node["NodeID"]: node for node in cluster.nodes() if node["Alive"] and _HEAD in node["Resources"]}
    if not heads or here in heads:
        return
    head = next(iter(heads.values()))
    raise SettingsError.field(
        "THORNBACK_DATABASE_URL",
        f"{settings.database_url} is a file on the head node ({head['NodeManagerAddress']}) and cannot be used on node "
        f"{here[:12]}; for more than one machine set THORNBACK_DATABASE_URL to postgresql://user@host/name (and "
        "THORNBACK_STORAGE to s3://…), or let this run on the head",
    )
