"""The page of one job: curves, log, files, and what can be done to it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from playwright.async_api import Locator, expect

from tests.browser.conftest import Console, becomes
from tests.fixtures.api import FIRST, Reports, eventually, now
from thornback.jobs.events import EventFactory
from thornback.jobs.state import JobState
from thornback.jobs.status import FailureReason

ABSENT = "\N{EN DASH}"
INKED_PIXELS = """(canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let inked = 0;
  for (let i = 3; i < data.length; i += 4) if (data[i] > 0) inked += 1;
  return inked;
}"""


async def running_job(console: Console, name: str = "radio baseline") -> tuple[JobState, Reports]:
    job = await console.api.create(name, epochs=10)
    run = Reports(job.id)
    await console.api.record(run.started())
    return job, run


async def at_end(log: Locator) -> bool:
    return bool(await log.evaluate("(log) => log.scrollHeight - log.scrollTop - log.clientHeight < 4"))


async def at_start(log: Locator) -> bool:
    return bool(await log.evaluate("(log) => log.scrollTop === 0"))


async def test_curves_grow_as_values_arrive(console: Console) -> None:
    job, run = await running_job(console)
    page = await console.open(f"#/jobs/{job.id}")
    await expect(page.get_by_text("Curves start with the first report.")).to_be_visible()

    await console.api.record(*(run.epoch(number) for number in range(1, 5)))
    loss = page.locator(".chart", has_text="Loss").first
    await expect(loss.get_by_role("img")).to_have_attribute("aria-label", "Loss. Newest: train 0.25, val 0.375.")
    await expect(loss.locator("canvas")).to_be_visible()

    async def is_drawn() -> bool:
        return bool(await loss.locator("canvas").evaluate(INKED_PIXELS) > 1000)

    await becomes(is_drawn, True)

    await page.get_by_text("Values as a table").click()
    await expect(page.locator(".table tbody tr")).to_have_count(4)
    await console.api.record(run.epoch(5, train_loss=0.2, val_loss=0.3, val_accuracy=0.5, macro_f1=0.25))
    await expect(page.locator(".table tbody tr")).to_have_count(5)
    await expect(page.locator(".table tbody th")).to_have_text(["5", "4", "3", "2", "1"])
    await expect(loss.locator(".legend")).to_contain_text("val 0.3")
    await expect(page.locator(".chart", has_text="Accuracy").locator(".legend")).to_contain_text("macro F1 25.0 %")
    assert await page.evaluate("window.sameDocument") is True


async def test_a_value_that_is_no_number_is_a_gap(console: Console) -> None:
    job, run = await running_job(console)
    await console.api.record(run.epoch(1), run.epoch(2), run.epoch(4))
    diverged = EventFactory(job.id).metrics(
        epoch=3, batch=None, phase="val", values={"train_loss": 0.3, "val_loss": None}, at=now()
    )
    await console.api.record(diverged)
    page = await console.open(f"#/jobs/{job.id}")
    await page.get_by_text("Values as a table").click()
    third = page.locator(".table tbody tr", has=page.get_by_role("rowheader", name="3", exact=True))
    await expect(third.locator("td").nth(0)).to_have_text("0.3")
    await expect(third.locator("td").nth(1)).to_have_text(ABSENT)


async def test_a_young_run_shows_its_steps(console: Console) -> None:
    job, run = await running_job(console)
    steps = [run.step(1, batch, train_loss=2.0 - batch / 100) for batch in range(1, 41)]
    await console.api.record(*steps)
    page = await console.open(f"#/jobs/{job.id}")
    await expect(page.get_by_role("button", name="Steps")).to_have_attribute("aria-pressed", "true")
    legend = page.locator(".chart .legend").first
    await expect(legend).to_contain_text("train 1.6")
    await console.api.record(run.step(1, 41, train_loss=1.25))
    await expect(legend).to_contain_text("train 1.25")


async def test_the_log_follows_until_the_reader_scrolls_away(console: Console) -> None:
    job, run = await running_job(console)
    await console.api.record(run.log(*(f"line {number}" for number in range(200))))
    page = await console.open(f"#/jobs/{job.id}")
    log = page.get_by_role("log")
    await expect(log).to_contain_text("line 199")
    await eventually(lambda: at_end(log))

    await console.api.record(run.log("\x1b[31mred\x1b[0m", "10%\r20%\rdone"))
    await expect(log.locator(".log-text").last).to_have_text("done")
    await expect(log.locator(".log-text").nth(-2)).to_have_text("red")
    await eventually(lambda: at_end(log))

    await log.focus()
    await page.keyboard.press("Home")
    jump = page.get_by_role("button", name=re.compile("Jump to the newest"))
    await expect(jump).to_be_visible()
    await eventually(lambda: at_start(log))
    await console.api.record(run.log("printed meanwhile"))
    await expect(page.locator(".log-panel")).to_contain_text("203 lines")
    assert await at_start(log)

    await jump.click()
    await eventually(lambda: at_end(log))
    await expect(jump).to_have_count(0)


async def test_any_part_of_a_long_log_is_shown_and_found(console: Console) -> None:
    job, run = await running_job(console)
    rows = [[f"line {25 * chunk + line}" for line in range(25)] for chunk in range(4000)]
    await console.api.record(*(run.log(*lines, rank=n % 2) for n, lines in enumerate(rows[:2000])))
    await console.api.record(*(run.log(*lines, rank=n % 2) for n, lines in enumerate(rows[2000:])))
    page = await console.open(f"#/jobs/{job.id}")
    panel, log = page.locator(".log-panel"), page.get_by_role("log")
    await expect(panel).to_contain_text("100,000 lines")
    await expect(log.locator(".log-text").last).to_have_text("line 99999")
    assert await page.locator(".log-row").count() < 150
    await log.evaluate("(log) => { log.scrollTop = 20 * 50_000; }")
    await expect(log.get_by_text("line 50000", exact=True)).to_be_visible()
    await console.api.record(run.log("line 100000"))
    await expect(panel).to_contain_text("100,001 lines")
    await expect(log.get_by_text("line 50000", exact=True)).to_be_visible()  # stays where the reader is

    await panel.get_by_role("button", name="Search the log").click()
    await panel.get_by_role("searchbox").fill("LINE 777")
    await expect(panel.get_by_role("status")).to_have_text("111 of 111")
    await expect(log.locator(".log-current")).to_contain_text("line 77799")
    await page.keyboard.press("Enter")
    await expect(panel.get_by_role("status")).to_have_text("1 of 111")
    await expect(log.locator(".log-current .log-text")).to_have_text("line 777")
    await panel.get_by_role("button", name="Regular expression").click()
    await panel.get_by_role("searchbox").fill("^line 1.?.?000$")
    await expect(panel.get_by_role("status")).to_have_text("12 of 12")
    await panel.get_by_role("searchbox").fill("(")
    await expect(panel.get_by_role("status")).to_contain_text("Invalid regular expression")
    await panel.get_by_role("searchbox").fill("")

    await panel.get_by_role("combobox", name="Lines of").select_option("rank 1")
    await expect(panel).to_contain_text("50,000 lines")
    await panel.get_by_role("checkbox", name="Wrap lines").check()
    await expect(log.locator(".log-text").last).to_have_text("line 99999")
    await expect(log.locator(".log-text").last).to_be_in_viewport()


async def test_cancel_asks_first_and_then_shows_the_way_to_the_end(console: Console) -> None:
    job, run = await running_job(console)
    page = await console.open(f"#/jobs/{job.id}")
    await page.get_by_role("button", name="Cancel job").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("radio baseline")
    await page.keyboard.press("Escape")
    # The element, not the role: a closed dialog has none, a moment before it is taken away.
    await expect(page.locator("dialog")).to_have_count(0)
    await expect(page.get_by_role("button", name="Cancel job")).to_be_focused()
    assert (await console.api.recorder.job(job.id)).cancel_requested is False

    await page.keyboard.press("Enter")
    await dialog.get_by_role("button", name="Cancel job").click()
    await expect(dialog).to_have_count(0)
    await expect(page.locator(".job-title .status")).to_have_text("Cancelling")
    await expect(page.get_by_role("button", name="Cancelling")).to_be_disabled()
    assert (await console.api.recorder.job(job.id)).cancel_requested is True

    await console.api.record(run.cancelled())
    await expect(page.locator(".job-title .status")).to_have_text("Cancelled")
    await page.get_by_role("button", name="Retry").click()
    await expect(page.get_by_role("link", name=re.compile("Retry of"))).to_be_visible()
    await expect(page.locator(".job-title .status")).to_have_text("Queued")
    assert job.id not in page.url


async def test_delete_ends_on_a_page_that_says_so(console: Console) -> None:
    job, run = await running_job(console)
    await console.api.record(run.succeeded())
    page = await console.open(f"#/jobs/{job.id}")
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()

    async def is_asked() -> bool:
        return (await console.api.recorder.job(job.id)).delete_requested

    await eventually(is_asked)
    await console.api.recorder.delete(job.id)  # as the dispatcher does once the files are gone
    await expect(page.get_by_role("heading", name="This job has been deleted")).to_be_visible()


async def test_a_failure_shows_its_reason(console: Console) -> None:
    job, _ = await running_job(console)
    page = await console.open(f"#/jobs/{job.id}")
    message = "CUDA out of memory. Tried to allocate 2.00 GB"
    await console.api.record(
        EventFactory(job.id).failed(FIRST, reason=FailureReason.OUT_OF_MEMORY, message=message, at=now())
    )
    await expect(page.get_by_role("heading", name="Out of memory")).to_be_visible()
    await expect(page.locator(".callout pre")).to_have_text(message)


async def test_artifacts_appear_and_are_downloaded(console: Console, tmp_path: Path) -> None:
    job, run = await running_job(console)
    page = await console.open(f"#/jobs/{job.id}")
    await expect(page.get_by_text("Files appear here as the run produces them.")).to_be_visible()
    content = json.dumps({"accuracy": 0.9})
    folder = Path(console.api.settings.run_uri(job.id))
    folder.mkdir(parents=True)  # noqa: ASYNC240 - a few bytes
    (folder / "report.json").write_text(content)
    await console.api.record(
        run.artifact("report.json", f"{folder}/report.json", type="report", size_bytes=len(content))
    )
    link = page.get_by_role("link", name="Download report.json")
    async with page.expect_download() as download:
        await link.click()
    assert (await (await download.value).path()).read_text() == content


async def test_facts_and_configuration(console: Console) -> None:
    job, _ = await running_job(console)
    facts = {"class_names": ["CW", "AM"], "confusion_matrix": [[8, 2], [0, 10]], "dropped_low_snr": 214}
    page = await console.open(f"#/jobs/{job.id}")
    await console.api.record(EventFactory(job.id).described(FIRST, facts, seq=1, at=now()))
    matrix = page.get_by_role("region", name="Confusion matrix").locator("table")
    await expect(matrix.get_by_role("row", name=re.compile("^CW"))).to_contain_text("82")
    await expect(page.get_by_role("definition").filter(has_text=re.compile("^214$"))).to_be_visible()
    await expect(page.get_by_role("region", name="Configuration")).to_contain_text("learning_rate0.001")


async def test_a_job_that_does_not_exist(console: Console) -> None:
    console.allow("404|422")
    page = await console.open("#/jobs/01935c1e-6f4a-7c3e-9b1d-2f6a8c0d4e11")
    await expect(page.get_by_role("heading", name="There is no such job")).to_be_visible()
    await page.get_by_role("link", name="All jobs").click()
    await expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()
    await page.goto(f"http://{console.host}/#/jobs/not-an-id")
    await expect(page.get_by_role("heading", name="There is no such job")).to_be_visible()
    await page.goto(f"http://{console.host}/#/somewhere/else/%")
    await expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
