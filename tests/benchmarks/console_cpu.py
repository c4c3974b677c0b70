"""CPU of the page with many live jobs, and a list of ten thousand.

    python -m tests.benchmarks.console_cpu [--live 50] [--listed 10000] [--seconds 20]

Each live job reports its progress and a row of metrics once a second. CPU is the share of one core that the page's
main thread works (TaskDuration of the Chrome DevTools protocol). Then the whole list is scrolled through at 4,000 px/s.
"""

from __future__ import annotations

import argparse
import asyncio
import time
import uuid
from datetime import UTC, datetime

from tests.benchmarks.console_rig import ConsoleRig, console_rig, machine, quantile
from tests.fixtures.api import Reports
from thornback.jobs.spec import parse_spec
from thornback.metrics.port import NewJob

_SCROLL = """(seconds) => new Promise((done) => {
  const begun = performance.now();
  const step = (now) => {
    scrollTo(0, 4 * (now - begun));
    if (now - begun > 1000 * seconds) done(scrollY);
    else requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""


async def _fill(rig: ConsoleRig, count: int) -> None:
    spec = parse_spec({"job_name": "past", "config": {"epochs": 3}}).model_dump(mode="json")
    at = datetime.now(UTC)
    for number in range(count):
        named = spec | {"job_name": f"job {number}"}
        await rig.api.recorder.create(NewJob(job_id=str(uuid.uuid4()), spec=named, user="local", at=at))


async def _report(rig: ConsoleRig, runs: list[Reports], seconds: float) -> None:
    ends_at = time.monotonic() + seconds
    second = 1
    while (began := time.monotonic()) < ends_at:
        for run in runs:
            losses = {"train_loss": 1 / second, "val_loss": 2 / second}
            await rig.api.record(
                run.progress(min(99, second), epoch=second, of=100, eta_s=60), run.epoch(second, **losses)
            )
            await asyncio.sleep(0.5 / len(runs))
        second += 1
        await asyncio.sleep(max(0, 1 - (time.monotonic() - began)))


async def measure(live: int, listed: int, seconds: float) -> None:
    """Print shares of a core, frames and memory."""
    async with console_rig() as rig:
        await _fill(rig, listed)
        runs = []
        for number in range(live):
            job = await rig.api.create(f"live {number}", epochs=100)
            runs.append(Reports(job.id))
            await rig.api.record(runs[-1].started())
        await rig.open("#/")
        await rig.page.locator(".job-row").first.wait_for()
        await rig.page.wait_for_timeout(3000)
        idle, began = await rig.busy_s(), time.monotonic()
        await rig.page.wait_for_timeout(5000)
        print(f"at rest: {100 * (await rig.busy_s() - idle) / (time.monotonic() - began):.1f} % of a core")
        busy, began = await rig.busy_s(), time.monotonic()
        await rig.page.evaluate("startFrames()")
        await _report(rig, runs, seconds)
        share = (await rig.busy_s() - busy) / (time.monotonic() - began)
        gaps = await rig.page.evaluate("stopFrames()")
        print(f"{live} live jobs: {100 * share:.1f} % of a core, frame gap p99 {quantile(gaps, 0.99):.0f} ms")
        await rig.page.evaluate("startFrames()")
        reached = await rig.page.evaluate(_SCROLL, seconds)
        gaps = await rig.page.evaluate("stopFrames()")
        rows, shown = await rig.page.locator(".job-row").count(), await rig.page.locator(".list-foot .num").inner_text()
        print(
            f"scrolled to {reached:.0f} px: {1000 / (sum(gaps) / len(gaps)):.0f} frames/s, "
            f"gap p99 {quantile(gaps, 0.99):.0f} ms; {rows} rows in the page for {shown}; "
            f"heap {await rig.heap_mb():.0f} MB"
        )
        print(machine())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--live", type=int, default=50)
    parser.add_argument("--listed", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    asyncio.run(measure(given.live, given.listed, given.seconds))
