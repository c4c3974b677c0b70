"""From a worker's report to the pixel: p50 and p99 of the time until a page shows a value.

    python -m tests.benchmarks.console_latency [--reports 200]

The clock starts before the report is given to the recorder and stops with the frame after the text of the page has
changed, in a Chromium on the same machine: commit, hub, stream, folding and drawing are in it.
"""

from __future__ import annotations

import argparse
import asyncio
import time

from tests.benchmarks.console_rig import console_rig, machine, quantile
from tests.fixtures.api import Reports

_WATCH = """
window.seen = {};
new MutationObserver(() => requestAnimationFrame(() => {
  const text = document.querySelector(".job-cell-loss dd")?.textContent;
  if (text && !(text in window.seen)) window.seen[text] = Date.now();
})).observe(document.body, { subtree: true, childList: true, characterData: true });
"""
EVERY_S = 0.15


async def measure(reports: int) -> None:
    """Print the quantiles."""
    async with console_rig() as rig:
        job = await rig.api.create("latency", epochs=1000)
        run = Reports(job.id)
        await rig.api.record(run.started(), run.epoch(1, train_loss=1.0, val_loss=1.0))
        await rig.open("#/")
        await rig.page.locator(".job-cell-loss dd").first.wait_for()
        await rig.page.evaluate(_WATCH)
        sent: dict[str, float] = {}
        for number in range(reports):
            value = 100 + number  # three digits are shown as they are
            sent[str(value)] = time.time() * 1000
            await rig.api.record(run.epoch(number + 2, train_loss=float(value), val_loss=1.0))
            await asyncio.sleep(EVERY_S)
        await asyncio.sleep(2)
        seen = await rig.page.evaluate("window.seen")
        lags = [seen[value] - at for value, at in sent.items() if value in seen]
        print(f"{len(lags)} of {reports} reports seen one by one; the others were overtaken by a newer one")
        print(
            f"report to pixel: p50 {quantile(lags, 0.5):.0f} ms, "
            f"p99 {quantile(lags, 0.99):.0f} ms, most {max(lags):.0f} ms"
        )
        print(machine())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=int, default=200)
    asyncio.run(measure(parser.parse_args().reports))
