"""A database in a file is for the head of a cluster: processes on other nodes say so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.exceptions import RayActorError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from serve_apps.api.deployment import Api
from tests.fixtures.ray import OBJECT_STORE_BYTES, running_ray
from thornback.dispatch.actor import DispatcherActor
from thornback.metrics.actor import ACTOR_OPTIONS, MetricsActor
from thornback.settings import Settings
from thornback.store.migrate import upgrade

pytestmark = pytest.mark.slow

NEEDS = "set THORNBACK_DATABASE_URL to postgresql"


@pytest.fixture(scope="module")
def second_node() -> Iterator[str]:
    """The id of a node beside the head."""
    with running_ray(cpus=1) as (_, cluster):
        node = cluster.add_node(num_cpus=1, object_store_memory=OBJECT_STORE_BYTES)
        cluster.wait_for_nodes()
        yield node.node_id


def _on(node_id: str, kind: type, *arguments: Any, **options: Any) -> Any:
    remote: Any = ray.remote(num_cpus=0, **options)(kind)
    where = NodeAffinitySchedulingStrategy(node_id, soft=False)
    return remote.options(scheduling_strategy=where).remote(*arguments)


def test_a_file_is_refused_and_postgres_is_not(second_node: str, postgres_url: str, tmp_path: Path) -> None:
    file = Settings(home=tmp_path, namespace="one-node")
    shared = Settings(home=tmp_path, namespace="one-node", database_url=postgres_url)
    upgrade(file.database_url)
    groups = {"concurrency_groups": ACTOR_OPTIONS["concurrency_groups"]}

    recorder = _on(second_node, MetricsActor, file, **groups)
    with pytest.raises(RayActorError, match=NEEDS):
        ray.get(recorder.health.remote(), timeout=120)
    dispatcher = _on(second_node, DispatcherActor, file, {})
    with pytest.raises(RayActorError, match=NEEDS):
        ray.get(dispatcher.health.remote(), timeout=120)

    recorder = _on(second_node, MetricsActor, shared, **groups)
    assert ray.get(recorder.health.remote(), timeout=120).database == "ok"
    ray.kill(recorder)


class Replica:
    """Makes its application as Serve does."""

    def __init__(self, overrides: dict[str, Any]) -> None:
        self._overrides = overrides

    def build(self) -> None:
        """Raises where it cannot serve here."""
        api: Any = Api
        api.__serve_build_asgi_app__(self)


def test_a_replica_of_the_api_is_refused(second_node: str, tmp_path: Path) -> None:
    overrides = {"home": str(tmp_path), "namespace": "one-node", "access": "off"}
    replica = _on(second_node, Replica, overrides)
    with pytest.raises(ray.exceptions.RayTaskError, match=NEEDS):
        ray.get(replica.build.remote(), timeout=120)
