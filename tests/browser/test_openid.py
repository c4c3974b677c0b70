"""Signing in at an OpenID provider from the page, and going on where one was."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Console
from tests.browser.test_session import guarded, sign_in
from tests.fixtures.openid import CLIENT, SECRET, Account, Provider, openid_provider
from thornback.store.page import JobQuery


@pytest.mark.browser
async def test_in_by_the_provider_and_what_was_filled_in_starts(console: Console) -> None:
    async with openid_provider(Provider(account=Account(email_verified=False))) as provider:
        await guarded(
            console,
            oidc_issuer=provider.issuer,
            oidc_client_id=CLIENT,
            oidc_client_secret=SECRET,
            oidc_name="Example",
            oidc_domains=["example.org"],
            oidc_role="trainer",
        )
        page = await console.open("#/sign-in?back=%23%2Fnew%3Fkind%3Dconvnext")
        await page.get_by_role("button", name="Sign in with Example").click()
        await expect(page.get_by_role("alert")).to_contain_text("has not verified an e-mail address")
        assert "back=" in page.url
        await sign_in(page)  # the other ways are still there
        await page.locator("#field-job_name").fill("radio baseline")
        await page.locator("#field-config-epochs").fill("7")
        await page.context.clear_cookies()
        await page.get_by_role("button", name="Start").click()
        await expect(page.locator("main")).to_contain_text("starts by itself")
        provider.account = Account()
        await page.get_by_role("button", name="Sign in with Example").click()
        await expect(page.locator("h1")).to_have_text("radio baseline")
        await expect(page.locator(".who-name")).to_have_text("ada@example.org")
        (row,) = console.api.reader.jobs(JobQuery()).jobs
        assert (row.state.user, row.state.spec["config"]["epochs"]) == ("ada@example.org", 7)
        asked = f"asked {provider.issuer}/"  # where the page was sent, and nowhere else
        console.faults[:] = [fault for fault in console.faults if not fault.startswith(asked)]


@pytest.mark.browser
async def test_an_account_is_linked_to_whoever_is_signed_in(console: Console) -> None:
    async with openid_provider(Provider(account=Account(email="someone@elsewhere.example"))) as provider:
        await guarded(
            console, oidc_issuer=provider.issuer, oidc_client_id=CLIENT, oidc_client_secret=SECRET, oidc_name="Example"
        )
        page = await console.open("#/keys")
        await sign_in(page)
        await page.get_by_role("button", name="Link an account at Example").click()
        await expect(page.get_by_role("status").filter(has_text="stands for ada")).to_be_visible()
        await page.context.clear_cookies()
        await page.goto(f"http://{console.host}/#/sign-in")
        await page.reload()
        await page.get_by_role("button", name="Sign in with Example").click()
        await expect(page.locator(".who-name")).to_have_text("ada")
        await page.context.clear_cookies()  # somebody else cannot have it too
        await page.goto(f"http://{console.host}/#/keys")
        await page.reload()
        await sign_in(page, "vera")
        await page.get_by_role("button", name="Link an account at Example").click()
        await expect(page.get_by_role("alert")).to_contain_text("stands for another user already")
        asked = f"asked {provider.issuer}/"
        console.faults[:] = [fault for fault in console.faults if not fault.startswith(asked)]
