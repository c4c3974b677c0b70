"""Ray itself is lost: all of it, or a node. Each Ray lives in a process of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.dispatch.rig import eventually, is_alive

SAYS_WITHIN_S = 200.0


@asynccontextmanager
async def scenario(name: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs it, and ends it where it still runs."""
    arguments = ("-m", "tests.integration.dispatch.scenario", name, str(folder))
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def said(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """The next line that is a JSON object; Ray prints others."""
    assert process.stdout is not None
    async with asyncio.timeout(SAYS_WITHIN_S):
        while line := await process.stdout.readline():
            if line.startswith(b"{"):
                found: dict[str, Any] = json.loads(line)
                return found
    raise AssertionError("the scenario ended without a word; see its standard error")


@pytest.mark.slow
async def test_after_a_restart_of_ray_every_job_comes_to_its_end(tmp_path: Path) -> None:
    async with scenario("crash", tmp_path) as process:
        before = await said(process)
        process.kill()  # SIGKILL to whoever started Ray takes all of Ray down
        await process.wait()
    await eventually(lambda: not is_alive(before["driver"]), "the driver has ended with its Ray")

    async with scenario("recover", tmp_path) as process:
        after = await said(process)

    running, waiting = after["jobs"]
    assert running | {"retry": None, "reason": None} == {
        "id": before["running"],
        "status": "completed",
        "attempt": 2,
        "retry": None,
        "reason": None,
        "epochs": [1, 2, 3, 4],
    }
    assert running["retry"] == "the cluster was restarted while the job ran, and has no record of it"
    assert (waiting["id"], waiting["status"], waiting["attempt"]) == (before["waiting"], "completed", 1)


@pytest.mark.slow
async def test_a_job_that_lost_a_node_waits_for_another_and_goes_on(tmp_path: Path) -> None:
    async with scenario("lose_node", tmp_path) as process:
        lost = (await said(process))["lost"]
        end = (await said(process))["end"]

    assert "ray.exceptions.Actor" in lost["retry"] or "node has died" in lost["retry"]  # as Ray noticed it first
    assert lost["reason"] == ("waiting for nodes to come back: needs 2 workers with 1 CPU each; the cluster has 1 CPU")
    assert (end["status"], end["attempt"], end["epochs"]) == ("completed", 2, [1, 2, 3, 4])
