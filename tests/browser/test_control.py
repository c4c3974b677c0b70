"""Teams, quotas, the audit log, webhooks out with what they were told, and what was spent against the limits."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.browser.conftest import Console
from tests.fixtures.api import now
from thornback.access.changes import AddUser
from thornback.access.roles import Role


async def with_users(console: Console) -> None:
    for name in ("ada", "bob"):
        await console.api.recorder.administer(AddUser(name=name, role=Role.TRAINER, password_hash=None, at=now()))


async def test_teams_and_the_audit_log_that_tells_of_them(console: Console) -> None:
    console.allow("status of 404")
    await with_users(console)
    page = await console.open("#/admin?part=teams")
    await expect(page.get_by_role("heading", name="No teams yet")).to_be_visible()
    await page.get_by_label("Id").fill("vision")
    await page.get_by_role("button", name="Add the team").click()
    row = page.get_by_role("row", name="vision")
    user = row.get_by_label("User to add to vision")
    await user.fill("ada")
    await user.press("Enter")
    await expect(row.locator(".chip")).to_contain_text("ada")
    await user.fill("nobody-here")
    await user.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("nobody-here")
    await row.get_by_role("button", name="Take ada out of vision").click()
    await expect(row).to_contain_text("nobody yet")
    await row.get_by_role("button", name="Remove the team vision").click()
    await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    await expect(page.get_by_role("heading", name="No teams yet")).to_be_visible()

    await page.goto(f"http://{console.host}/#/admin?part=audit")
    rows = page.locator(".rows tbody tr")
    await expect(rows.first).to_contain_text("team.remove")
    await page.get_by_label("Action").fill("team.")
    await page.get_by_role("button", name="Search").click()
    await expect(rows).to_have_count(4)
    await expect(rows.last).to_contain_text("vision")
    await page.get_by_role("button", name="Check the chain").click()
    await expect(page.locator(".audit-verdict")).to_contain_text("entries are as they were written")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download all of it").click()
    assert (await download.value).suggested_filename == "audit.jsonl"


async def field(page: Page, name: str, value: str) -> None:
    await page.get_by_role("form", name="Set somebody's quotas").get_by_label(name, exact=True).fill(value)


async def test_quotas_are_set_and_shown_with_what_is_used(console: Console) -> None:
    await with_users(console)
    await console.api.create("radio", user="local")
    page = await console.open("#/admin?part=quotas")
    form = page.get_by_role("form", name="Set somebody's quotas")
    await field(page, "Name", "local")
    await field(page, "Jobs at once", "2")
    await field(page, "Storage, GB", "1.5")
    await field(page, "US dollars a day", "much")
    await form.get_by_role("button", name="Set", exact=True).click()
    await expect(form.get_by_role("alert")).to_contain_text("US dollars a day: a number from 0")
    await field(page, "US dollars a day", "-")
    await form.get_by_role("button", name="Set", exact=True).click()
    own = page.get_by_role("region", name="Set for somebody").get_by_role("row", name="local")
    await expect(own).to_contain_text("1.5 GB")
    await expect(own).to_contain_text("no limit")
    await expect(page.locator(".levels")).to_contain_text("1 of 2")

    await page.goto(f"http://{console.host}/#/usage")
    await expect(page.get_by_role("region", name="Against the limits")).to_contain_text("1 of 2")
    await page.goto(f"http://{console.host}/#/admin?part=quotas")
    await own.get_by_role("button", name="Edit the quotas of local").click()
    await expect(form.get_by_label("Storage, GB")).to_have_value("1.5")
    await expect(form.get_by_label("US dollars a day")).to_have_value("-")
    await own.get_by_role("button", name="Take the quotas of local back to the settings").click()
    await expect(page.get_by_text("Nobody has limits of their own.")).to_be_visible()


async def test_a_webhook_is_made_tried_switched_off_and_removed(console: Console) -> None:
    console.allow("status of 422")
    page = await console.open("#/admin?part=hooks")
    await expect(page.get_by_role("heading", name="No webhooks yet")).to_be_visible()
    address = page.get_by_role("textbox", name="Address")
    await address.fill("not an address")
    await page.get_by_role("button", name="Make the webhook").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await address.fill("https://hooks.example.org/thornback")
    await page.get_by_role("button", name="Make the webhook").click()
    await expect(page.locator(".hook-secret")).to_contain_text("whsec_")
    hook = page.locator(".hook")
    await expect(hook).to_contain_text("job.failed")
    await hook.get_by_role("button", name="Send a test").click()
    await expect(hook).to_contain_text("A test is on its way.")
    await hook.get_by_text("What it was told").click()
    await expect(hook.locator("tbody tr")).to_contain_text("webhook.test")
    await expect(hook.locator("tbody tr")).to_contain_text("waiting")
    await hook.get_by_role("button", name="Disable").click()
    await expect(hook).to_contain_text("disabled by somebody")
    await hook.get_by_role("button", name="Remove the webhook").click()
    await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    await expect(page.get_by_role("heading", name="No webhooks yet")).to_be_visible()
