"""Jobs at a provider: where to look there, how far they are and who says so, what they cost."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from PIL import Image
from playwright.async_api import expect

from tests.browser.conftest import Console
from tests.browser.test_looks import AXE
from tests.fixtures.api import eventually
from tests.fixtures.remote import IMAGE_SET, PAGE, AskedTracker, Told, training
from thornback.jobs.state import JobState


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
    values = page.locator("details", has=page.get_by_text("Values as a table"))
    await expect(values.locator("tbody th").first).to_have_text("93")

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
    await expect(page.locator(".job-row").first).to_contain_text("LoRA")
    await expect(page.locator(".job-row .job-cell-backend").first).to_have_text("Replicate")


async def image_set(console: Console) -> tuple[JobState, Told]:
    job = await console.api.create_spec(IMAGE_SET)
    told = Told(job)
    await console.api.record(
        told.scheduled(),
        told.started(),
        told.facts(provider="replicate", images_total=6, images_done=0),
        *(told.item(number, status) for number in range(1, 6) for status in ("intended", "sent")),
    )
    return job, told


async def picture_arrives(console: Console, told: Told, number: int) -> None:
    picture = Image.new("RGB", (64, 64), (40 * number, 90, 120))
    file = Path(console.api.settings.storage) / "training-images" / told.job_id / f"ada_training_{number:02}.jpg"
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.save(file)
    await console.api.record(
        told.item(number, "succeeded", via="webhook"),
        told.item(number, "stored", uri=str(file), content_type="image/jpeg", size_bytes=file.stat().st_size),
    )


async def test_images_of_a_set_appear_as_they_arrive(console: Console) -> None:
    job, told = await image_set(console)
    page = await console.open(f"#/jobs/{job.id}")
    images = page.locator(".image")
    await expect(images).to_have_count(6)
    await expect(images.nth(0)).to_contain_text("waiting")
    await expect(images.nth(5)).to_contain_text("not ordered yet")

    await picture_arrives(console, told, 2)
    await console.api.record(told.facts(images_total=6, images_done=1), told.progress(16.7, "reported"))
    picture = page.get_by_role("img", name="Image 2: in profile")
    await expect(picture).to_be_visible()
    await eventually(lambda: picture.evaluate("(image) => image.naturalWidth === 64"))
    await expect(page.locator(".job-progress")).to_contain_text("1 of 6 images")

    await console.api.record(told.item(1, "failed", via="webhook", error="NSFW content detected"))
    await expect(images.nth(0)).to_contain_text("NSFW content detected")
    await expect(page.locator(".images .panel-head")).to_contain_text("1 of 6 · 50 % succeeded · 1 failed")
    await console.api.record(told.item(1, "intended", order=2), told.item(1, "processing", order=2))
    await expect(images.nth(0)).to_contain_text("being made")
    await expect(images.nth(0)).to_contain_text("try 2")

    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download as ZIP").click()
    with zipfile.ZipFile(await (await download.value).path()) as archive:
        assert "ada_training_02.jpg" in archive.namelist()
    await page.reload()
    await expect(picture).to_be_visible()
    await expect(images.nth(0)).to_contain_text("try 2")


async def test_remote_pages_on_a_phone_and_by_everyone(console: Console) -> None:
    job, _ = await training(console.api)
    pictures, told = await image_set(console)
    await picture_arrives(console, told, 1)
    await console.api.record(told.item(2, "failed", via="poll", error=f"an error that is {'long ' * 40}{'x' * 90}"))
    page = await console.open(width=390, height=844, has_touch=True, is_mobile=True, reduced_motion="reduce")
    widths, serious = [], []
    for id, shown in ((job.id, ".provider"), (pictures.id, ".image img")):
        await page.goto(f"http://{console.host}/#/jobs/{id}")
        await expect(page.locator(shown).first).to_be_visible()
        widths.append(await page.evaluate("document.documentElement.scrollWidth"))
        await page.evaluate(AXE.read_text())
        report = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        serious += [item["id"] for item in report["violations"] if item["impact"] in ("serious", "critical")]
    assert (widths, serious) == ([390, 390], [])
