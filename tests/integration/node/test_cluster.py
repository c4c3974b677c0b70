"""up and down on a Ray that is not ours: what others run there stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from ray.dashboard.modules.serve.sdk import ServeSubmissionClient

from tests.fixtures.ray import RayNode
from tests.integration.node.conftest import NodeCli, eventually, free_port


@pytest.fixture
def shared(ray_node: RayNode, cli: NodeCli, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServeSubmissionClient]:
    """A cluster on which somebody has an application already, on the port that we are to use as well."""
    client = ServeSubmissionClient(ray_node.dashboard)
    theirs = {"name": "theirs", "route_prefix": "/theirs", "import_path": "tests.integration.node.their_app:app"}
    http = {"host": "127.0.0.1", "port": cli.port}
    client.deploy_applications({"applications": [theirs], "http_options": http, "proxy_location": "HeadOnly"})
    eventually(lambda: _status(client, "theirs") == "RUNNING", what="their application")
    cli.settings = {"RAY_ADDRESS": ray_node.address, "NAMESPACE": "shared-cluster"}
    yield client
    client.delete_applications()  # type: ignore[no-untyped-call]


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_ours_come_and_go_and_theirs_stay(shared: ServeSubmissionClient, cli: NodeCli, tmp_path: Path) -> None:
    assert cli.run("up", "--no-api", "--json")["mode"] == "connected"
    assert _apps(shared) == {"theirs"}  # KubeRay, say, will deploy ours

    record = cli.run("up", "--json")
    assert (record["mode"], record["pid"]) == ("connected", 0)
    assert cli.run("status", "--json")["ready"]
    assert _theirs(cli) == "theirs at /theirs/"
    assert _apps(shared) == {"api", "live", "theirs"}

    assert cli.run("up", "--json")["url"] == record["url"]  # again: an update, no error

    taken = cli.port
    cli.port = free_port()
    assert f"--port {taken}" in cli.run("up", code=5)  # Serve cannot move once it runs
    cli.port = taken

    assert cli.run("down", "--json")["stopped"]
    eventually(lambda: _apps(shared) == {"theirs"}, what="the removal of ours")
    assert _theirs(cli) == "theirs at /theirs/"
    assert cli.run("down", "--json") == {"stopped": False, "url": None}


def _theirs(cli: NodeCli) -> str:
    return httpx2.get(f"{cli.url}/theirs/", trust_env=False).text


def _apps(client: ServeSubmissionClient) -> set[str]:
    return set(client.get_serve_details()["applications"])


def _status(client: ServeSubmissionClient, name: str) -> str | None:
    status: str | None = client.get_serve_details()["applications"].get(name, {}).get("status")
    return status
