"""models … and client.models against the real API."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import Result

from tests.fixtures.model_versions import lora_bytes, trained
from tests.unit.cli.conftest import LiveApi
from tests.unit.client.server import Script
from thornback.client import Client, DownloadCorrupt
from thornback.errors import Conflict, NotFound
from thornback.jobs.versions import VersionInUse

Run = Callable[..., Result]


def only_json(result: Result) -> Any:
    """The one JSON value that is all of stdout."""
    return json.loads(result.stdout)


@pytest.fixture
def jobs(live: LiveApi) -> list[str]:
    """Two finished trainings."""
    first = live.run(trained(live.platform, lora_bytes(1000, fill=1), steps=40))
    second = live.run(trained(live.platform, lora_bytes(1000, fill=2), steps=80))
    return [first.id, second.id]


@pytest.fixture
def mira(live: LiveApi, jobs: list[str]) -> list[str]:
    """Both as versions of a model."""
    with Client(live.url) as client:
        for job in jobs:
            client.models.add("mira", job)
    return jobs


def test_add_and_look(live: LiveApi, run_cli: Run, jobs: list[str]) -> None:
    assert run_cli("models", "add", "mira", jobs[0]).stdout == "mira v1\n"
    assert run_cli("models", "add", "mira", jobs[0][-8:]).stdout == "mira v1\n"
    added = only_json(run_cli("models", "add", "mira", jobs[1], "--json"))
    assert (added["version"], added["job_id"]) == (2, jobs[1])
    assert only_json(run_cli("models", "list", "--json"))["models"][0]["aliases"] == {"latest": 2}
    listed = run_cli("models", "list").stdout
    assert [word in listed for word in ("mira", "latest 2", "TOK")] == [True] * 3
    table = run_cli("models", "versions", "mira").stdout.splitlines()
    assert [line.split()[0] for line in table] == ["version", "2", "1"]
    shown = run_cli("models", "show", "mira", "v1")
    assert [word in shown.stdout for word in (jobs[0], "config.steps", "/api/v1/files/loras/")] == [True] * 3


def test_aliases_and_notes(live: LiveApi, run_cli: Run, mira: list[str]) -> None:
    assert run_cli("models", "alias", "mira", "production", 1).stdout == "latest 2, production 1\n"
    assert run_cli("models", "note", "mira", "production", "the best [so far]").stdout == "mira v1\n"
    found = only_json(run_cli("models", "show", "mira", "production", "--json"))
    assert (found["version"], found["notes"]) == (1, "the best [so far]")
    assert "the best [so far]" in run_cli("models", "versions", "mira").stdout
    assert run_cli("models", "alias", "mira", "production", "--remove").stdout == "latest 2\n"
    assert run_cli("models", "show", "mira", "production").exit_code == 4
    assert [run_cli("models", "alias", "mira", *more).exit_code for more in (("x",), ("x", 1, "--remove"))] == [2, 2]
    assert run_cli("models", "alias", "mira", "latest", 1).exit_code == 2


def test_compare_and_lineage(live: LiveApi, run_cli: Run, mira: list[str]) -> None:
    compared = run_cli("models", "compare", "mira", 1)
    assert compared.stdout.split() == ["field", "v1", "v2", "config.steps", "40", "80"]
    assert "1 fields differ" in compared.stderr
    lineage = run_cli("models", "lineage", "mira", 1)
    assert [word in lineage.stdout for word in ("mira v1", f"{mira[0]} (lora, completed)", "/data/mira")] == [True] * 3
    assert only_json(run_cli("models", "lineage", "mira", "--json"))["job"]["id"] == mira[1]


def test_download(live: LiveApi, run_cli: Run, mira: list[str], tmp_path: Path) -> None:
    result = run_cli("models", "download", "mira", "1", tmp_path)
    file = Path(result.stdout.strip())
    assert file == tmp_path / "mira-v1.safetensors"
    assert file.read_bytes() == lora_bytes(1000, fill=1)
    with Client(live.url) as client:
        url = client.models.version("mira").model_url
    assert httpx2.get(url).content == lora_bytes(1000, fill=2)  # anybody who has the link


def test_delete(live: LiveApi, run_cli: Run, mira: list[str]) -> None:
    with Client(live.url) as client:
        client.models.set_alias("mira", "production", 1)
        assert run_cli("models", "delete", "mira", 1).exit_code == 5
        with pytest.raises(VersionInUse) as caught:
            client.models.delete("mira", 1)
        assert caught.value.details["aliases"] == ["production"]
        assert run_cli("models", "delete", "mira", 2).exit_code == 0
        assert [version.version for version in client.models.versions("mira")] == [1]
        with pytest.raises(NotFound):
            client.models.version("mira", 2)
        with pytest.raises(Conflict, match="version 1 of model mira"):
            client.models.add("other", mira[0])
    assert run_cli("models", "show", "nobody").exit_code == 4


def test_pages_are_fetched_as_they_are_used(live: LiveApi, mira: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thornback.client.model_versions.PAGE", 1)
    with Client(live.url) as client:
        assert [version.version for version in client.models.versions("mira")] == [2, 1]
        assert [version.version for version in client.models.versions("mira", limit=1)] == [2]


def version_at(url: str, content: bytes) -> Script:
    """A server that knows one version, whose weights are said to lie at `url`."""
    version = {
        "model": "mira",
        "version": 3,
        "job_id": "j",
        "model_url": url,
        "storage_key": "loras/x",
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "created_at": "2026-03-01T12:00:00Z",
    }
    return Script().on("GET /api/v1/models/mira/versions/latest", httpx2.Response(200, json=version))


def test_a_file_that_changed_on_its_way_is_refused(tmp_path: Path) -> None:
    script = version_at("http://server:1/api/v1/files/x?signature=1", b"abc")
    script.on("GET /api/v1/files/x", httpx2.Response(200, content=b"abd"))
    with script.client() as client, pytest.raises(DownloadCorrupt, match="checksum"):
        client.models.download("mira", "latest", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_another_server_gets_no_headers_of_ours(tmp_path: Path) -> None:
    """What signs us in at our server must not reach a storage, which would refuse it, too."""
    seen: list[dict[str, str]] = []

    class Storage(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"weights")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Storage) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            script = version_at(f"http://127.0.0.1:{server.server_port}/mira?X-Amz-Signature=1", b"weights")
            with script.client(headers={"Authorization": "Bearer secret"}) as client:
                file = client.models.download("mira", "latest", tmp_path)
        finally:
            server.shutdown()
            thread.join()
    assert (file.name, file.read_bytes()) == ("mira-v3.safetensors", b"weights")
    assert "authorization" in script.requests[0].headers
    assert [headers.get("authorization") for headers in seen] == [None]
