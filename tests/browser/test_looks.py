"""Every view: usable on a phone and by everyone, light to load."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, Response, expect

from tests.browser.conftest import Console
from tests.fixtures.api import FIRST, Reports, now
from thornback.jobs.events import EventFactory
from thornback.jobs.status import FailureReason

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
LONG = "an-extraordinarily-long-name-without-a-single-space-" * 4
FIRST_VIEW_BYTES = 200_000
STREAM = re.compile(r"/training/events\b")


async def populate(console: Console) -> dict[str, str]:
    """One job in each state; name -> path of its page."""
    api = console.api
    running = await api.create("running", epochs=10)
    run = Reports(running.id)
    facts = {"class_names": ["CW", "AM"], "confusion_matrix": [[8, 2], [0, 10]], LONG: LONG}
    await api.record(
        run.started(),
        EventFactory(running.id).described(FIRST, facts, seq=1, at=now()),
        *(run.epoch(number) for number in range(1, 6)),
        run.progress(50.0, epoch=5, eta_s=100),
        run.log(*(f"line {number} {LONG}" for number in range(50))),
        run.artifact(f"checkpoints/{LONG}", f"/runs/{LONG}", size_bytes=10**9),
    )
    failed = await api.create(LONG)
    await api.record(
        Reports(failed.id).started(),
        EventFactory(failed.id).failed(FIRST, reason=FailureReason.EXCEPTION, message=LONG * 5, at=now()),
    )
    waiting = await api.create("waiting")
    await api.record(EventFactory(waiting.id).pending(FIRST, reason=f"needs {LONG}", at=now()))
    done = await api.create("done", epochs=2)
    await api.record(Reports(done.id).started(), Reports(done.id).epoch(1), Reports(done.id).succeeded())
    cancelled = await api.create("cancelled")
    await api.record(Reports(cancelled.id).cancelled())
    jobs = {"running": running, "failed": failed, "waiting": waiting, "done": done}
    return {"list": "#/", "nothing": "#/nowhere", **{name: f"#/jobs/{job.id}" for name, job in jobs.items()}}


async def visit(page: Page, console: Console, path: str) -> None:
    await page.goto(f"http://{console.host}/{path}")
    await expect(page.locator("h1")).to_be_visible()
    if path.startswith("#/jobs/"):
        await expect(page.locator(".log-panel, .log-place")).to_have_count(1)


async def test_a_phone_never_scrolls_sideways(console: Console) -> None:
    paths = await populate(console)
    page = await console.open(width=390, height=844, has_touch=True, is_mobile=True)
    widths = {}
    for name, path in paths.items():
        await visit(page, console, path)
        widths[name] = await page.evaluate("document.documentElement.scrollWidth")
    assert widths == dict.fromkeys(paths, 390)


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
async def test_axe_finds_nothing_serious(console: Console, theme: Any) -> None:
    paths = await populate(console)
    axe = AXE.read_text()
    page = await console.open(color_scheme=theme, reduced_motion="reduce")
    found: dict[str, list[str]] = {}
    for name in ("list", "running", "failed", "waiting"):
        await visit(page, console, paths[name])
        if paths[name].startswith("#/jobs/"):
            await page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
            await expect(page.get_by_role("log")).to_have_count(1)
            await page.evaluate("scrollTo(0, 0)")
        if name == "running":
            await expect(page.locator(".chart canvas").first).to_be_visible()
            await page.get_by_text("Values as a table").click()
        await page.evaluate(axe)
        report = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        serious = [item for item in report["violations"] if item["impact"] in ("serious", "critical")]
        if serious:
            found[name] = [f"{item['id']}: {node['html']}" for item in serious for node in item["nodes"]]
    assert found == {}


async def test_everything_can_be_reached_with_the_keyboard(console: Console) -> None:
    paths = await populate(console)
    page = await console.open()
    await expect(page.locator(".job-row")).to_have_count(5)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
    link = page.get_by_role("link", name="running")
    for _ in range(6 + 1 + 2 + 5 * 3):  # filters, search, options, all; and down to the last row
        await page.keyboard.press("Tab")
        if await link.evaluate("(link) => link === document.activeElement"):
            break
    await expect(page.get_by_role("link", name="running")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text("running")
    await expect(page.locator("main")).to_be_focused()
    assert page.url.endswith(paths["running"])
    await page.go_back()
    await expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()


@pytest.mark.parametrize("view", ["list", "job"])
async def test_the_first_view_is_light(console: Console, view: str) -> None:
    """Bytes of the bodies as they are, without compression, of everything that the view fetches."""
    job = await console.api.create("radio baseline", epochs=10)
    run = Reports(job.id)
    await console.api.record(run.started(), *(run.epoch(number) for number in range(1, 6)), run.log("epoch 5"))
    page = await console.open(None, height=800)
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    begun = time.perf_counter()
    await visit(page, console, "#/" if view == "list" else f"#/jobs/{job.id}")
    if view == "job":
        await expect(page.locator(".chart canvas").first).to_be_visible()
    took = time.perf_counter() - begun
    # The stream has no end.
    sizes = {answer.url: len(await answer.body()) for answer in list(answers) if not STREAM.search(answer.url)}
    print(f"{view}: {sum(sizes.values())} bytes in {len(sizes)} answers, {took * 1000:.0f} ms")
    assert 20_000 < sum(sizes.values()) < FIRST_VIEW_BYTES, sizes
