"""Ray, the recorder and the dispatcher."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings


class Cluster(BaseSettings):
    """Ray, the recorder and the dispatcher."""

    ray_address: Annotated[
        str | None, Field(description="An existing cluster (`auto`, host:port, ray://); empty: start one here.")
    ] = None
    namespace: Annotated[str, Field(description="Ray namespace of our actors.")] = "thornback"
    dashboard_host: Annotated[str, Field(description="Where the dashboard of our own Ray listens.")] = "127.0.0.1"
    dashboard_port: Annotated[int, Field(ge=0, le=65_535, description="Its port, or the next that is free.")] = 8265
    cluster_limits: Annotated[
        dict[str, float],
        Field(description='What an autoscaling cluster can grow to, e.g. {"CPU": 64, "GPU": 8}.'),
    ] = {}
    metrics_shards: Annotated[
        int,
        Field(
            ge=1,
            le=64,
            description="Metrics actors that share the jobs among them; more than one needs PostgreSQL. To change it, "
            "restart the platform.",
        ),
    ] = 1
    commit_rows: Annotated[int, Field(ge=1, description="Most events in one database transaction.")] = 2000
    buffer_events: Annotated[int, Field(ge=1, description="Events kept in memory for subscribers.")] = 20_000
    heartbeat_s: Annotated[float, Field(gt=0, le=5.0, description="Longest silence of a stream.")] = 4.0
    dispatch_interval_s: Annotated[float, Field(gt=0, description="Look at Ray at least this often.")] = 2.0
    elastic_patience_s: Annotated[
        float,
        Field(gt=0, description="Room has to be free for so long before an elastic job is interrupted to take it."),
    ] = 60.0
    cancel_grace_s: Annotated[
        float, Field(ge=0, description="A running job may end by itself for so long before it is stopped.")
    ] = 5.0
    max_running_jobs: Annotated[int, Field(ge=1, description="The rest waits in the queue.")] = 100
    max_pipelines: Annotated[
        int, Field(ge=1, description="Pipelines from videos at once, the rest waits; each driver takes about 150 MB.")
    ] = 32
    video_slots: Annotated[
        int, Field(ge=1, description="Of them, how many may fetch, analyse and store at once on a machine.")
    ] = 4
