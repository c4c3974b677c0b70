"""A chart with very many points: ms from open to drawn, bytes sent, ms and frames of a zoom and of a pan.

python -m tests.benchmarks.console_chart [--points 100000] [--moves 40]
"""

from __future__ import annotations

import argparse
import asyncio
import math
import time

from playwright.async_api import Response

from tests.benchmarks.console_rig import ConsoleRig, console_rig, machine, quantile
from tests.fixtures.api import Reports

AT_ONCE = 5000
PLOT = "[...(window.uPlot?.sync(location.hash.split('/').pop()).plots ?? [])][0]"
# From a key until the frame after the one that draws it.
MOVE = """(key) => new Promise((done) => {
  const plot = document.querySelector(".chart-plot");
  const begun = performance.now();
  plot.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const worked = performance.now() - begun;
  requestAnimationFrame(() => setTimeout(() => done([worked, performance.now() - begun]), 0));
})"""


async def _fill(rig: ConsoleRig, points: int) -> str:
    job = await rig.api.create("long", epochs=1)
    run = Reports(job.id)
    await rig.api.record(run.started())
    for first in range(0, points, AT_ONCE):
        steps = range(first + 1, min(points, first + AT_ONCE) + 1)
        await rig.api.record(
            *(run.step(1, at, train_loss=2 + math.sin(at / 50), learning_rate=1e-3, gradient_norm=at) for at in steps)
        )
    return job.id


async def _move(rig: ConsoleRig, keys: str, moves: int) -> str:
    """Ms of work and ms to the frame, for one key after the other."""
    times: list[list[float]] = []
    await rig.page.evaluate("startFrames()")
    for number in range(moves):
        key = {"<": "ArrowLeft", ">": "ArrowRight"}.get(char := keys[number % len(keys)], char)
        times.append(await rig.page.evaluate(MOVE, key))
    gaps = await rig.page.evaluate("stopFrames()")
    work, frame = ([pair[at] for pair in times] for at in (0, 1))
    return (
        f"work p50 {quantile(work, 0.5):.1f} p99 {quantile(work, 0.99):.1f} ms, "
        f"to the frame p50 {quantile(frame, 0.5):.1f} p99 {quantile(frame, 0.99):.1f} ms, "
        f"gaps between frames p99 {quantile(gaps, 0.99):.0f} ms"
    )


async def measure(points: int, moves: int) -> None:
    """Print times and bytes."""
    async with console_rig() as rig:
        job_id = await _fill(rig, points)
        answers: list[Response] = []
        rig.page.on("response", lambda answer: answers.append(answer) if "/metrics?" in answer.url else None)
        for how in ("cold", "warm"):
            began = time.monotonic()
            await rig.open("#/")
            await rig.page.locator(".job-row").wait_for()
            began = time.monotonic()
            answers.clear()
            await rig.page.evaluate("(id) => { location.hash = `#/jobs/${id}`; }", job_id)
            await rig.page.wait_for_function(f"() => {PLOT}?.data[0].length > 1000")
            took = time.monotonic() - began
            sizes = [(len(await answer.body()), len((await answer.json())["metrics"])) for answer in answers]
            print(
                f"{points} points, {how}: drawn in {1000 * took:.0f} ms; "
                f"{sum(size for size, _ in sizes)} bytes with {sum(rows for _, rows in sizes)} rows were sent, "
                f"{await rig.page.evaluate(f'{PLOT}.data[0].length')} points drawn, heap {await rig.heap_mb():.0f} MB"
            )
        print(f"zoom in and out: {await _move(rig, '+-', moves)}")
        print(f"zoomed to a part: {await _move(rig, '+', 12)}")
        print(f"pan: {await _move(rig, '<<>>', moves)}")
        print(machine())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--moves", type=int, default=40)
    given = parser.parse_args()
    asyncio.run(measure(given.points, given.moves))
