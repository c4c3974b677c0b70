"""Frames per second while a log is followed at 1,000 lines/s; a log of a million lines opened, jumped in and searched.

python -m tests.benchmarks.console_log [--lines 1000000] [--rate 1000] [--seconds 15]
"""

from __future__ import annotations

import argparse
import asyncio
import time

from tests.benchmarks.console_rig import ConsoleRig, console_rig, machine, quantile
from tests.fixtures.api import Reports

CHUNK = 100  # lines, as a busy worker prints them at a time
PER_S = 10  # chunks a second while it is followed


async def _follow(rig: ConsoleRig, run: Reports, rate: int, seconds: float) -> int:
    per_chunk = rate // PER_S
    chunks = int(seconds * PER_S)
    began = time.monotonic()
    for number in range(chunks):
        lines = [
            f"followed {number * per_chunk + line} loss=0.123 lr=4.0e-04 throughput=123.4 images/s"
            for line in range(per_chunk)
        ]
        await rig.api.record(run.log(*lines))
        await asyncio.sleep(max(0, began + (number + 1) / PER_S - time.monotonic()))
    return chunks * per_chunk


async def measure(lines: int, rate: int, seconds: float) -> None:
    """Print frames, times and memory."""
    async with console_rig() as rig:
        job = await rig.api.create("log")
        run = Reports(job.id)
        await rig.api.record(run.started())
        for first in range(0, lines, 200 * CHUNK):
            chunks = range(first, min(lines, first + 200 * CHUNK), CHUNK)
            await rig.api.record(
                *(run.log(*(f"line {at + n} loss=0.5 step={at + n}" for n in range(CHUNK))) for at in chunks)
            )
        began = time.monotonic()
        await rig.open(f"#/jobs/{job.id}")
        await rig.page.locator(".log-place, .log-panel").wait_for()
        await rig.page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        await rig.page.get_by_text(f"line {lines - 1} ").wait_for()
        print(f"{lines} lines: open in {time.monotonic() - began:.2f} s, heap {await rig.heap_mb():.0f} MB")

        began = time.monotonic()
        await rig.page.get_by_role("log").evaluate("(log) => { log.scrollTop = log.scrollHeight / 2; }")
        await rig.page.get_by_text(f"line {lines // 2} ").first.wait_for()
        print(f"jump to the middle: {time.monotonic() - began:.2f} s")
        await rig.page.get_by_role("button", name="Search the log").click()
        search = rig.page.get_by_role("searchbox", name="Search the log")
        for text, is_regex in (("step=99999", False), (r"step=\d*777$", True)):
            if is_regex:
                await rig.page.get_by_role("button", name="Regular expression").click()
            began = time.monotonic()
            await search.fill(text)
            await rig.page.locator(".log-count", has_text=" of ").wait_for(timeout=120_000)
            told = await rig.page.locator(".log-count").inner_text()
            print(f"search {text}: {told} in {time.monotonic() - began:.2f} s")
            await search.fill("")
        await rig.page.get_by_role("button", name="Jump to the newest").click()

        await rig.page.evaluate("startFrames()")
        busy, began = await rig.busy_s(), time.monotonic()
        more = await _follow(rig, run, rate, seconds)
        took = time.monotonic() - began
        share = (await rig.busy_s() - busy) / took
        gaps = await rig.page.evaluate("stopFrames()")
        await rig.page.get_by_text(f"followed {more - 1} ").wait_for()
        print(
            f"followed at {more / took:.0f} lines/s: {1000 / (sum(gaps) / len(gaps)):.0f} frames/s, gap p99 "
            f"{quantile(gaps, 0.99):.0f} ms, most {max(gaps):.0f} ms, "
            f"{100 * share:.0f} % of a core, heap {await rig.heap_mb():.0f} MB"
        )
        print(machine())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=15)
    given = parser.parse_args()
    asyncio.run(measure(given.lines, given.rate, given.seconds))
