"""Models and their versions: listed, named, noted, compared, traced back to the video, taken and deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Console
from tests.browser.test_looks import AXE
from tests.browser.video_jobs import pipeline, with_version, write_dataset
from tests.fixtures.api import Reports
from tests.fixtures.model_versions import trained
from thornback.artifacts.files import join, locate
from thornback.jobs.state import JobState
from thornback.jobs.video_stages import VideoStage


async def versions(console: Console, tmp_path: Path, count: int = 2) -> list[JobState]:
    jobs = []
    for number in range(count):
        job = await pipeline(console.api, VideoStage.PUBLISH)
        write_dataset(console.api, job, tmp_path / f"frames{number}", for_review=False)
        await with_version(console.api, job, steps=1000 * (number + 1))
        jobs.append(job)
    return jobs


async def test_from_the_list_to_a_version_and_back_to_its_video(console: Console, tmp_path: Path) -> None:
    page = await console.open()
    await page.get_by_role("link", name="Models").click()
    await expect(page.get_by_role("heading", name="No models yet")).to_be_visible()
    first, second = await versions(console, tmp_path)
    await expect(page.locator(".model-row")).to_contain_text("2 versions")  # by itself
    await page.get_by_role("link", name="fox").click()
    await expect(page.locator(".version h3")).to_have_text(["v2", "v1"])
    newest = page.locator(".version").first
    await expect(newest).to_contain_text("latest")
    await expect(newest).to_contain_text("2,000 steps")

    chain = page.locator(".chain-link")
    await expect(chain).to_have_count(4)
    await expect(chain.locator("b")).to_have_text(["v2", "Fox", "8 frames", "https://example.com/fox.mp4"])
    await expect(chain.nth(2)).to_contain_text("4 dropped")
    await expect(chain.locator("img")).to_have_count(8)
    await expect(chain.locator("img").first).to_have_js_property("naturalWidth", 320)
    await page.get_by_role("listitem", name="v1").get_by_role("button", name="Where it comes from").click()
    await expect(chain.first.locator("b")).to_have_text("v1")
    await expect(chain.nth(1).get_by_role("link", name="Fox")).to_have_attribute("href", f"#/jobs/{first.id}")
    assert page.url.endswith("#/models/fox?v=1")

    rows = page.locator(".differences tbody tr")
    await expect(rows.filter(has_text="config.steps")).to_contain_text("1000")
    await expect(rows.filter(has_text="config.steps")).to_contain_text("2000")
    await expect(rows.filter(has_text="config.trigger")).to_have_count(0)
    await page.get_by_label("Second version").select_option("1")
    await page.get_by_label("First version").select_option("2")
    await expect(rows.filter(has_text="config.steps").locator("td").first).to_have_text("2000")
    await page.get_by_role("listitem", name="v2").get_by_role("link", name=f"Job {second.id[-8:]}").click()
    await expect(page.locator("h1")).to_have_text("Fox")


async def test_notes_and_aliases(console: Console, tmp_path: Path) -> None:
    await versions(console, tmp_path)
    page = await console.open("#/models/fox")
    old, new = page.get_by_role("listitem", name="v1"), page.get_by_role("listitem", name="v2")
    await old.get_by_role("button", name="Add notes").click()
    await page.get_by_label("Notes on version 1").fill("hands <b>are</b> better\nhere")
    await page.keyboard.press("Control+Enter")
    await expect(old.locator(".version-notes p")).to_have_text("hands <b>are</b> better\nhere")

    await old.get_by_role("button", name="Set alias").click()
    await expect(page.get_by_label("Alias", exact=True)).to_be_focused()
    await page.get_by_label("Alias", exact=True).fill("production")
    await page.keyboard.press("Enter")
    await expect(old.locator(".alias-set")).to_contain_text("production")

    await new.get_by_role("button", name="Set alias").click()
    await page.get_by_label("Alias", exact=True).fill("production")
    await expect(new.get_by_role("status")).to_contain_text("now means version 1 and moves here")
    await new.get_by_role("button", name="Set", exact=True).click()
    await expect(new.locator(".alias-set")).to_contain_text("production")
    await expect(old.locator(".alias-set")).to_have_count(0)
    await new.get_by_role("button", name="Remove the alias production").click()
    await expect(new.locator(".alias-set")).to_have_count(0)


async def test_download_and_delete(console: Console, tmp_path: Path) -> None:
    console.allow("the server responded with a status of 409")
    await versions(console, tmp_path)
    page = await console.open("#/models/fox")
    old = page.get_by_role("listitem", name="v1")
    async with page.expect_download() as started:
        await old.get_by_role("link", name="Download version 1").click()
    download = await started.value
    assert download.suggested_filename == "fox-v1.safetensors"
    assert (await download.path()).stat().st_size > 16_000

    await old.get_by_role("button", name="Set alias").click()
    await page.get_by_label("Alias", exact=True).fill("production")
    await page.keyboard.press("Enter")
    await old.get_by_role("button", name="Delete version 1").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Delete").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("production")  # in use
    await dialog.get_by_role("button", name="Keep it").click()
    await old.get_by_role("button", name="Remove the alias").click()
    await expect(old.locator(".alias-set")).to_have_count(0)
    for name in ("Delete version 1", "Delete version 2"):
        await page.get_by_role("button", name=name).click()
        await dialog.get_by_role("button", name="Delete").click()
        await expect(page.get_by_role("button", name=name)).to_have_count(0)
    await expect(page.get_by_role("heading", name="No models yet")).to_be_visible()
    await expect(page.get_by_role("link", name="Models")).to_have_attribute("aria-current", "page")


async def test_a_model_that_is_not_there(console: Console) -> None:
    console.allow("the server responded with a status of 404")
    page = await console.open("#/models/nobody")
    await expect(page.get_by_role("heading", name="There is no such model")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
async def test_models_are_for_everyone(console: Console, tmp_path: Path, scheme: Any) -> None:
    await versions(console, tmp_path)
    page = await console.open("#/models", width=390, height=844, color_scheme=scheme)
    await expect(page.locator(".model-row")).to_have_count(1)
    for step in ("list", "model"):
        await page.evaluate(AXE.read_text(encoding="utf-8"))
        found = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        serious = [item for item in found["violations"] if item["impact"] in ("serious", "critical")]
        assert serious == []
        assert await page.evaluate("document.documentElement.scrollWidth") == 390
        if step == "list":
            await page.get_by_role("link", name="fox").click()
            await expect(page.locator(".chain img").first).to_be_visible()
            await expect(page.locator(".differences")).to_be_visible()


async def test_a_finished_training_becomes_a_version(console: Console, tmp_path: Path) -> None:
    await versions(console, tmp_path, 1)
    job, other = await trained(console.api, ends=False), await trained(console.api)
    page = await console.open(f"#/jobs/{job.id}")
    await expect(page.get_by_role("heading", name="Mira")).to_be_visible()
    make = page.get_by_role("button", name="Make a model version")
    await expect(make).to_have_count(0)  # it still trains
    await console.api.record(Reports(job.id).succeeded())
    await make.click()
    dialog = page.get_by_role("dialog")
    name = dialog.get_by_label("Model", exact=True)
    await expect(name).to_have_value("Mira")
    await name.fill("no such/name")
    await dialog.get_by_role("button", name="Make a model version").click()
    assert await name.evaluate("input => input.validity.patternMismatch")
    await name.fill("fox")
    await expect(dialog).to_contain_text("It becomes the next version of fox.")
    await dialog.get_by_role("button", name="Make a model version").click()
    made = page.get_by_role("link", name="Version 2 of fox")
    await expect(made).to_be_focused()
    await page.reload()
    await expect(made).to_be_visible()
    await made.click()
    await expect(page.locator(".version h3")).to_have_text(["v2", "v1"])

    await page.goto(f"http://{console.host}/#/jobs/{other.id}")
    console.allow("status of 4")
    locate(join(console.api.settings.run_uri(other.id), "lora.safetensors")).write_bytes(b"damaged")
    await make.click()
    await dialog.get_by_role("button", name="Make a model version").click()
    await expect(dialog.get_by_role("alert")).to_be_visible()
