"""Runs of very many steps: what is sent and drawn stays bounded, and a zoom brings what was left out."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

import pytest
from playwright.async_api import Page, Response, expect

from tests.browser.conftest import Console
from tests.fixtures.api import Reports
from thornback.jobs.state import JobState

METRICS = re.compile(r"/metrics\?.*level=step")
PEAK, PLACE = 55.5, 0.6  # one step in all of them


async def long_run(console: Console, steps: int) -> JobState:
    """A run of one epoch with a peak in it."""
    job = await console.api.create("long", epochs=1)
    run = Reports(job.id)
    peak = round(steps * PLACE)
    await console.api.record(run.started())
    for first in range(0, steps, 5000):
        await console.api.record(
            *(
                run.step(1, at, train_loss=PEAK if at == peak else 2 + math.sin(at / 50), learning_rate=1e-3)
                for at in range(first + 1, min(steps, first + 5000) + 1)
            )
        )
    return job


async def drawn(page: Page) -> int:
    """Points that the first chart was given."""
    count: int = await page.evaluate("[...uPlot.sync(location.hash.split('/').pop()).plots][0].data[0].length")
    return count


@pytest.mark.parametrize("steps", [12_000, pytest.param(100_000, marks=pytest.mark.slow)])
async def test_a_run_of_very_many_steps(console: Console, tmp_path: Path, steps: int) -> None:
    job = await long_run(console, steps)
    page = await console.open(None)
    rows: list[int] = []

    async def count(answer: Response) -> None:
        if METRICS.search(answer.url):
            rows.append(len((await answer.json())["metrics"]))

    page.on("response", count)
    await page.goto(f"http://{console.host}/#/jobs/{job.id}")
    loss = page.locator(".chart", has_text="Loss").first
    await expect(loss.locator("canvas")).to_be_visible()
    await page.wait_for_function("[...uPlot.sync(location.hash.split('/').pop()).plots][0]?.data[0].length > 1000")
    assert [0 < sent <= 6000 for sent in rows] == [True]
    assert 1000 < await drawn(page) <= 6000
    top = await page.evaluate("Math.max(...[...uPlot.sync(location.hash.split('/').pop()).plots][0].data[1])")
    assert top == PEAK  # however few are drawn

    # The part between 30 % and 32 % of the run: every step of it comes.
    plot = loss.locator(".u-over")
    box = await plot.bounding_box()
    assert box is not None
    async with page.expect_response(METRICS):
        await page.mouse.move(box["x"] + box["width"] * 0.30, box["y"] + 50)
        await page.mouse.down()
        await page.mouse.move(box["x"] + box["width"] * 0.32, box["y"] + 50, steps=3)
        await page.mouse.up()
    within = round(steps * 0.02)
    await page.wait_for_function(
        "(least) => [...uPlot.sync(location.hash.split('/').pop()).plots][0].data[0].length > least",
        arg=0.9 * min(within, 1000),
    )
    assert rows[-1] >= 0.9 * within
    assert await drawn(page) <= 6000

    # A file has all of them.
    await page.get_by_role("button", name="Smooth, compare, save…").click()
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Save Loss as CSV").click()
    path = tmp_path / "loss.csv"
    await (await download.value).save_as(path)
    saved = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    assert len(saved) == steps + 1
    assert float(saved[round(steps * PLACE)][1]) == PEAK
