"""Redis for the control store of a head that is restarted. `scripts/services` installs it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fixtures.ray import free_port
from tests.integration.cluster.machines import until


@contextmanager
def running_redis(folder: Path) -> Iterator[str]:
    """host:port of a server that writes each change to the disk; the test is skipped where there is none."""
    command = shutil.which("redis-server")
    if command is None:
        pytest.skip("redis-server is not installed (scripts/services)")
    port = free_port()
    folder.mkdir()
    log = folder / "redis.log"
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--appendonly", "yes"]
    with log.open("wb") as output:
        process = subprocess.Popen([command, *arguments, "--save", ""], stdout=output, stderr=output)
    try:
        until(lambda: b"Ready to accept connections" in log.read_bytes() or process.poll() is not None, "Redis")
        assert process.poll() is None, log.read_text()
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
