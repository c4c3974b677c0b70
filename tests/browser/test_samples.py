"""A LoRA training on this cluster: its pictures beside its loss, and what it is asked for."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from playwright.async_api import expect

from tests.browser.conftest import Console
from tests.fixtures.api import FIRST, Reports, now
from thornback.jobs.events import EventFactory, JobEvent

PROMPTS = ["a portrait of [trigger] in the rain, " + "long " * 60, "[trigger] in a boat"]
LORA = {
    "kind": "lora",
    "job_name": "fox",
    "config": {"base_model": "/models/flux", "dataset": "/data/fox", "sample_prompts": PROMPTS},
}


def sample(console: Console, run: Reports, step: int, number: int) -> JobEvent:
    name = f"sample-{step:08d}-{number}.png"
    path = Path(console.api.settings.run_uri(run.job_id)) / "samples" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 64), (step % 256, 90, 120)).save(path)
    return run.artifact(name, str(path), "sample")


async def running_lora(console: Console) -> Reports:
    job = await console.api.create_spec(LORA)
    run = Reports(job.id)
    facts = {"sample_prompts": [prompt.replace("[trigger]", "FOX") for prompt in PROMPTS]}
    await console.api.record(
        run.started(),
        EventFactory(job.id).described(FIRST, facts, seq=1, at=now()),
        *(run.step(1 + step // 50, step, train_loss=1 / step, learning_rate=1e-4) for step in range(1, 101)),
    )
    return run


async def test_samples_stand_beside_the_loss_the_newest_step_first(console: Console) -> None:
    run = await running_lora(console)
    page = await console.open(f"#/jobs/{run.job_id}")
    await expect(page.locator(".samples")).to_contain_text("The first pictures appear here.")
    await console.api.record(sample(console, run, 50, 1), sample(console, run, 50, 0), sample(console, run, 1000, 0))
    await expect(page.locator(".sample")).to_have_count(3)
    await expect(page.locator(".sample-step")).to_have_text(["Step 1,000", "Step 50", "Step 50"])
    await expect(page.locator(".sample-prompt").last).to_have_text("FOX in a boat")
    newest = page.locator(".sample img").first
    await expect(newest).to_have_js_property("naturalWidth", 64)
    assert await newest.get_attribute("loading") == "lazy"
    loss, samples = [await page.locator(place).first.bounding_box() for place in (".chart", ".samples")]
    assert loss
    assert samples
    assert (loss["y"], loss["x"] + loss["width"] < samples["x"]) == (samples["y"], True)
    await expect(page.locator(".artifact")).to_have_count(0)

    many = [sample(console, run, 2000 + step, number) for step in range(20) for number in (0, 1)]
    await console.api.record(*many)
    await expect(page.locator(".sample")).to_have_count(24)
    await page.get_by_role("button", name="19 older").click()
    await expect(page.locator(".sample")).to_have_count(43)

    phone = await console.open(f"#/jobs/{run.job_id}", width=390, height=844, has_touch=True, is_mobile=True)
    await expect(phone.locator(".sample")).to_have_count(24)
    await expect(phone.get_by_role("button", name="Stop and keep")).to_be_visible()
    assert await phone.evaluate("document.documentElement.scrollWidth") == 390


async def test_a_running_training_is_asked_to_save_to_draw_and_to_end_with_its_result(console: Console) -> None:
    run = await running_lora(console)
    page = await console.open(f"#/jobs/{run.job_id}")
    await page.get_by_role("button", name="Save now").click()
    await expect(page.locator(".wishes-note")).to_contain_text("Save now")
    await page.get_by_role("button", name="Sample now").click()
    await expect(page.locator(".wishes-note")).to_contain_text("Sample now")
    await page.get_by_role("button", name="Stop and keep").click()
    dialog = page.get_by_role("dialog")
    assert list((await console.api.recorder.job(run.job_id)).asked) == ["save", "sample"]
    await dialog.get_by_role("button", name="Stop and keep").click()
    await expect(dialog).to_have_count(0)
    await expect(page.locator(".wishes-note")).to_contain_text("Stop and keep")
    assert "finish" in (await console.api.recorder.job(run.job_id)).asked
    await console.api.record(run.succeeded())
    await expect(page.get_by_role("button", name="Save now")).to_have_count(0)
