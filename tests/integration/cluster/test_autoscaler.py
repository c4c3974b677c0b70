"""Ray's autoscaler with its provider of processes: machines come for the queue and go when nobody needs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fixtures.ray import OBJECT_STORE_BYTES, free_port
from tests.integration.cluster.machines import Machines, job_when, until
from thornback.client import Client

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

MOST = 2
WORKER = "worker"


def autoscaling(file: Path, gcs_port: int) -> Path:
    """What `ray up` would give the head; workers of one CPU, none of them for nothing."""
    lists = (
        "initialization_commands",
        "setup_commands",
        "head_setup_commands",
        "worker_setup_commands",
        "head_start_ray_commands",
        "worker_start_ray_commands",
        "cluster_synced_files",
        "rsync_exclude",
        "rsync_filter",
    )
    config: dict[str, Any] = {
        "cluster_name": "thornback-test",
        "provider": {"type": "fake_multinode", "gcs_address": f"127.0.0.1:{gcs_port}", "launch_multiple": True},
        "max_workers": MOST,
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": 0.2,
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            WORKER: {
                "resources": {"CPU": 1, "object_store_memory": OBJECT_STORE_BYTES},
                "node_config": {},
                "min_workers": 0,
                "max_workers": MOST,
            },
        },
        "auth": {},
        "docker": {},
        "file_mounts": {},
        "file_mounts_sync_continuously": False,
        **{name: [] for name in lists},
    }
    file.write_text(yaml.safe_dump(config))
    return file


def test_machines_come_for_waiting_jobs_and_go_when_idle(
    make_machines: Callable[..., Machines], config_of: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    port = free_port()
    machines = make_machines(
        gcs_port=port,
        autoscaling=autoscaling(tmp_path / "autoscaling.yaml", port),
        settings={"CLUSTER_LIMITS": f'{{"CPU": {MOST}}}'},
        environment={"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"},
    )
    machines.start_head()
    client = machines.up()
    until(lambda: cpus(client) == 0, "first look")

    too_wide = client.submit("too wide", config_of(devices=MOST + 1))
    assert until(lambda: client.get(too_wide.id).failure, "refusal") == "impossible_resources"

    # One more than there is room for even then: it has its turn after another.
    jobs = [client.submit(f"job {number}", config_of(epochs=2, devices=1)) for number in range(MOST)]
    wide = client.submit("wide", config_of(epochs=2, devices=MOST))
    job = job_when(client, jobs[0].id, lambda job: job.reason, "reason to wait")
    assert job.reason == "waiting for the cluster to grow: needs 1 worker with 1 CPU"
    until(lambda: cpus(client) == MOST, "growth for both")
    for job in [*jobs, wide]:
        ended = job_when(client, job.id, lambda job: job.is_final, "end")
        assert (ended.status.value, ended.attempt) == ("completed", 1)

    until(lambda: cpus(client) == 0, "return to nothing")

    again = client.submit("later", config_of(epochs=1, devices=1))  # and it comes up once more
    assert job_when(client, again.id, lambda job: job.is_final, "end").status.value == "completed"


def cpus(client: Client) -> float | None:
    """What the dispatcher sees; None where it is too busy to say."""
    capacity = found(client.health().model_extra or {}, "capacity")
    return None if capacity is None else float(capacity["ray"]["cpus"]["total"])


def found(document: Any, name: str) -> Any:
    """The member of that name, however deep."""
    if isinstance(document, dict):
        if name in document:
            return document[name]
        for value in document.values():
            if (inner := found(value, name)) is not None:
                return inner
    return None
