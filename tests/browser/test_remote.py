"""Jobs at a provider: where to look there, how far they are and who says so, what they cost."""

from __future__ import annotations

import re

from playwright.async_api import expect

from tests.browser.conftest import Console
from tests.fixtures.remote import PAGE, AskedTracker, training


async def test_a_training_at_a_provider_live(console: Console) -> None:
    job, told = await training(console.api)
    await console.api.record(told.progress(6.0, "estimated"), told.stage(0, "starting"))
    page = await console.open(f"#/jobs/{job.id}")
    await expect(page.locator(".job-title-sub")).to_contain_text("LoRA")
    await expect(page.get_by_role("link", name=re.compile("Open at Replicate"))).to_have_attribute("href", PAGE)
    await expect(page.locator(".provider")).to_contain_text("Estimated cost$0.690")
    progress = page.locator(".job-progress")
    await expect(progress).to_contain_text("estimated")
    assert "Epoch" not in await progress.inner_text()

    await console.api.record(
        told.stage(1, "training"),
        told.progress(36.35, eta_s=135),
        told.log("flux_train_replicate:  31%|███       | 93/300 [01:01<02:15,  1.53it/s, lr: 4.0e-04 loss: 3.21e-01]"),
        *(told.step(step, train_loss=1 / step, learning_rate=4e-4) for step in range(1, 94)),
    )
    await expect(progress).to_contain_text("36 %")
    await expect(progress).to_contain_text("read from the log")
    await expect(progress).to_contain_text(re.compile(r"about \d min"))
    await expect(page.get_by_role("log")).to_contain_text("93/300")
    loss = page.locator(".chart", has_text="Loss").first
    await expect(loss.locator(".legend")).to_contain_text("train 0.01075")
    await expect(page.get_by_role("button", name="Epochs")).to_have_count(0)
    await page.get_by_text("Values as a table").click()
    await expect(page.locator(".table tbody th").first).to_have_text("93")

    await console.api.record(told.facts(cost_usd=0.42, predict_time=275.4), told.succeeded())
    await expect(page.locator(".provider")).to_contain_text("Cost$0.420 (measured)")
    await expect(page.locator(".provider")).to_contain_text("Worked for4 min 35 s")


async def test_asking_the_provider_and_ordering_again(console: Console) -> None:
    tracker = AskedTracker()
    await console.stop()
    await console.serve(console.api.app(trackers=tracker, replicate_api_token="r8_test"))
    job, told = await training(console.api)

    async def ended(job_id: str) -> None:
        await console.api.record(told.facts(cost_usd=0.42), told.succeeded())

    tracker.on_sync = ended
    page = await console.open(f"#/jobs/{job.id}")
    await page.get_by_role("button", name="Sync now").click()
    await expect(page.locator(".job-title .status")).to_have_text("Completed")
    assert tracker.synced == [job.id]

    await page.get_by_role("button", name="Retry").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("for about $0.420")
    await dialog.get_by_role("button", name="Not now").click()
    await expect(dialog).to_have_count(0)
    assert console.api.reader.latest_event_id() > 0
    await page.get_by_role("button", name="Retry").click()
    await dialog.get_by_role("button", name="Order again").click()
    await expect(page.locator(".job-title .status")).to_have_text("Queued")
    assert job.id not in page.url
    await page.get_by_role("link", name="All jobs").click()
    await expect(page.locator(".job-row")).to_have_count(2)
    await expect(page.locator(".job-row").first).to_contain_text("LoRA · Replicate")
