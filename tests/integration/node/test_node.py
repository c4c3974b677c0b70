"""up, down and what goes wrong, with real processes; nothing may be left, however it ends."""

from __future__ import annotations

import json
import signal
import socket

import psutil
import pytest

from tests.integration.node.conftest import END_S, START_S, NodeCli, eventually
from thornback.node.processes import marked
from thornback.node.record import NodeFile


def test_a_taken_port_is_told_before_anything_starts(cli: NodeCli) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", cli.port))
        listener.listen()
        said = cli.run("up", code=5)
        error = cli.run("up", "--json", code=5)["error"]
    assert f"127.0.0.1:{cli.port}" in said
    assert "--port" in said
    assert (error["code"], error["details"]["port"]) == ("port_taken", cli.port)
    assert NodeFile(cli.home).read() is None


def test_down_where_nothing_runs(cli: NodeCli) -> None:
    assert cli.run("down", "--json") == {"stopped": False, "url": None}
    assert cli.run("status", "--json", code=3)["node"]["state"] == "not running here"


@pytest.mark.timeout(START_S + END_S)
@pytest.mark.parametrize(("phase", "number"), [("starting Ray", signal.SIGINT), ("starting the API", signal.SIGTERM)])
def test_interrupted_while_it_starts(cli: NodeCli, phase: str, number: signal.Signals) -> None:
    up = cli.start("up")
    up.await_line(phase)
    node_id = cli.node_id()
    assert up.end(number) == 130
    cli.assert_nothing_left(node_id)
    assert NodeFile(cli.home).read() is None


@pytest.mark.timeout(2 * START_S + 3 * END_S)
@pytest.mark.slow
def test_up_twice_killed_and_up_again(cli: NodeCli) -> None:
    record = cli.run("up", "--detach", "--json")
    assert record["url"] == cli.url
    node_id = record["node_id"]
    with cli.client() as client:
        # It never runs: no machine here has as many CPUs.
        spec = {"accelerator": "cpu", "pretrained": False, "epochs": 1, "cpus_per_device": 200}
        job = client.submit("kept", spec)
    status = cli.run("status", "--json")
    assert (status["ready"], status["node"]["state"]) == (True, "running")
    said = cli.run("up", code=5)
    assert f"process {record['pid']}" in said
    assert _listens_beyond_loopback(node_id) == []

    psutil.Process(record["pid"]).kill()
    eventually(lambda: not NodeFile(cli.home).is_locked(), what="the lock to come free")
    assert "crashed" in cli.run("status", "--json", code=3)["node"]["state"]
    again = cli.run("up", "--detach", "--json")
    assert again["node_id"] != node_id
    assert marked(node_id) == []
    with cli.client() as client:
        assert client.get(job.id).job_name == "kept"
    cli.run("down")
    cli.assert_nothing_left(again["node_id"])


@pytest.mark.timeout(START_S + 2 * END_S)
def test_a_killed_node_is_told_and_cleaned_up_by_the_command_that_holds_it(cli: NodeCli) -> None:
    up = cli.start("up")
    up.await_line("Ctrl-C stops it")
    record = NodeFile(cli.home).read()
    assert record is not None
    psutil.Process(record.pid).kill()
    assert up.wait() == 1
    assert record.log in up.said
    cli.assert_nothing_left(record.node_id)


@pytest.mark.timeout(START_S + 2 * END_S)
@pytest.mark.slow
def test_the_node_ends_with_a_killed_command(cli: NodeCli) -> None:
    """kill -9 of `thornback up` cannot be noticed by it, but by its node."""
    up = cli.start("up", "--json")
    up.await_line("Ctrl-C stops it")
    node_id = cli.node_id()
    assert up.process.stdout is not None
    assert json.loads(up.process.stdout.readline())["node_id"] == node_id
    up.end(signal.SIGKILL)
    eventually(lambda: not NodeFile(cli.home).is_locked(), what="the node to end")
    eventually(lambda: marked(node_id) == [], what="the last process to end")
    cli.assert_nothing_left(node_id)


def _listens_beyond_loopback(node_id: str) -> list[str]:
    """Ports of our processes that others can reach, but for Serve's own, which ask for Ray's token."""
    pids = {process.pid: process for process in marked(node_id)}
    found = []
    for connection in psutil.net_connections("inet"):
        if connection.status != psutil.CONN_LISTEN or connection.pid not in pids:
            continue
        name = " ".join(pids[connection.pid].cmdline())
        host, port = map(str, connection.laddr)
        if host.removeprefix("::ffff:") not in ("127.0.0.1", "::1") and "ServeReplica" not in name:
            found.append(f"{name} on {host}:{port}")
    return found
