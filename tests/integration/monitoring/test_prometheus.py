"""The platform on Ray, scraped by a real Prometheus: every query has data, and what breaks fires its alert."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.contracts.monitoring.files import alerts, panel_queries, records
from tests.integration.monitoring.prometheus import Prometheus, running_prometheus
from tests.integration.node.conftest import END_S, START_S, NodeCli, eventually
from thornback.cli.demo_remote import lora_spec, make_dataset
from thornback.datasets.radio import demo_config, make_radio_dataset
from thornback.node.ray_folder import ray_folder
from thornback.node.record import NodeFile
from thornback.simulator.server import SimulatorServer

UP_S = 600.0
RUN_S = 600.0
ALERT_S = 240.0  # ten seconds until Ray tells, ten until the watch asks, and a busy machine

# What needs something that this platform has not: two ranks, S3, limits, receivers, mistakes.
QUIET = {
    "thornback:queue_wait_seconds:p95_1h",
    "thornback:start_seconds:p95_1h",
    "thornback:webhook_send_seconds:p95_15m",
    "thornback:webhooks_sent:increase_1h",
    "thornback:storage_faults:increase_15m",
    "thornback:streams_refused:increase_15m",
    "thornback:commit_faults:increase_5m",
    "thornback:dispatch_faults:increase_15m",
    "thornback:quota_used_share",
}

BROKEN = {
    "ThornbackControlPlaneSilent",
    "ThornbackDispatcherStuck",
    "ThornbackComponentDown",
    "ThornbackApiDown",
    "ThornbackDatabaseRefuses",
}

KILL = """
import sys, ray
ray.init(address=sys.argv[1], namespace="thornback", log_to_driver=False)
ray.kill(ray.get_actor("thornback-metrics"), no_restart=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs prometheus; see scripts/services")
@pytest.mark.timeout(UP_S + 2 * RUN_S + 4 * ALERT_S + START_S + END_S)
def test_prometheus_reads_everything_and_alerts_fire(
    cli: NodeCli, tmp_path: Path, fast_simulator: SimulatorServer
) -> None:
    cli.settings |= {
        "REPLICATE_API_TOKEN": fast_simulator.replicate_token,
        "REPLICATE_URL": fast_simulator.url,
        "FETCH_ALLOW": urlsplit(fast_simulator.url).netloc,
        "PUBLIC_URL": cli.url,
    }
    spec = lora_spec(make_dataset(tmp_path / "pictures.zip"))
    up = cli.start("up", "--detach")
    assert up.wait(UP_S) == 0, up.said
    nodes = ray_folder(cli.home) / "prom_metrics_service_discovery.json"
    with running_prometheus(tmp_path / "prometheus", nodes) as prometheus, cli.client() as client:
        manifest = make_radio_dataset(tmp_path / "radio", clips=160, seed=1)
        job = client.submit("measured", {**demo_config(manifest), "epochs": 2})
        order = client.submit_spec(spec)
        for _ in client.watch(job.id):
            pass
        client.wait(order.id, timeout_s=RUN_S)
        await_data(prometheus)
        assert prometheus.value('sum(ray_thornback_jobs_ended_total{status="completed"})') == 2
        assert not BROKEN & {name for name, _ in prometheus.firing()}

        fast_simulator.faults.add(kind="error", on="replicate.*", times=None, status=503)
        client.submit_spec(spec)
        await_alert(prometheus, "ThornbackProviderLeftAlone", "replicate")
        await_alert(prometheus, "ThornbackComponentDown", "provider:replicate")

        kill_the_recorder(cli)
        await_alert(prometheus, "ThornbackComponentDown", "metrics")
        line = cli.run("logs", "--component", "dispatcher", "--node", "127.0.0.1", "--tail", "1", "--json")
        assert json.loads(line["line"])["timestamp"]
    cli.run("down")


def kill_the_recorder(cli: NodeCli) -> None:
    """For good: Ray starts it anew after every other death."""
    record = NodeFile(cli.home).read()
    assert record is not None
    env = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    subprocess.run([sys.executable, "-c", KILL, str(record.ray_address)], env=env, check=True)


def await_data(prometheus: Prometheus) -> None:
    wanted = {rule["record"] for rule in records()} - QUIET

    def missing() -> set[str]:
        return {name for name in wanted if not prometheus.ask(name)}

    eventually(lambda: not missing(), within_s=ALERT_S, what="all recorded series")
    for query in panel_queries():
        # Every query is one that Prometheus understands; those of quiet series may be empty.
        assert prometheus.ask(query.expr) or query.recorded <= QUIET or "topk" in query.expr, query.where
    for rule in alerts():
        prometheus.ask(rule["expr"])


def await_alert(prometheus: Prometheus, name: str, about: str) -> None:
    eventually(lambda: (name, about) in prometheus.firing(), within_s=ALERT_S, what=f"{name} {about}")
