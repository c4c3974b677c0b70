"""Clips to listen to, as a training publishes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Console
from tests.browser.test_looks import AXE
from tests.fixtures.api import Reports, eventually
from tests.unit.train_jobs.helpers import make_tones, small_config
from thornback.datasets import open_dataset
from thornback.jobs.state import JobState
from train_jobs.convnext.examples import example_files
from train_jobs.convnext.hearing import Heard


async def heard_job(console: Console, tmp_path: Path) -> JobState:
    """Six clips, of which the first two were mistaken."""
    config = small_config(make_tones(tmp_path / "tones"))
    dataset = open_dataset(config.data, config)
    classes = list(dataset.classes)
    truths = [classes.index(clip.label) for clip in dataset.val]
    heard = [
        Heard(
            clip=number,
            truth=truth,
            predicted=(truth + (number < 2)) % 3,
            probability=0.9 - number / 100,
            truth_probability=0.05 if number < 2 else 0.9 - number / 100,
        )
        for number, truth in enumerate(truths)
    ]
    job = await console.api.create("radio baseline", epochs=2)
    folder = Path(console.api.settings.run_uri(job.id)) / "examples"
    folder.mkdir(parents=True)
    for name, content in example_files(heard, dataset.val, classes, dataset.root, config):
        (folder / name).write_bytes(content)
    run = Reports(job.id)
    await console.api.record(
        run.started(), run.epoch(1), run.artifact("examples", str(folder), "examples"), run.succeeded()
    )
    return job


async def test_mistakes_are_seen_and_heard(console: Console, tmp_path: Path) -> None:
    job = await heard_job(console, tmp_path)
    page = await console.open(f"#/jobs/{job.id}")
    cards = page.locator(".example")
    await expect(cards).to_have_count(6)
    await expect(page.locator(".examples")).to_contain_text("4 of 6 validation clips right")
    await expect(cards.first).to_contain_text("taken for")
    await expect(cards.first).to_contain_text("90 % sure")
    await expect(cards.first.locator("img")).to_have_js_property("naturalHeight", 32)
    await page.get_by_role("button", name="Mistakes 2").click()
    await expect(cards).to_have_count(2)
    await page.get_by_role("button", name="All 6").click()

    await page.evaluate(
        "() => { const play = Audio.prototype.play; window.played = [];"
        " Audio.prototype.play = function () { window.played.push(this); return play.call(this); }; }"
    )
    first, second = cards.nth(0).get_by_role("button"), cards.nth(1).get_by_role("button")
    await first.focus()
    await page.keyboard.press(" ")
    await eventually(lambda: page.evaluate("window.played[0]?.ended === true"))  # it is half a second long
    assert await page.evaluate("window.played[0].duration") == pytest.approx(0.5, abs=0.02)
    await expect(first).to_have_attribute("aria-pressed", "false")
    await page.keyboard.press("ArrowRight")
    await expect(second).to_be_focused()
    await page.keyboard.press("Enter")
    await eventually(lambda: page.evaluate("window.played.length === 2"))


async def test_a_clip_that_cannot_be_had_says_so(console: Console, tmp_path: Path) -> None:
    console.allow("the server responded with a status of 404")
    job = await heard_job(console, tmp_path)
    page = await console.open(f"#/jobs/{job.id}")
    await expect(page.locator(".example")).to_have_count(6)
    (Path(console.api.settings.run_uri(job.id)) / "examples" / "00.wav").unlink()
    await page.locator(".example").first.get_by_role("button").click()
    await expect(page.locator(".example").first.get_by_role("alert")).to_have_text("This browser could not play it.")


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
async def test_they_are_for_everyone(console: Console, tmp_path: Path, scheme: Any) -> None:
    job = await heard_job(console, tmp_path)
    page = await console.open(f"#/jobs/{job.id}", width=390, height=844, color_scheme=scheme)
    await expect(page.locator(".example")).to_have_count(6)
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate("axe.run('.examples', { resultTypes: ['violations'] })")
    serious = [item for item in found["violations"] if item["impact"] in ("serious", "critical")]
    assert [f"{item['id']}: {node['html']}" for item in serious for node in item["nodes"]] == []
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
