"""Whole trainings through the command line: the demo, and a restart of everything in the middle of a run."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
from pathlib import Path

import pytest

from tests.integration.node.conftest import START_S, NodeCli, eventually
from thornback.datasets.radio import demo_config, make_radio_dataset
from thornback.jobs.status import JobStatus
from thornback.node.record import NodeFile

TRAIN_S = 400.0


@pytest.mark.slow
@pytest.mark.timeout(2 * START_S + TRAIN_S)
def test_a_restart_of_everything_in_the_middle_of_a_run(cli: NodeCli, tmp_path: Path) -> None:
    manifest = make_radio_dataset(tmp_path / "radio", clips=320, seed=1)
    epochs = 12
    first = cli.run("up", "--detach", "--json")["node_id"]
    with cli.client() as client:
        job = client.submit("through a restart", {**demo_config(manifest), "epochs": epochs})
        eventually(lambda: client.get(job.id).current_epoch >= 2, within_s=TRAIN_S, what="epoch 2")
    cli.run("down")
    cli.assert_nothing_left(first)

    second = cli.run("up", "--detach", "--json")["node_id"]
    with cli.client() as client:
        done = client.wait(job.id, timeout_s=TRAIN_S)
        assert (done.status, done.error_message) == (JobStatus.COMPLETED, None)
        assert done.attempt == 2
        assert [row.epoch for row in client.metrics(job.id)] == list(range(1, epochs + 1))
        restarted = [event for event in client.events(job.id, after=0) if event.data.get("attempt") == 2]
        # It went on from its checkpoint: no epoch of the first run was computed again.
        computed = [event.data["epoch"] for event in restarted if event.kind == "progress"]
        assert min(computed) > 1
    cli.run("down")
    cli.assert_nothing_left(second)


@pytest.mark.slow
@pytest.mark.timeout(START_S + TRAIN_S)
def test_the_demo_learns_and_leaves_nothing(cli: NodeCli) -> None:
    demo = cli.start("demo", "--exit", "--json")
    demo.await_line("The job was posted")
    node_id = cli.node_id(cli.home / "demo")
    assert demo.wait(TRAIN_S) == 0, demo.said
    assert demo.process.stdout is not None
    result = json.loads(demo.process.stdout.read())
    assert result["job"]["status"] == "completed"
    assert result["chance"] == 1 / len(result["classes"])
    assert result["val_accuracy"] > 3 * result["chance"]
    assert sum(map(sum, result["confusion_matrix"])) == result["job"]["val_samples"]
    assert Path(result["onnx"]).stat().st_size > 1_000_000
    cli.assert_nothing_left(node_id)


@pytest.mark.slow
@pytest.mark.timeout(START_S + TRAIN_S)
def test_ctrl_c_in_the_middle_of_a_demo(cli: NodeCli) -> None:
    demo = cli.start("demo", "--clips", "320")
    demo.await_line("epoch 1/", within_s=START_S + TRAIN_S / 2)
    node_id = cli.node_id(cli.home / "demo")
    assert demo.end(signal.SIGINT) == 130
    assert demo.process.stdout is not None
    cli.assert_nothing_left(node_id)
    assert NodeFile(cli.home / "demo").read() is None


@pytest.mark.slow
@pytest.mark.timeout(START_S + TRAIN_S)
def test_the_demo_moves_aside_where_its_port_is_taken(cli: NodeCli) -> None:
    with socket.socket() as listener, socket.socket() as agent:
        listener.bind(("127.0.0.1", cli.port))
        listener.listen()
        with contextlib.suppress(OSError):  # somebody else may have it already, to the same effect
            agent.bind(("127.0.0.1", 52365))  # that of another Ray
            agent.listen()
        demo = cli.start("demo", "--clips", "160", "--epochs", "1", "--exit")
        demo.await_line(f"port {cli.port} is in use; taking")
        demo.await_line("The job was posted")
        node_id = cli.node_id(cli.home / "demo")
        assert demo.wait(TRAIN_S) == 0, demo.said
    cli.assert_nothing_left(node_id)


@pytest.mark.slow
@pytest.mark.timeout(START_S + TRAIN_S)
def test_the_video_demo_makes_a_version_and_leaves_nothing(cli: NodeCli) -> None:
    demo = cli.start("demo", "--video", "--exit", "--json")
    demo.await_line("curl")
    node_id = cli.node_id(cli.home / "demo")
    assert demo.wait(TRAIN_S) == 0, demo.said
    assert demo.process.stdout is not None
    result = json.loads(demo.process.stdout.read())
    assert result["job"]["status"] == "completed"
    assert {frame["scene"] for frame in result["dataset"]["frames"]} == set(range(len(result["cuts"])))
    assert (result["version"]["model"], result["version"]["version"]) == ("fish", 1)
    weights = cli.home / "demo" / "runs" / result["version"]["storage_key"]
    assert weights.stat().st_size == result["version"]["size_bytes"]
    cli.assert_nothing_left(node_id)
