"""A real Prometheus on loopback, with the rules of cluster/monitoring at a quicker pace."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import yaml

from tests.contracts.monitoring.files import MONITORING
from tests.integration.node.conftest import free_port


class Prometheus:
    """Asks one that runs."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, expr: str) -> list[dict[str, Any]]:
        """The instant vector of an expression."""
        answer = httpx2.get(f"{self.url}/api/v1/query", params={"query": expr}, trust_env=False)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    def value(self, expr: str) -> float | None:
        """Of an expression with one series; None where it has none."""
        found = self.ask(expr)
        return float(found[0]["value"][1]) if found else None

    def firing(self) -> set[tuple[str, str]]:
        """The alerts that fire, with their component or provider."""
        answer = httpx2.get(f"{self.url}/api/v1/alerts", trust_env=False).json()
        labels = [alert["labels"] for alert in answer["data"]["alerts"] if alert["state"] == "firing"]
        return {(one["alertname"], one.get("component") or one.get("provider") or "") for one in labels}


@contextmanager
def running_prometheus(folder: Path, nodes: Path) -> Iterator[Prometheus]:
    """Scrapes the nodes of Ray's own file `nodes`; every 2 s, and alerts need not last."""
    folder.mkdir()
    for name in ("recording.rules.yml", "alert.rules.yml"):
        text = (MONITORING / name).read_text()
        text = re.sub(r"interval: \d+s", "interval: 2s", text)
        (folder / name).write_text(re.sub(r"\bfor: \w+", "for: 2s", text))
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "2s", "evaluation_interval": "2s"}
    config["scrape_configs"][0]["file_sd_configs"] = [{"files": [str(nodes)], "refresh_interval": "2s"}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _await_ready(url, process)
        yield Prometheus(url)
    finally:
        process.terminate()
        process.wait()


def _await_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60.0
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx2.get(f"{url}/-/ready", trust_env=False).is_success:
                return
        except httpx2.TransportError:
            time.sleep(0.2)
    raise AssertionError(f"Prometheus did not start; exit code {process.poll()}")
