"""How far a job was over time: every point says whether it was reported, read from a log or estimated."""

from __future__ import annotations

from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import Console
from tests.browser.test_modules import ask
from tests.fixtures.api import Reports
from tests.fixtures.remote import training


def legend(page: Page) -> Locator:
    return page.locator(".history .legend")


async def test_past_points_are_marked_and_new_ones_live(console: Console) -> None:
    job, told = await training(console.api)
    await console.api.record(*(told.progress(float(percent), "estimated") for percent in range(1, 11)))
    page = await console.open(f"#/jobs/{job.id}")
    rows = page.locator(".history tbody tr")
    await expect(page.locator(".history canvas")).to_be_visible()
    await expect(rows).to_have_count(1)
    await expect(legend(page)).to_have_text("estimated 10.0 %")

    await console.api.record(told.progress(36.35, "parsed"), told.progress(40.6, "parsed"))
    await expect(rows).to_have_count(2)
    await expect(rows.first).to_contain_text("read from the log")
    await expect(rows.first).to_contain_text("36.4 % to 40.6 %")
    await expect(legend(page)).to_have_text("read from the log 40.6 %estimated 10.0 %")

    # Under the pointer stands what was known then, and of whom.
    plot = page.locator(".history .u-over")
    box = await plot.bounding_box()
    assert box is not None
    await plot.hover(position={"x": 1, "y": box["height"] / 2})
    await expect(legend(page)).to_contain_text("read from the log \N{EN DASH}")

    await console.api.record(told.succeeded())
    await expect(rows.first).to_contain_text("reported")
    await page.reload()
    await expect(rows).to_have_count(3)
    await expect(rows.first.locator("td").last).to_have_text("100.0 %")


async def test_of_an_own_run_it_is_fetched_once_it_is_wanted(console: Console) -> None:
    job = await console.api.create("radio", epochs=10)
    run = Reports(job.id)
    await console.api.record(run.started(), run.progress(10.0), run.progress(20.0))
    page = await console.open(None)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/progress") else None)
    await page.goto(f"http://{console.host}/#/jobs/{job.id}")
    await expect(page.locator(".job-progress")).to_contain_text("20 %")
    assert asked == []
    await page.get_by_text("Progress over time").click()
    await expect(page.locator(".history tbody")).to_contain_text("reported")
    await expect(legend(page)).to_have_text("reported 20.0 %")


async def test_few_points_are_held_of_many(console: Console) -> None:
    page = await console.open()
    held, turns, last, flips = await ask(
        page,
        "progresspoints.js",
        """
        const one = new m.ProgressPoints();
        const add = (points, event_id, origin) => {
          const timestamp = new Date(event_id * 1000).toISOString();
          points.add({ event_id, timestamp, percent: event_id / 300, origin, attempt: 1 });
        };
        for (let i = 1; i <= 30000; i += 1) add(one, i, i <= 700 ? "estimated" : "parsed");
        const other = new m.ProgressPoints();
        for (let i = 1; i <= 9000; i += 1) add(other, i, i % 2 ? "estimated" : "parsed");
        const runs = one.runs().map(({ origin, ends }) => [origin, Math.round(ends * 300)]);
        return [one.all().length, runs, one.all().at(-1).id, other.all().length];
        """,
    )
    assert held <= 2000
    assert turns == [["estimated", 700], ["parsed", 30000]]
    assert last == 30000
    assert flips <= 2000
