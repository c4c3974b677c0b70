"""A sweep on the page of its job: leaderboard, curves, parallel coordinates, and the best one as a version."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Console
from tests.browser.test_admin import fair
from tests.fixtures.sweeps import swept, tried
from tests.unit.api.test_sweeps import with_file
from thornback.jobs.state import JobState

LONG = "stopped by asha at epoch 1: val_loss 0.91 is not among the best 1 in 4 of 8 trials (0.52)"


async def search(console: Console, count: int = 9) -> tuple[JobState, list[JobState]]:
    """Some trials: the first is the best that completed, one failed, the last one runs."""
    api = console.api
    sweep = await swept(api, budget={"trials": 12, "usd": 5.0}, scheduler={"type": "asha"})
    trials = [await tried(api, sweep, 1, 0.9, 0.5, 0.45), await tried(api, sweep, 2, 0.8, ends="failed")]
    for number in range(3, count):
        trials.append(await tried(api, sweep, number, 0.9 + number / 10, ends="stopped", why=LONG))
    trials.append(await tried(api, sweep, count, 0.7, 0.65, ends=None))
    await with_file(api, trials[0])
    return sweep, trials


async def test_the_leaderboard_is_sorted_live_and_leads_to_the_trials(console: Console) -> None:
    sweep, trials = await search(console)
    page = await console.open(f"#/jobs/{sweep.id}")
    board = page.get_by_role("region", name="Leaderboard")
    numbers = board.locator("tbody th")
    await expect(numbers.first).to_have_text("1")
    await expect(board.get_by_role("row", name=re.compile("★ best"))).to_contain_text("0.45")
    await expect(board.get_by_text(LONG).first).to_be_visible()
    await board.get_by_role("button", name="val_loss").click()
    await board.get_by_role("button", name="val_loss").click()
    await expect(numbers.first).to_have_text("8")
    await expect(board.get_by_role("columnheader", name="val_loss")).to_have_attribute("aria-sort", "descending")
    figures = page.get_by_role("region", name="Sweep", exact=True)
    await expect(figures).to_contain_text("9 of 12")
    await expect(figures).to_contain_text("1 running, 1 completed, 6 stopped early, 1 failed")

    await tried(console.api, sweep, 10, 0.1)
    await expect(figures).to_contain_text("in trial 10")
    assert await fair(page, 1280) == []
    await board.get_by_role("button", name="Trial", exact=True).click()
    await expect(numbers).to_have_text([str(number) for number in range(1, 11)])

    await numbers.first.get_by_role("link").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Bird rates (trial 1)")
    await page.get_by_role("link", name=re.compile("part of", re.IGNORECASE)).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Bird rates")
    assert trials[0].id != sweep.id


@pytest.mark.slow
async def test_curves_and_parallel_coordinates(console: Console) -> None:
    sweep, _ = await search(console)
    page = await console.open(f"#/jobs/{sweep.id}")
    legend = page.locator(".compare-chart .legend li")
    await expect(legend).to_have_count(6)
    await expect(legend.first).to_contain_text("Trial 1 0.45")
    await expect(page.locator(".compare-chart canvas")).to_be_visible()
    await expect(page.locator(".parallel-line")).to_have_count(9)
    await page.get_by_text("Limits as a table").click()
    await page.get_by_role("slider", name="val_loss, to").fill("0.1")
    await expect(page.get_by_text("1 of 9 jobs pass")).to_be_visible()
    await expect(page.locator("tr.compare-out")).to_have_count(8)


@pytest.mark.slow
async def test_the_best_is_kept_as_a_version(console: Console) -> None:
    sweep, _ = await search(console, count=3)
    page = await console.open(f"#/jobs/{sweep.id}")
    await page.get_by_role("button", name="Keep the best as a version").click()
    await page.get_by_role("link", name="Bird-rates v1").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Bird-rates")


@pytest.mark.slow
async def test_a_sweep_is_started_in_the_form(console: Console) -> None:
    page = await console.open("#/new?kind=sweep")
    await page.get_by_role("textbox", name=re.compile("^Name")).first.fill("rates")
    for group, name, value in (
        ("Trial", "config", '{"epochs": 2, "accelerator": "cpu"}'),
        ("Space", "config.learning_rate", '{"type": "loguniform", "low": 1e-4, "high": 1e-2}'),
    ):
        pairs = page.get_by_role("group", name=re.compile(f"^{group}"))
        await pairs.get_by_role("button", name="Add a value").click()
        await pairs.get_by_role("textbox").nth(0).fill(name)
        await pairs.get_by_role("textbox").nth(1).fill(value)
    await page.get_by_role("button", name="Start", exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("rates")
    await expect(page.get_by_text("No trial has begun yet.")).to_be_visible()


@pytest.mark.slow
async def test_a_sweep_that_has_not_begun(console: Console) -> None:
    sweep = await swept(console.api)
    page = await console.open(f"#/jobs/{sweep.id}")
    await expect(page.get_by_text("No trial has begun yet.")).to_be_visible()
    await expect(page.get_by_text("No trial has measured anything yet.")).to_be_visible()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheme", "width", "language"),
    [
        ("light", 390, "de"),
        ("dark", 390, "en"),
        ("light", 768, "en"),
        ("dark", 1280, "de"),
        ("light", 1280, "en"),
    ],
)
async def test_for_everyone(console: Console, scheme: Any, width: int, language: str, tmp_path: Path) -> None:
    sweep, _ = await search(console)
    page = await console.open(None, width=width, height=900, color_scheme=scheme, reduced_motion="reduce")
    await page.add_init_script(f"localStorage.setItem('thornback-language', '{language}')")
    await page.goto(f"http://{console.host}/#/jobs/{sweep.id}")
    await expect(page.locator(".parallel-line")).to_have_count(9)
    await expect(page.locator(".compare-chart canvas")).to_be_visible()
    await page.screenshot(path=tmp_path / "sweep.png", full_page=True)
    if keep := os.environ.get("THORNBACK_TEST_SHOTS"):
        await page.screenshot(path=f"{keep}/sweep-{width}-{scheme}-{language}.png", full_page=True)
    assert await fair(page, width) == []
