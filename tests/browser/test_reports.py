"""Analytics and usage: charts and tables of what is in the database, for a period that stands in the address."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Console
from tests.browser.test_admin import fair
from tests.fixtures.api import FIRST, ApiPlatform, Reports, now
from tests.fixtures.remote import LORA, Told
from thornback.jobs.events import EventFactory
from thornback.jobs.status import FailureReason

ABSENT = "\N{EN DASH}"


async def trained(api: ApiPlatform, word: str, *, user: str = "ada", **facts: Any) -> None:
    job = await api.create_spec({**LORA, "config": {**LORA["config"], "trigger_word": word}}, user=user)
    known = {"trigger_word": word, "captioning": "automatic", "training_steps": 500, "dataset_size": 20}
    told = Told(job)
    await api.record(told.facts(**known, predict_time=600.0, total_time=660.0, **facts), told.succeeded())


async def history(api: ApiPlatform) -> None:
    await trained(api, "=FOX()", cost_usd=1.5)
    await trained(api, "=FOX()", cost_estimate_usd=4.0, user="bob")
    await trained(api, "TOK")
    failed = await api.create_spec(LORA)
    reason = FailureReason.OUTPUT_LOST
    await api.record(EventFactory(failed.id).failed(FIRST, reason=reason, message="no", at=now()))
    own = await api.create("radio", user="grace")
    await api.record(Reports(own.id).started(), Reports(own.id).succeeded())


async def test_analytics_of_a_period_renewed_when_jobs_end(console: Console, tmp_path: Path) -> None:
    page = await console.open("#/analytics")
    await expect(page.get_by_role("heading", name="Nothing was trained in this time")).to_be_visible()
    await history(console.api)
    await expect(page.get_by_role("row", name="=FOX()")).to_contain_text("2 Completed")  # by itself
    await expect(page.locator(".tile").first).to_contain_text("10 min")
    await expect(page.get_by_role("row", name="automatic")).to_contain_text("75.0 %")
    await expect(page.get_by_role("row", name="It finished, but its files could not be fetched")).to_contain_text(
        "100.0 %"
    )
    points = page.locator(".drawing a")
    await expect(points).to_have_count(3)
    assert "#/jobs/" in str(await points.first.get_attribute("href"))

    async with page.expect_download() as started:
        await page.get_by_role("button", name="Save “Trainings by trigger word” as CSV").click()
    lines = (await (await started.value).path()).read_text().splitlines()
    assert lines[0] == "Trigger word,Jobs,How they stand,Last"
    assert lines[1].startswith("'=FOX(),2,2 Completed,")  # a word is no formula

    await page.get_by_role("button", name="7 days").click()
    assert page.url.endswith("#/analytics?period=7d")
    await page.get_by_label("To", exact=True).fill("2020-01-31")
    await expect(page.get_by_role("heading", name="Nothing was trained in this time")).to_be_visible()
    assert page.url.endswith("until=2020-01-31")
    await page.reload()
    await expect(page.get_by_label("To", exact=True)).to_have_value("2020-01-31")


async def test_usage_says_what_is_not_known(console: Console) -> None:
    await history(console.api)
    page = await console.open("#/usage")
    tiles = page.locator(".tile")
    await expect(tiles.nth(0)).to_contain_text("$1.50")
    await expect(tiles.nth(1)).to_contain_text("$4.00")
    await expect(tiles.nth(2)).to_contain_text("2 orders")
    await expect(tiles.nth(3)).to_contain_text("1 job that ended")
    by_user = page.get_by_role("region", name="By user").locator("tbody tr")
    await expect(by_user.filter(has_text="bob").locator("td").nth(1)).to_have_text(ABSENT)  # an estimate is no cost
    await expect(by_user.filter(has_text="local").locator("td").nth(1)).to_have_text("not known")
    await expect(by_user.filter(has_text="grace").locator("td").nth(3)).to_have_text(ABSENT)
    async with page.expect_download() as started:
        await page.get_by_role("link", name="CSV of everything").click()
    assert (await (await started.value).path()).read_text().startswith("day,user,kind,backend,jobs,")
    await trained(console.api, "NEW", user="bob", cost_usd=2.0)
    await expect(tiles.nth(0)).to_contain_text("$3.50")  # by itself


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
async def test_reports_are_for_everyone(console: Console, scheme: Any) -> None:
    await history(console.api)
    page = await console.open("#/analytics", width=390, height=844, color_scheme=scheme)
    await expect(page.locator(".drawing svg").first).to_be_visible()
    wrong = {"analytics": await fair(page, 390)}
    await page.goto(f"http://{console.host}/#/usage")
    await expect(page.locator(".tile").first).to_contain_text("$1.50")
    wrong["usage"] = await fair(page, 390)
    assert wrong == {"analytics": [], "usage": []}
