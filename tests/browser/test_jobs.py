"""The list of jobs: live, filtered, paged, and honest about why something waits."""

from __future__ import annotations

import asyncio
import re
import shutil
import uuid

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Console, becomes
from tests.fixtures.api import FIRST, Reports, now
from thornback.jobs.events import EventFactory
from thornback.jobs.status import FailureReason
from thornback.metrics.port import NewJob, QueuePlace

HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>&lt;b&gt;'


async def same_document(page: Page) -> bool:
    """True where the page has not been loaded again since it was opened."""
    return bool(await page.evaluate("window.sameDocument === true"))


async def test_the_command_of_the_empty_page_works_as_it_stands(console: Console) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    page = await console.open()
    command = await page.locator(".command code").inner_text()

    process = await asyncio.create_subprocess_shell(
        f"{command} --fail --silent", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, (out, err)

    await expect(page.locator(".job-row")).to_have_count(1)
    await expect(page.get_by_role("link", name="My first run")).to_be_visible()
    assert await same_document(page)


async def test_a_job_appears_and_moves_by_itself(console: Console) -> None:
    page = await console.open()
    await expect(page.get_by_text("No jobs yet")).to_be_visible()

    job = await console.api.create("radio baseline", epochs=10)
    card = page.locator(".job-row", has_text="radio baseline")
    await expect(card.locator(".status")).to_have_text("Queued")

    run = Reports(job.id)
    stage = EventFactory(job.id).stage(FIRST, index=0, name="training", at=now())
    await console.api.record(run.started(), stage, run.progress(20.0, epoch=2, eta_s=95.0))
    await expect(card.locator(".status")).to_have_text("Running")
    await expect(card.locator("progress")).to_have_attribute("value", "20")
    await expect(card.locator(".job-progress-text")).to_contain_text("20 %")
    await expect(card.locator(".job-progress-text")).to_contain_text("training")
    await expect(card.locator(".job-progress-text")).to_contain_text("about 1 min")

    await console.api.record(*(run.epoch(number) for number in (1, 2)))
    await expect(card.locator(".line-val_loss")).to_have_attribute("d", re.compile(r"^M0\.0 \S+L96\.0 \S+$"))
    await console.api.record(run.epoch(3))
    await expect(card.locator(".line-val_loss")).to_have_attribute("d", re.compile(r"^M0\.0 \S+L48\.0 \S+L96\.0 \S+$"))
    await expect(card.locator("dd").last).to_have_text("0.5")

    await console.api.record(run.succeeded())
    await expect(card.locator(".status")).to_have_text("Completed")
    await expect(card.locator(".job-progress-text")).to_contain_text("100 %")

    await console.api.recorder.delete(job.id)
    await expect(card).to_have_count(0)
    assert await same_document(page)


async def test_a_waiting_job_says_its_place_and_why(console: Console) -> None:
    job = await console.api.create("needs eight")
    other = await console.api.create("after that")
    await console.api.record(EventFactory(job.id).pending(FIRST, reason="needs 8 GPU", at=now()))
    await console.api.recorder.set_queue(
        {job.id: QueuePlace(position=1, reason="needs 8 GPU, 2 are free"), other.id: QueuePlace(position=2)}
    )
    page = await console.open()
    first = page.locator(".job-row", has_text="needs eight")
    await expect(first.locator(".status")).to_have_text("Pending")
    await expect(first).to_contain_text("Next in the queue · needs 8 GPU, 2 are free")
    await expect(page.locator(".job-row", has_text="after that")).to_contain_text("No. 2 in the queue")


async def test_filter_and_search_stand_in_the_address(console: Console) -> None:
    running = await console.api.create("Whale calls")
    await console.api.create("whale songs")
    await console.api.create("bird songs")
    await console.api.record(Reports(running.id).started())
    page = await console.open()
    await expect(page.locator(".job-row")).to_have_count(3)

    await page.get_by_role("searchbox").fill("WHALE")
    await expect(page.locator(".job-row")).to_have_count(2)
    await page.get_by_role("button", name="Running").click()
    await expect(page.locator(".job-row")).to_have_count(1)
    await expect(page).to_have_url(re.compile(r"#/\?status=running&name=WHALE$"))

    await page.reload()
    await expect(page.get_by_role("searchbox")).to_have_value("WHALE")
    await expect(page.get_by_role("button", name="Running")).to_have_attribute("aria-pressed", "true")
    await expect(page.locator(".job-name")).to_have_text("Whale calls")

    await console.api.record(Reports(running.id).succeeded())
    await expect(page.get_by_text("No job matches")).to_be_visible()
    await page.get_by_role("link", name="Show all jobs").click()
    await expect(page.locator(".job-row")).to_have_count(3)


SCREEN_IS_FULL = """() => {
  const list = document.querySelector(".jobs ul");
  const rows = [...list.querySelectorAll(".job-row")].map((row) => row.getBoundingClientRect());
  const { paddingTop, paddingBottom } = getComputedStyle(list);
  return (paddingTop === "0px" || rows[0].top <= 0) && (paddingBottom === "0px" || rows.at(-1).bottom >= innerHeight);
}"""


async def names_of_all_rows(page: Page) -> list[str]:
    """From the top to the end, a screen at a time: only the rows in sight are in the page."""
    await page.evaluate("scrollTo(0, 0)")
    names: dict[str, None] = {}
    while True:
        await page.wait_for_function(SCREEN_IS_FULL)
        names |= dict.fromkeys(await page.locator(".job-name").all_text_contents())
        if await page.evaluate("scrollY + innerHeight >= document.documentElement.scrollHeight - 1"):
            return list(names)
        await page.evaluate("scrollBy(0, innerHeight * 0.8)")


async def test_pages_follow_as_one_scrolls_and_new_jobs_do_not_shift_them(console: Console) -> None:
    names = [f"job {number:03d}" for number in range(320)]
    for name in names:
        await console.api.create(name)
    page = await console.open()
    await expect(page.locator(".list-foot")).to_contain_text("30 of 320 jobs")
    assert await page.locator(".job-row").count() < 50

    to_the_end = "scrollTo(0, document.documentElement.scrollHeight)"
    await page.evaluate(to_the_end)  # the button there is pressed by itself
    await expect(page.locator(".list-foot")).not_to_contain_text(re.compile(r"^30 of"))
    await console.api.create("a late one")
    await expect(page.locator(".list-foot .num")).to_have_text(re.compile("321 jobs$"))
    await page.evaluate(to_the_end)
    await expect(page.locator(".list-foot .num")).to_have_text("321 jobs")
    await becomes(lambda: names_of_all_rows(page), ["a late one", *reversed(names)])
    assert await page.locator(".job-row").count() < 50


async def test_many_jobs_are_selected_with_the_keyboard_and_cancelled_at_once(console: Console) -> None:
    jobs = [await console.api.create(name) for name in ("over", "mine", "other", "last")]
    await console.api.record(Reports(jobs[0].id).succeeded())
    page = await console.open()
    await expect(page.locator(".job-row")).to_have_count(4)
    for key in ("/", "Tab", "Tab", "Tab", "j", "x", "j", "j", "j", "x", "k", "x"):
        await page.keyboard.press(key)
    await expect(page.get_by_role("link", name="mine")).to_be_focused()
    bar = page.get_by_role("region", name="What to do with the selected jobs")
    await expect(bar.get_by_role("status")).to_have_text("3 selected")
    await expect(bar.get_by_role("link", name="Compare")).to_have_attribute("href", re.compile("#/compare.ids=.*,.*,"))
    await page.get_by_role("checkbox", name="Select mine").click()
    await expect(bar.get_by_role("status")).to_have_text("2 selected")

    await bar.get_by_role("button", name="Cancel").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel the jobs").click()
    await expect(bar).to_contain_text("1 job is asked to end.")
    await expect(bar).to_contain_text("over: job")
    await expect(bar).to_contain_text("is completed and cannot be cancelled")
    await expect(page.locator(".job-row", has_text="other").locator(".status")).to_have_text("Cancelling")
    states = [await console.api.recorder.job(job.id) for job in jobs]
    assert [state.cancel_requested for state in states] == [False, False, True, False]

    await page.get_by_role("checkbox", name="Select last").click()
    await page.get_by_role("checkbox", name="Select over").click(modifiers=["Shift"])
    await expect(bar.get_by_role("status").last).to_have_text("4 selected")
    await page.keyboard.press("Escape")
    await expect(bar.get_by_role("button", name="Select none")).to_have_count(0)


async def test_parts_stand_folded_under_their_job(console: Console) -> None:
    whole = await console.api.create("sweep")
    spec = dict(whole.spec) | {"job_name": "part of it", "tags": {"team": "audio"}}
    for _ in range(3):
        part = NewJob(job_id=str(uuid.uuid4()), spec=spec, user="ada", at=now(), parent_id=whole.id)
        await console.api.recorder.create(part)
    page = await console.open()
    await expect(page.locator(".job-row")).to_have_count(1)
    await page.get_by_role("button", name="Show the 3 parts of sweep").click()
    await expect(page.locator(".job-row-part")).to_have_count(3)
    await expect(page.get_by_role("link", name="Compare all")).to_have_attribute("href", f"#/compare?parent={whole.id}")
    await page.get_by_role("button", name="Hide the parts of sweep").click()
    await expect(page.locator(".job-row")).to_have_count(1)

    # Whoever looks for something finds parts too.
    await page.get_by_text("Filters", exact=True).click()
    await page.get_by_label("Tag").fill("team=audio")
    await expect(page.locator(".job-row")).to_have_count(3)
    await page.get_by_role("combobox", name="Runs on").select_option("fal")
    await expect(page.get_by_text("No job matches")).to_be_visible()
    await expect(page).to_have_url(re.compile(r"#/\?backend=fal&tag=team%3Daudio$"))
    await page.get_by_role("combobox", name="Runs on").select_option("")
    await expect(page.locator(".job-cell-cost")).not_to_have_count(0)
    await page.get_by_role("checkbox", name="Cost").click()
    await expect(page.locator(".job-cell-cost")).to_have_count(0)
    await page.reload()
    await expect(page.locator(".job-row")).to_have_count(3)
    await expect(page.locator(".job-cell-cost")).to_have_count(0)


async def test_hostile_text_stays_text(console: Console) -> None:
    job = await console.api.create(HOSTILE)
    run = Reports(job.id)
    failed = EventFactory(job.id).failed(FIRST, reason=FailureReason.EXCEPTION, message=HOSTILE, at=now())
    facts = EventFactory(job.id).described(FIRST, {HOSTILE: HOSTILE, "class_names": [HOSTILE]}, seq=1, at=now())
    stage = EventFactory(job.id).stage(FIRST, index=0, name=HOSTILE, at=now())
    link = run.artifact(HOSTILE, f"javascript:alert(1)//{HOSTILE}")
    await console.api.record(run.started(), stage, facts, run.epoch(1), run.log(HOSTILE), link, failed)

    page = await console.open()
    await expect(page.locator(".job-name")).to_have_text(HOSTILE)
    await expect(page.locator(".job-failure")).to_have_text(HOSTILE)
    await page.locator(".job-name").click()
    await expect(page.locator("h1")).to_have_text(HOSTILE)
    await expect(page.locator(".callout pre")).to_have_text(HOSTILE)
    await expect(page.locator(".log-text")).to_have_text(HOSTILE)
    await expect(page.locator(".artifact a")).to_have_text(HOSTILE)
    await expect(page.locator(".artifact a")).to_have_attribute("href", re.compile(r"^/api/v1/training/jobs/"))
    await expect(page.locator(".pairs dt", has_text="<img")).to_have_text(HOSTILE)

    assert await page.evaluate("window.hacked") is None
    assert await page.locator("#app img:not(.brand img), #app script").count() == 0
