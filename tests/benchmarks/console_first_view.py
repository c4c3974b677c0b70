"""Bytes and milliseconds of the console's first view: the list with 50 jobs, and one job with curves.

    python -m tests.benchmarks.console_first_view [--runs 7]

Bytes are those of all bodies without compression, but for the stream; milliseconds go from the navigation to the
frame that shows the rows, or the drawn curves, with an empty cache; the page takes them itself. An empty tab has to
start a process of the browser first, which takes some 50 ms; from another page of the same server it has one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from statistics import median

from playwright.async_api import Response

from tests.benchmarks.console_rig import ConsoleRig, console_rig, machine
from tests.fixtures.api import Reports

SHOWN = (".job-row", ".chart canvas")
# Of each the time after the first frame that has it: an animation frame comes before its paint, a task after that.
WATCH = """
const seen = new Map(SHOWN.map((what) => [what, Promise.withResolvers()]));
window.shownAt = (what) => seen.get(what).promise;
new MutationObserver(() => {
  for (const what of SHOWN) {
    const tell = () => setTimeout(() => seen.get(what).resolve(performance.now()));
    if (document.querySelector(what)) requestAnimationFrame(tell);
  }
}).observe(document, { childList: true, subtree: true });
"""
STREAM = re.compile(r"/training/events\b")


async def _visit(rig: ConsoleRig, start: str, path: str, shown: str) -> tuple[int, float]:
    answers: list[Response] = []

    def take(answer: Response) -> None:
        answers.append(answer)

    rig.page.on("response", take)
    await rig.devtools.send("Network.setCacheDisabled", {"cacheDisabled": True})
    await rig.page.goto(start)
    answers.clear()
    await rig.open(path)
    await rig.page.locator(shown).first.wait_for()
    took = await rig.page.evaluate("(what) => shownAt(what)", shown)
    bodies = [await answer.body() for answer in list(answers) if not STREAM.search(answer.url)]
    rig.page.remove_listener("response", take)
    return sum(map(len, bodies)), took


async def measure(runs: int) -> None:
    """Print a row for each view."""
    async with console_rig() as rig:
        await rig.page.add_init_script(f"const SHOWN = {json.dumps(SHOWN)};{WATCH}")
        for number in range(50):
            job = await rig.api.create(f"job {number}", epochs=10)
            run = Reports(job.id)
            await rig.api.record(run.started(), *(run.epoch(n) for n in range(1, 6)), run.log("epoch 5"))
        for name, path, shown in (("list", "#/", ".job-row"), ("job", f"#/jobs/{job.id}", ".chart canvas")):
            for start in ("about:blank", f"http://{rig.host}/healthz"):
                found = [await _visit(rig, start, path, shown) for _ in range(runs)]
                sizes, times = zip(*found, strict=True)
                took = f"{median(times):.0f} ms (least {min(times):.0f}, most {max(times):.0f})"
                print(f"{name}, from {start}: {max(sizes)} bytes, {took}")
        print(machine())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    asyncio.run(measure(parser.parse_args().runs))
