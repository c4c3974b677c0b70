"""What happens to the page when the server goes away, and when there is much to show."""

from __future__ import annotations

import asyncio
import time

from playwright.async_api import Page, expect

from tests.browser.conftest import Console, becomes
from tests.fixtures.api import FIRST, Reports, eventually, now
from thornback.jobs.events import EventFactory

POINTS = 10_000
PER_EPOCH = 500

# Frames that the page draws within a second, and the longest gap between two of them, in ms.
FRAMES = """() => new Promise((resolve) => {
  const begun = performance.now();
  let last = begun, longest = 0, frames = 0;
  requestAnimationFrame(function frame(at) {
    frames += 1;
    longest = Math.max(longest, at - last);
    last = at;
    if (at - begun < 1000) requestAnimationFrame(frame);
    else resolve({ frames, longest });
  });
})"""


async def lines_of(page: Page) -> list[str]:
    texts = await page.locator(".log-text").all_text_contents()
    return "\n".join(texts).split("\n") if texts else []


async def test_a_restarted_server_is_noticed_and_nothing_is_missed_or_doubled(console: Console) -> None:
    console.allow("net::ERR_|Failed to load resource")  # what the browser itself says of a server that is away
    job = await console.api.create("radio baseline", epochs=40)
    run = Reports(job.id)
    await console.api.record(run.started(), run.epoch(1), run.log("line 1"), run.progress(2.5))
    page = await console.open(f"#/jobs/{job.id}")
    await page.get_by_text("Values as a table").click()
    await expect(page.locator(".table tbody tr")).to_have_count(1)
    await expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()

    for outage in range(3):
        await console.stop()
        banner = page.get_by_role("alert")
        await expect(banner).to_contain_text("Connection lost")
        first = 2 + 10 * outage
        for number in range(first, first + 10):
            await console.api.record(run.epoch(number), run.log(f"line {number}"), run.progress(2.5 * number))
        await console.serve()
        await page.get_by_role("button", name="Try now").click()
        await expect(banner).to_have_count(0)
        await console.api.record(run.progress(2.5 * (first + 9) + 0.5, epoch=first + 9, of=40))
        await expect(page.locator(".job-progress-line")).to_contain_text(f"Epoch {first + 9} of 40")

    await page.get_by_role("button", name="more epochs").click()
    await expect(page.locator(".table tbody th")).to_have_text([str(number) for number in range(31, 0, -1)])
    await becomes(lambda: lines_of(page), [f"line {number}" for number in range(1, 32)])
    assert await page.evaluate("window.sameDocument") is True


async def test_it_comes_back_by_itself_on_the_list(console: Console) -> None:
    console.allow("net::ERR_|Failed to load resource")
    job = await console.api.create("before")
    page = await console.open()
    await expect(page.locator(".job-row")).to_have_count(1)
    await console.stop()
    await expect(page.get_by_role("alert")).to_contain_text("Next attempt in")
    await console.api.create("meanwhile")
    await console.api.record(Reports(job.id).started())
    await console.serve()
    await expect(page.get_by_role("alert")).to_have_count(0)
    await expect(page.locator(".job-name")).to_have_text(["meanwhile", "before"])
    await expect(page.locator(".job-row", has_text="before").locator(".status")).to_have_text("Running")


async def test_another_database_behind_the_address_is_read_anew(console: Console) -> None:
    """A cursor that the server does not know: all that the page holds is replaced."""
    job = await console.api.create("kept")
    await console.api.record(Reports(job.id).started())  # a waiting job is read again every few seconds anyway
    page = await console.open()
    await expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    reset = 'event: reset\\ndata: {\\"last_event_id\\": 1}\\n\\n'
    await page.evaluate(
        f"""() => {{
          const stream = new ReadableStream({{
            start(controller) {{ controller.enqueue(new TextEncoder().encode("{reset}")); }},
          }});
          const real = window.fetch;
          window.fetch = (url, options) => {{
            if (!String(url).includes("/events")) return real(url, options);
            window.fetch = real;
            return Promise.resolve(new Response(stream));
          }};
        }}"""
    )
    await page.locator(".job-name").click()  # asks the stream for log lines as well, so it connects again
    await expect(page.locator("h1")).to_have_text("kept")

    async def is_read_again() -> bool:
        return sum(url.endswith(f"/jobs/{job.id}") for url in asked) >= 2

    await eventually(is_read_again)


async def test_ten_thousand_points(console: Console) -> None:
    job = await console.api.create("long run", epochs=20)
    run = Reports(job.id)
    await console.api.record(run.started())
    for epoch in range(1, POINTS // PER_EPOCH + 1):
        values = {"gradient_norm": 1.0, "learning_rate": 0.001}
        steps = [
            run.step(epoch, batch, train_loss=1 / (epoch + batch / PER_EPOCH), **values)
            for batch in range(1, PER_EPOCH + 1)
        ]
        await console.api.record(*steps, run.epoch(epoch))
    page = await console.open(f"#/jobs/{job.id}")
    legend = page.locator(".chart .legend").first
    await expect(legend).to_contain_text("train 0.05")
    begun = time.perf_counter()
    await page.get_by_role("button", name="Steps").click()
    await expect(legend).to_contain_text("train 0.04762")  # 1 / 21: the last step
    assert time.perf_counter() - begun < 10

    for number in range(5):
        await console.api.record(run.step(21, number + 1, train_loss=0.01 * (number + 1)))
    await expect(legend).to_contain_text("train 0.05")
    # The page stays usable: nothing holds it for long while points keep coming.
    frames = await page.evaluate(FRAMES)
    assert frames["longest"] < 1000, frames


async def test_a_flood_of_lines_is_shown_in_order(console: Console) -> None:
    job = await console.api.create("chatty")
    page = await console.open(f"#/jobs/{job.id}")
    factory = EventFactory(job.id)
    for seq in range(50):
        if seq == 1:
            # A page that begins after the flood shows no more than the last lines.
            await expect(page.locator(".log-panel")).to_contain_text("100 lines")
        lines = [f"line {100 * seq + number}" for number in range(100)]
        await console.api.record(factory.log(FIRST, rank=seq % 2, seq=seq, lines=lines, at=now()))
    await expect(page.locator(".log-panel")).to_contain_text("5,000 lines")
    # From the end to the beginning, a screen at a time: only the lines in sight are in the page.
    log = page.get_by_role("log")
    for last in (4999, 3000, 1234, 40):
        await log.evaluate("(log, line) => { log.scrollTop = 20 * (line + 1) - log.clientHeight; }", last)
        await expect(log.get_by_text(f"line {last}", exact=True)).to_be_in_viewport()
        numbers = [int(line.removeprefix("line ")) for line in await lines_of(page)]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    await expect(page.locator(".log-rank").first).to_have_text("rank 0")


async def test_a_job_that_reports_all_the_time_opens(console: Console) -> None:
    """The stream is then always further on than the answers of the API."""
    job = await console.api.create("restless", epochs=10)
    run = Reports(job.id)
    await console.api.record(run.started())

    async def report() -> None:
        for number in range(10_000):
            await console.api.record(run.step(1, number, train_loss=1.0), run.progress(number / 200, of=10))

    reporting = asyncio.create_task(report())
    try:
        page = await console.open()
        for _ in range(5):
            await page.locator(".job-name").click()
            await expect(page.locator("h1")).to_have_text("restless")
            await expect(page.get_by_role("region", name="Configuration")).to_be_visible()
            await page.get_by_role("link", name="All jobs").click()
            await expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()
    finally:
        reporting.cancel()
        await asyncio.gather(reporting, return_exceptions=True)
