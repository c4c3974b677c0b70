"""The console in Chromium before the real API over a local recorder, and what a browser tells of a page."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import CDPSession, Page, async_playwright

from tests.browser.conftest import CHROMIUM_FLAGS, CHROMIUM_NAMES
from tests.fixtures.api import ApiPlatform, api_on, serving
from thornback.store.migrate import upgrade

# Gaps between frames in ms, from `startFrames()` until `stopFrames()`.
_FRAMES = """
window.startFrames = () => {
  const gaps = [];
  let last = performance.now();
  let on = true;
  const frame = (now) => {
    gaps.push(now - last);
    last = now;
    if (on) requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  window.stopFrames = () => { on = false; return gaps.slice(1); };
};
"""


@dataclass(frozen=True, slots=True)
class ConsoleRig:
    """A page, its server, and what writes to the database behind it."""

    api: ApiPlatform
    host: str
    page: Page
    devtools: CDPSession

    async def open(self, hash: str) -> None:
        """Go to a view."""
        await self.page.goto(f"http://{self.host}/{hash}")

    async def busy_s(self) -> float:
        """Seconds that the page's main thread has worked so far."""
        answer = await self.devtools.send("Performance.getMetrics")
        return next(float(metric["value"]) for metric in answer["metrics"] if metric["name"] == "TaskDuration")

    async def heap_mb(self) -> float:
        """Of JavaScript, after a collection."""
        await self.devtools.send("HeapProfiler.collectGarbage")
        answer = await self.devtools.send("Performance.getMetrics")
        return next(float(m["value"]) for m in answer["metrics"] if m["name"] == "JSHeapUsedSize") / 1e6


@asynccontextmanager
async def console_rig(*, width: int = 1280, height: int = 800) -> AsyncIterator[ConsoleRig]:
    """A fresh database, server and browser."""
    path = next(found for name in CHROMIUM_NAMES if (found := shutil.which(name)))
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/thornback.db"
        upgrade(url)
        async with (
            api_on(url, Path(folder)) as api,
            serving(api.app()) as host,
            async_playwright() as playwright,
        ):
            browser = await playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
            page = await browser.new_page(viewport={"width": width, "height": height})
            page.on("pageerror", lambda error: print(f"the page failed: {error}"))
            await page.add_init_script(_FRAMES)
            devtools = await page.context.new_cdp_session(page)
            await devtools.send("Performance.enable")
            yield ConsoleRig(api, host, page, devtools)
            await browser.close()


def quantile(values: list[float], share: float) -> float:
    """The value below which `share` of them lie."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def machine() -> str:
    """What else the machine has to do, without which no figure means much."""
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
