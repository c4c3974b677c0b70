"""No driver and no worker finds a token in its environment; processes of a real node, looked at from outside."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from tests.integration.node.conftest import START_S, NodeCli, eventually
from thornback.datasets.radio import demo_config, make_radio_dataset
from thornback.node.processes import marked

RUN_S = 300.0
TOKEN = "never-for-a-worker"
# Its name in `ps`, and whether it needs tokens: the node reads them and the API checks signatures with them.
NEEDS = ("thornback.node", "ServeReplica")


@pytest.mark.slow
@pytest.mark.timeout(START_S + RUN_S)
def test_tokens_reach_only_who_needs_them(cli: NodeCli, tmp_path: Path) -> None:
    secret_file = tmp_path / "fal-key"
    secret_file.write_text(f"{TOKEN}-of-fal\n")
    cli.settings = {
        "REPLICATE_API_TOKEN": f"{TOKEN}-of-replicate",
        "REPLICATE_URL": "http://127.0.0.1:9",
        "FAL_KEY_FILE": str(secret_file),
        "FAL_URL": "http://127.0.0.1:9",
        "LINKS_SECRET": f"{TOKEN}-of-links",
    }
    manifest = make_radio_dataset(tmp_path / "radio", clips=320, seed=1)
    node_id = cli.run("up", "--detach", "--json")["node_id"]
    with cli.client() as client:
        job = client.submit("who knows what", {**demo_config(manifest), "epochs": 50})
        eventually(lambda: client.get(job.id).current_epoch >= 1, within_s=RUN_S, what="epoch 1")
        found = environments(node_id)
        client.cancel(job.id)
        log = "\n".join(line for chunk in client.logs(job.id) for line in chunk.lines)
    knowing = {name for name, env in found.items() if TOKEN in str(env) or str(secret_file) in str(env)}
    assert any("train_jobs.convnext" in name for name in found), found.keys()
    assert any("TrainWorker" in name or "RayTrain" in name for name in found), found.keys()
    assert any("raylet" in name for name in found), found.keys()
    assert {name for name in knowing if not any(part in name for part in NEEDS)} == set()
    assert TOKEN not in log
    logs = [path.read_text(errors="replace") for path in cli.home.rglob("*.log")]
    assert logs
    assert not any(TOKEN in text for text in logs)
    cli.run("down")
    cli.assert_nothing_left(node_id)


def environments(node_id: str) -> Mapping[str, Mapping[str, str]]:
    """What each process of a node started with; workers go by the name that Ray gave them."""
    found = {}
    for process in marked(node_id):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            found[f"{process.pid} {' '.join(process.cmdline())[:300]}"] = process.environ()
    return found
