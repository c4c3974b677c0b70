"""What the page asks for ahead of its modules: once, and nothing hangs on it."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.conftest import Console
from tests.fixtures.api import Reports


def asked_of_the_api(page: Page) -> list[str]:
    """Paths below the jobs, and the session, as they are asked for."""
    asked: list[str] = []

    def note(url: str) -> None:
        _, _, path, query, _ = urlsplit(url)
        if path.startswith(("/api/v1/training/jobs", "/api/v1/session")):
            asked.append(f"{path.removeprefix('/api/v1/')}?{query}".rstrip("?"))

    page.on("request", lambda request: note(request.url))
    return asked


async def test_the_list_is_asked_for_once(console: Console) -> None:
    await console.api.create("cats")
    page = await console.open(None)
    asked = asked_of_the_api(page)
    await page.goto(f"http://{console.host}/")
    await expect(page.locator(".job-row")).to_have_count(1)
    wanted = ["training/jobs?parent=none&sort=-created_at&limit=30", "session"]
    assert [asked.count(path) for path in wanted] == [1, 1]
    assert [path for path in asked if path.startswith("training/jobs?")] == wanted[:1]


async def test_a_job_and_its_curves_are_asked_for_once(console: Console) -> None:
    job = await console.api.create("cats")
    run = Reports(job.id)
    await console.api.record(run.started(), *(run.epoch(number) for number in range(1, 6)))
    page = await console.open(None)
    asked = asked_of_the_api(page)
    await page.goto(f"http://{console.host}/#/jobs/{job.id}")
    await expect(page.locator(".chart canvas").first).to_be_visible()
    wanted = [f"training/jobs/{job.id}", f"training/jobs/{job.id}/metrics?level=epoch&most=6000"]
    assert [asked.count(path) for path in [*wanted, "session"]] == [1, 1, 1]


@pytest.mark.parametrize("view", ["", "#/jobs/{}"])
async def test_an_answer_that_was_lost_is_asked_for_again(console: Console, view: str) -> None:
    console.allow("net::ERR_FAILED")
    job = await console.api.create("cats")
    page = await console.open(None)
    lost: list[str] = []

    async def lose(route: Route) -> None:
        url = route.request.url
        if url in lost:
            await route.continue_()
        else:
            lost.append(url)
            await route.abort()

    await page.route("**/api/v1/training/jobs**", lose)
    await page.route("**/api/v1/training/jobs/**", lose)
    await page.goto(f"http://{console.host}/{view.format(job.id)}")
    await expect(page.get_by_text("cats").first).to_be_visible()
    assert lost
