"""A job that failed says why, what to do, how its log ended, and leads on; and the way to Ray where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from serve_apps.api.app import create_app
from tests.browser.conftest import Console
from tests.browser.test_modules import ask
from tests.browser.video_jobs import pipeline, with_training, write_dataset
from tests.fixtures.api import FIRST, Reports, eventually, now
from thornback.jobs.events import EventFactory
from thornback.jobs.status import FailureReason
from thornback.jobs.video_stages import VideoStage
from thornback.store.page import JobQuery


async def test_why_what_to_do_the_log_and_another_try(console: Console) -> None:
    job = await console.api.create("radio baseline", epochs=40)
    run = Reports(job.id)
    page = await console.open(f"#/jobs/{job.id}")
    await console.api.record(
        run.started(),
        run.log(*(f"line {number}" for number in range(40))),
        run.log("\x1b[31mRuntimeError:\x1b[0m CUDA out of memory <script>"),
        EventFactory(job.id).failed(FIRST, reason=FailureReason.OUT_OF_MEMORY, message="21 GiB asked for", at=now()),
    )
    panel = page.locator(".failure")  # by itself
    await expect(panel.get_by_role("heading", name="Out of memory")).to_be_visible()
    await expect(panel).to_contain_text("21 GiB asked for")
    await expect(panel).to_contain_text("Use a smaller batch")
    tail = panel.locator("details pre")
    await expect(tail).to_contain_text("RuntimeError: CUDA out of memory <script>")
    assert len((await tail.inner_text()).splitlines()) == 15
    await panel.get_by_role("button", name="Try it again").click()
    await eventually(lambda: len(console.api.reader.jobs(JobQuery()).jobs) == 2)
    await expect(page.get_by_role("link", name=f"Retry of {job.id[-8:]}")).to_be_visible()
    await page.goto(f"http://{console.host}/#/jobs/{job.id}")
    await page.locator(".failure").get_by_role("link", name="Change it and start anew").click()
    await expect(page.locator("#field-config-epochs")).to_have_value("40")


@pytest.mark.parametrize("reason", list(FailureReason))
def test_every_reason_has_its_words(reason: FailureReason) -> None:
    """In both files: what it is called, and what to do."""
    from serve_apps.api.console import CONSOLE

    for name in ("strings.js", "strings-failure.js"):
        assert f"    {reason.value}: " in (CONSOLE / name).read_text(encoding="utf-8")


async def test_a_part_and_its_whole_lead_to_each_other(console: Console, tmp_path: Path) -> None:
    job = await pipeline(console.api, VideoStage.STORE)
    write_dataset(console.api, job, tmp_path / "frames", 3, for_review=False)
    run = await with_training(console.api, job)
    failed = EventFactory(job.id).failed(
        FIRST, reason=FailureReason.PART_CANCELLED, message="it was cancelled", at=now()
    )
    await console.api.record(run.cancelled(), failed)
    page = await console.open(f"#/jobs/{job.id}")
    await expect(page.locator(".step-failed")).to_contain_text("Train")
    await page.locator(".failure").get_by_role("link", name="The training of this job").click()
    await page.get_by_role("link", name=f"Part of {job.id[-8:]}").click()
    await expect(page.get_by_role("heading", name="Its training was cancelled or deleted")).to_be_visible()


async def test_the_way_to_the_dashboard_of_ray(console: Console) -> None:
    async def ray_health() -> Mapping[str, Any]:
        return {"nodes": 1, "dashboard": "http://127.0.0.1:8265"}

    async def dispatcher_health() -> Mapping[str, Any]:
        return {}

    api = console.api
    app = create_app(
        settings=api.settings.model_copy(update={"access": "off"}),
        reader=api.reader,
        recorder=api.recorder,
        dispatcher_health=dispatcher_health,
        ray_health=ray_health,
    )
    await console.stop()
    await console.serve(app)
    job = await api.create("radio baseline")
    await api.record(EventFactory(job.id).scheduled(FIRST, submission_id="tb-1", at=now()), Reports(job.id).started())
    page = await console.open(f"#/jobs/{job.id}")
    link = page.get_by_role("link", name="Ray dashboard")
    await expect(link).to_have_attribute("href", "http://127.0.0.1:8265/#/jobs/tb-1")
    await expect(link).to_have_attribute("rel", "noopener noreferrer")


async def test_only_addresses_that_this_browser_could_reach(console: Console) -> None:
    page = await console.open()
    cases = [
        ("http://127.0.0.1:8265", "a b", "localhost", "http://127.0.0.1:8265/#/jobs/a%20b"),
        ("http://127.0.0.1:8265", "a", "train.example", None),
        ("http://10.0.0.5:8265", "a", "train.example", "http://10.0.0.5:8265/#/jobs/a"),
        ("http://0.0.0.0:8265", "a", "train.example", "http://train.example:8265/#/jobs/a"),
        ("javascript:alert(1)", "a", "localhost", None),
        ("no address", "a", "localhost", None),
        (None, "a", "localhost", None),
        ("http://127.0.0.1:8265", None, "localhost", None),
    ]
    found = await ask(
        page, "components/ray.js", "return a[0].map(([url, id, here]) => m.dashboardUrl(url, id, here))", cases
    )
    assert found == [expected for *_, expected in cases]
