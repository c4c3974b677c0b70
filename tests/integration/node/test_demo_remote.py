"""demo --remote: the platform and a simulated Replicate as processes of their own, over real webhooks."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import httpx2
import pytest

from tests.integration.node.conftest import END_S, START_S, NodeCli
from thornback.client import Client
from thornback.jobs.events import EventKind

RUN_S = 180.0


@pytest.mark.slow
@pytest.mark.timeout(START_S + RUN_S + END_S)
def test_a_training_and_images_come_from_the_simulator(cli: NodeCli) -> None:
    demo = cli.start("demo", "--remote", "--json")
    demo.await_line("Still running", within_s=START_S + RUN_S)
    node_id = cli.node_id(cli.home / "demo")
    assert demo.process.stdout is not None
    result = json.loads(demo.process.stdout.readline())
    training, images = result["training"], result["images"]
    assert (training["status"], images["status"]) == ("completed", "completed")
    [weights] = result["weights"]
    assert Path(weights["uri"]).stat().st_size == weights["size_bytes"] > 0
    assert [picture["status"] for picture in result["pictures"]] == ["stored"] * 6

    with Client(cli.url) as client, httpx2.Client(base_url=cli.url, trust_env=False) as http:
        points = [event.data for event in client.events(training["id"], after=0) if event.kind is EventKind.PROGRESS]
        assert [point["percent"] for point in points] == sorted(point["percent"] for point in points)
        assert {"estimated", "parsed"} <= {point["origin"] for point in points}
        assert len(client.metrics(training["id"], level="step")) > 50
        taken = list(client.deliveries())
        assert {delivery.job_id for delivery in taken} == {training["id"], images["id"]}
        assert {delivery.state for delivery in taken} == {"applied"}
        assert all(item.webhook_at is not None for item in client.items(images["id"]))
        job = client.get(training["id"])
        assert job.cost_usd is not None
        # the source's curl lines, by the provider's id
        logs = http.get(f"/api/replicate/training-logs/{job.provider_id}").json()
        assert (logs["status"], logs["progress"]) == ("completed", 100.0)
        assert "1000/1000" in logs["logs"]
        synced = http.post("/api/replicate/sync-completed", json={"modelId": job.provider_id}).json()
        assert synced["modelUrl"].startswith("simulator/shapes:")
        assert http.get("/api/v1/reports/trigger-words").json()["rows"][0]["trigger_word"] == "TOK"
        [provider] = [one for one in http.get("/api/v1/providers").json()["providers"] if one["configured"]]
        assert (provider["name"], provider["breaker"], provider["open_orders"]) == ("replicate", "closed", 0)
    assert demo.end(signal.SIGINT) == 0
    cli.assert_nothing_left(node_id)


@pytest.mark.slow
@pytest.mark.timeout(START_S + END_S)
def test_ctrl_c_in_the_middle_ends_the_simulator_too(cli: NodeCli) -> None:
    demo = cli.start("demo", "--remote")
    demo.await_line("running, training", within_s=START_S)
    address = next(line.split()[1] for line in demo.lines if line.startswith("simulator"))
    node_id = cli.node_id(cli.home / "demo")
    assert demo.end(signal.SIGINT) == 130
    cli.assert_nothing_left(node_id)
    with pytest.raises(httpx2.TransportError):
        httpx2.get(f"{address}/v1/account")
