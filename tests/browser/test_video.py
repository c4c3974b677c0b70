"""A job from a video: its steps, its frames, their review with others at work, its training and its version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import Console, becomes
from tests.browser.test_admin import fair
from tests.browser.test_looks import AXE
from tests.browser.video_jobs import folder_of, pipeline, stage, with_training, with_version, write_dataset
from tests.fixtures.api import FIRST, Reports, eventually, now
from thornback.datasets.frame_set import FrameEdit, FrameRecord
from thornback.jobs.events import EventFactory
from thornback.jobs.state import JobState
from thornback.jobs.status import FailureReason
from thornback.jobs.video_stages import VideoStage


async def in_review(console: Console, tmp_path: Path, count: int = 12) -> JobState:
    job = await pipeline(console.api)
    write_dataset(console.api, job, tmp_path / "frames", count)
    return job


def option(page: Page, number: int) -> Locator:
    return page.locator(f".frame[data-id='{number:04d}']")


def stored(console: Console, job: JobState, number: int) -> FrameRecord:
    frame = folder_of(console.api, job).read().frame(f"{number:04d}")
    assert frame
    return frame


async def states(page: Page) -> list[str]:
    return [
        (await step.get_attribute("class") or "").removeprefix("step step-")
        for step in await page.locator(".step").all()
    ]


async def test_the_steps_move_with_the_job(console: Console) -> None:
    job = await pipeline(console.api, VideoStage.FETCH, review=False)
    page = await console.open(f"#/jobs/{job.id}")
    await expect(page.locator(".step")).to_have_count(8)  # no review in it
    await expect(page.locator(".frames")).to_contain_text("appear here as soon as")
    await becomes(lambda: states(page), ["now", *["todo"] * 7])
    await console.api.record(stage(job, VideoStage.FRAMES), Reports(job.id).progress(27.5, epoch=0, of=0))
    await expect(page.locator(".step-now")).to_contain_text("Choose frames")
    await becomes(lambda: states(page), ["done", "done", "now", *["todo"] * 5])
    done = await page.locator(".step-now .step-bar").evaluate("bar => bar.style.getPropertyValue('--done')")
    assert done == "50%"
    await console.api.record(Reports(job.id).cancelled())
    await expect(page.locator(".step-cancelled")).to_contain_text("Choose frames")


async def test_frames_are_filtered_and_looked_at(console: Console, tmp_path: Path) -> None:
    job = await pipeline(console.api, VideoStage.TRAIN)
    write_dataset(console.api, job, tmp_path / "frames", for_review=False)
    page = await console.open(f"#/jobs/{job.id}")
    await expect(page.locator(".frame")).to_have_count(12)
    await expect(page.locator(".frame img").first).to_have_js_property("naturalWidth", 320)
    await page.get_by_role("button", name="Dropped 4").click()
    await expect(page.locator(".frame")).to_have_count(4)
    await page.get_by_label("Why they were dropped").select_option("blurred")
    await expect(page.locator(".frame")).to_have_count(2)
    await option(page, 2).click()
    inspector = page.get_by_role("complementary", name="Frame 0002")
    await expect(inspector).to_contain_text("dropped: blurred")
    await expect(inspector).to_contain_text("sharpness 4.1; the others have 12.5 or more")
    await expect(inspector).to_contain_text("scene 1")
    await expect(inspector.get_by_role("button", name="Restore")).to_have_count(0)  # no review
    await page.get_by_label("Why they were dropped").select_option("near_duplicate")
    await expect(page.get_by_role("complementary", name="Frame 0008")).to_be_visible()
    await page.get_by_role("button", name="Show frame 0000").click()
    await expect(page.get_by_role("complementary", name="Frame 0000")).to_contain_text("a photo of ohwx, number 0")
    await expect(page.locator(".frame")).to_have_count(12)


async def test_a_review_by_keyboard(console: Console, tmp_path: Path) -> None:
    job = await in_review(console, tmp_path)
    page = await console.open(f"#/jobs/{job.id}")
    await expect(page.get_by_role("heading", name="Look at the frames, then let it train")).to_be_visible()
    await option(page, 0).focus()
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowRight")
    await expect(option(page, 1)).to_be_focused()  # the first press chose the first one
    await page.keyboard.press(" ")
    await expect(option(page, 1)).to_have_class("frame frame-dropped")
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press(" ")
    await expect(option(page, 2)).to_have_class("frame frame-kept")
    await expect(page.get_by_role("status").filter(has_text="Everything is saved.")).to_be_visible()
    assert not stored(console, job, 1).kept
    assert stored(console, job, 2).caption == "a photo of ohwx"  # the template's

    await page.keyboard.press("Enter")
    caption = page.get_by_label("Caption")
    await expect(caption).to_be_focused()
    await caption.fill("[trigger] <b>in</b> the snow")
    await page.keyboard.press("Enter")
    await expect(option(page, 2)).to_be_focused()
    await expect(caption).to_have_value("ohwx <b>in</b> the snow")  # as the server made it
    await page.keyboard.press("Enter")
    await caption.fill("never mind")
    await page.keyboard.press("Escape")
    await expect(option(page, 2)).to_be_focused()
    assert stored(console, job, 2).caption == "ohwx <b>in</b> the snow"

    for _ in range(3):
        await page.keyboard.press("Control+z")
    await expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    await expect(option(page, 1)).to_have_class("frame frame-kept")
    await expect(page.get_by_role("status").filter(has_text="Saving")).to_have_count(0)
    await eventually(lambda: stored(console, job, 1).kept and not stored(console, job, 2).kept)

    await page.get_by_role("button", name="Approve and train").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("Train on 8 frames?")
    await dialog.get_by_role("button", name="Approve and train").click()
    await expect(page.get_by_text("Approved. The training begins.")).to_be_visible()
    assert "approve" in (await console.api.recorder.job(job.id)).asked


async def test_with_a_filter_the_next_frame_takes_the_place_of_one_that_goes(console: Console, tmp_path: Path) -> None:
    job = await in_review(console, tmp_path)
    page = await console.open(f"#/jobs/{job.id}")
    await page.get_by_role("button", name="Kept 8").click()
    await option(page, 1).click()
    await option(page, 1).focus()
    await page.keyboard.press("Delete")
    await expect(option(page, 1)).to_have_count(0)
    await expect(option(page, 3)).to_be_focused()
    await page.keyboard.press("Delete")
    await expect(option(page, 4)).to_be_focused()
    await eventually(lambda: [stored(console, job, number).kept for number in (1, 3, 4)] == [False, False, True])


async def test_who_changes_the_same_dataset_is_told(console: Console, tmp_path: Path) -> None:
    console.allow("the server responded with a status of 409")
    job = await in_review(console, tmp_path)
    page = await console.open(f"#/jobs/{job.id}")
    await option(page, 0).click()
    folder = folder_of(console.api, job)
    folder.edit({"0003": FrameEdit(kept=False), "0000": FrameEdit(caption="ohwx of theirs")}, revision=1)
    await page.get_by_role("button", name="Drop", exact=True).click()
    alert = page.locator(".review-conflict")
    await expect(alert).to_contain_text("Somebody else changed this dataset meanwhile")
    await expect(alert.get_by_role("listitem")).to_have_text(["Frame 0000: drop"])
    await expect(option(page, 3)).to_have_class("frame frame-dropped")  # theirs
    await expect(option(page, 0)).to_have_class("frame frame-kept")
    await alert.get_by_role("button", name="Save mine as well").click()
    await expect(option(page, 0)).to_have_class("frame frame-dropped")
    await eventually(lambda: not stored(console, job, 0).kept)
    assert (stored(console, job, 0).caption, stored(console, job, 3).kept) == ("ohwx of theirs", False)

    folder.edit({"0004": FrameEdit(kept=False)}, revision=folder.read().revision)
    await option(page, 6).click()
    await page.get_by_role("button", name="Drop", exact=True).click()
    await alert.get_by_role("button", name="Let go of mine").click()
    await expect(option(page, 6)).to_have_class("frame frame-kept")
    await expect(option(page, 4)).to_have_class("frame frame-dropped")
    assert stored(console, job, 6).kept

    # And an approval of what is no longer so is none.
    folder.edit({"0004": FrameEdit(kept=True)}, revision=folder.read().revision)
    await page.get_by_role("button", name="Approve and train").click()
    await page.get_by_role("dialog").get_by_role("button", name="Approve and train").click()
    await expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("look at it again")
    assert (await console.api.recorder.job(job.id)).asked == {}


async def test_a_change_that_is_refused_says_why_and_one_that_cannot_be_sent_is_kept(
    console: Console, tmp_path: Path
) -> None:
    console.allow(r"the server responded with a status of 422|net::ERR_|Failed to load resource")
    job = await in_review(console, tmp_path, 3)
    page = await console.open(f"#/jobs/{job.id}")
    for number in (0, 1):
        await option(page, number).click()
        await page.get_by_role("button", name="Drop", exact=True).click()
    await expect(page.locator(".review")).to_contain_text("no frame would be left to train on")
    await expect(option(page, 1)).to_have_class("frame frame-kept")
    await console.stop()
    await page.get_by_label("Caption").fill("ohwx, held")
    await page.get_by_label("Caption").blur()
    await expect(page.locator(".review")).to_contain_text("cannot be reached")
    await console.serve()
    await eventually(lambda: stored(console, job, 1).caption == "ohwx, held")
    await expect(page.locator(".review .inline-error")).to_have_count(0)


async def test_the_training_and_the_version_show_by_themselves(console: Console, tmp_path: Path) -> None:
    job = await pipeline(console.api, VideoStage.STORE)
    write_dataset(console.api, job, tmp_path / "frames", for_review=False)
    page = await console.open(f"#/jobs/{job.id}")
    await expect(page.locator(".step-now")).to_contain_text("Store it")
    await expect(page.locator(".video-training")).to_have_count(0)
    run = await with_training(console.api, job)
    await expect(page.locator(".frame")).to_have_count(12)
    training = page.locator(".video-training")
    await expect(training.get_by_role("link", name="Open its page")).to_have_attribute("href", f"#/jobs/{run.job_id}")
    await console.api.record(*(run.step(1, step, train_loss=1 / step) for step in range(1, 40)), run.progress(40))
    await expect(training.locator(".chart canvas").first).to_be_visible()
    await expect(training.locator(".job-progress")).to_contain_text("40 %")
    await with_version(console.api, job)
    made = page.get_by_role("region", name="Version 1 of fox")
    await expect(page.locator(".step-done")).to_have_count(9)
    await made.get_by_role("link", name="Look at it").click()
    await expect(page.locator("h1")).to_have_text("fox")


async def test_a_thousand_frames(console: Console, tmp_path: Path) -> None:
    job = await pipeline(console.api)
    few = write_dataset(console.api, job, tmp_path / "frames", 12)
    frames = tuple(
        few.frames[number % 12].model_copy(update={"id": f"{number:04d}", "time_s": number * 0.5})
        for number in range(1000)
    )
    index = Path(folder_of(console.api, job).uri) / "dataset.json"
    index.write_text(few.model_copy(update={"frames": frames}).model_dump_json(), encoding="utf-8")
    for number in range(12, 1000):
        frame = frames[number]
        for folder in ("thumbnails", str(frame.stored)):
            place = index.parent / folder
            (place / frame.file).hardlink_to(place / few.frames[number % 12].file)
    page = await console.open(f"#/jobs/{job.id}")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/thumbnail" in request.url else None)
    await expect(page.get_by_role("button", name="All 1,000")).to_be_visible()
    drawn = await page.locator(".frame").count()
    assert (0 < drawn < 1000, len(asked) < 400) == (True, True)  # what is out of sight waits
    await option(page, 0).click()
    await option(page, 0).focus()
    await page.keyboard.press("End")
    await expect(option(page, 999)).to_be_focused()
    await expect(option(page, 999).locator("img")).to_have_js_property("naturalWidth", 320)
    await page.keyboard.press("Delete")
    await eventually(lambda: stored(console, job, 999).captioned_by == "template" or not stored(console, job, 999).kept)


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
async def test_jobs_from_videos_are_for_everyone(console: Console, tmp_path: Path, scheme: Any) -> None:
    job = await in_review(console, tmp_path)
    page = await console.open(f"#/jobs/{job.id}", color_scheme=scheme, reduced_motion="reduce")
    for width in (1280, 390):
        await page.set_viewport_size({"width": width, "height": 844})
        await option(page, 2).click()
        await expect(page.locator(".inspector img")).to_be_visible()
        await page.evaluate(AXE.read_text(encoding="utf-8"))
        found = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        serious = [item for item in found["violations"] if item["impact"] in ("serious", "critical")]
        assert [f"{item['id']}: {node['html']}" for item in serious for node in item["nodes"]] == []
        assert await page.evaluate("document.documentElement.scrollWidth") == width
        await page.get_by_role("button", name="Close").click()


@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        ("light", 390),
        pytest.param("dark", 1280, marks=pytest.mark.slow),
        pytest.param("dark", 390, marks=pytest.mark.slow),
        pytest.param("light", 1280, marks=pytest.mark.slow),
    ],
)
async def test_each_stage_is_for_everyone(console: Console, tmp_path: Path, scheme: Any, width: int) -> None:
    fetching = await pipeline(console.api, VideoStage.FETCH, review=False)
    trains = await pipeline(console.api, VideoStage.TRAIN)
    write_dataset(console.api, trains, tmp_path / "frames", for_review=False)
    run = await with_training(console.api, trains)
    steps = [run.step(1, step, train_loss=1 / step, learning_rate=1e-4) for step in range(1, 41)]
    await console.api.record(*steps, run.progress(40.0, epoch=0, of=0), run.log("step 40"))
    made = await pipeline(console.api, VideoStage.PUBLISH)
    write_dataset(console.api, made, tmp_path / "more", for_review=False)
    await with_version(console.api, made)
    failed = await pipeline(console.api, VideoStage.FRAMES)
    await console.api.record(
        EventFactory(failed.id).failed(FIRST, reason=FailureReason.INVALID_DATA, message="too dark " * 40, at=now())
    )
    page = await console.open(None, width=width, height=844, color_scheme=scheme, reduced_motion="reduce")
    signs = {
        fetching.id: ".frames",
        trains.id: ".video-training .chart canvas",
        made.id: ".callout-version",
        failed.id: ".failure, .callout",
    }
    wrong: dict[str, list[str]] = {}
    for id, sign in signs.items():
        await page.goto("about:blank")
        await page.goto(f"http://{console.host}/#/jobs/{id}")
        await expect(page.locator(sign).first).to_be_visible()
        await page.get_by_text("Progress over time").first.click()
        await expect(page.locator(".history canvas")).to_be_visible()
        await page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        await expect(page.get_by_role("log")).to_have_count(1)
        if found := await fair(page, width):
            wrong[sign] = found
    assert wrong == {}
