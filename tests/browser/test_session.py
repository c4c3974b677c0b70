"""Signing in and out, being asked to in the middle of something, API keys: on a server that knows its users."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Console
from tests.browser.test_looks import AXE
from tests.fixtures.api import Reports, eventually
from thornback.access.changes import AddKey, AddUser, ChangeUser
from thornback.access.passwords import hash_password
from thornback.access.roles import Role
from thornback.access.tokens import KEY, new_token
from thornback.store.page import JobQuery

PASSWORD = "correct horse battery"
REFUSED = r"the server responded with a status of (401|429)"


async def guarded(console: Console, **settings: Any) -> None:
    """Serve with access control; ada trains, vera looks."""
    console.allow(REFUSED)  # the browser's own words for an answer that says who may not
    kept = hash_password(PASSWORD)
    for name, role in (("ada", Role.TRAINER), ("vera", Role.VIEWER), ("root", Role.ADMIN)):
        at = datetime.now(UTC)
        await console.api.recorder.administer(AddUser(name=name, role=role, password_hash=kept, at=at))
    await console.stop()
    await console.serve(console.api.app(access="on", **settings))


async def key_of(console: Console, user: str) -> str:
    token, at = new_token(KEY), datetime.now(UTC)
    made = AddKey(id=token.id, user=user, digest=token.digest, label="test", role=None, at=at, expires_at=None)
    await console.api.recorder.administer(made)
    return token.text


async def sign_in(page: Page, name: str = "ada", password: str = PASSWORD) -> None:
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_label("Password").fill(password)
    await page.locator("form").get_by_role("button", name="Sign in").click()


async def end_sessions(console: Console, user: str = "ada") -> None:
    """As when an admin switches somebody off for a moment."""
    for is_active in (False, True):
        await console.api.recorder.administer(ChangeUser(name=user, is_active=is_active, at=datetime.now(UTC)))


async def test_without_access_control_nothing_of_it_shows(console: Console) -> None:
    page = await console.open()
    await expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    await expect(page.locator(".who")).to_have_count(0)
    await page.goto(f"http://{console.host}/#/sign-in")
    await expect(page.get_by_role("heading", name="Nobody has to sign in here")).to_be_visible()
    await page.goto(f"http://{console.host}/#/keys")
    await expect(page.locator("main")).to_contain_text("keys open nothing")


async def test_from_any_address_to_the_sign_in_and_back_and_out_again(console: Console) -> None:
    await guarded(console)
    job = await console.api.create("radio baseline", epochs=40)
    run = Reports(job.id)
    await console.api.record(run.started(), run.epoch(1), run.log("line 1"), run.progress(2.5))
    page = await console.open(f"#/jobs/{job.id}")
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await expect(page.get_by_label("Name")).to_be_focused()
    await expect(page.get_by_role("status").filter(has_text="Signed out")).to_be_visible()
    await expect(page.get_by_text("Connection lost")).to_have_count(0)

    await page.locator("form").get_by_role("button", name="Sign in").click()
    await expect(page.locator("#name-note")).to_have_text("Fill this in.")
    await sign_in(page, password="wrong horse battery")
    await expect(page.get_by_role("alert")).to_have_text("the name or the password is wrong")
    await sign_in(page)
    await expect(page.locator("h1")).to_have_text("radio baseline")
    assert page.url.endswith(f"#/jobs/{job.id}")
    await expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    await console.api.record(run.log("line 2"), run.progress(5.0, epoch=2, of=40))
    await expect(page.locator(".job-progress-line")).to_contain_text("Epoch 2 of 40")
    await expect(page.locator(".log-text")).to_contain_text(["line 2"])

    await page.locator(".who summary").click()
    await expect(page.locator(".who-menu")).to_contain_text("trainer")
    await page.keyboard.press("Escape")
    await expect(page.locator(".who-menu")).to_be_hidden()
    await expect(page.locator(".who summary")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await expect(page.get_by_role("status").filter(has_text="Signed out")).to_be_visible()
    await expect(page.locator(".who summary")).to_have_count(0)

    # What happened meanwhile is there after coming back, and the stream goes on.
    await console.api.record(run.log("line 3"), run.epoch(2), run.progress(7.5, epoch=3, of=40))
    await page.goto(f"http://{console.host}/#/jobs/{job.id}")
    await sign_in(page, "vera")
    await expect(page.locator(".job-progress-line")).to_contain_text("Epoch 3 of 40")
    await console.api.record(run.progress(10, epoch=4, of=40))
    await expect(page.locator(".job-progress-line")).to_contain_text("Epoch 4 of 40")
    assert await page.evaluate("window.sameDocument") is True


async def test_a_session_that_ends_under_an_open_page_comes_back_to_it(console: Console) -> None:
    await guarded(console)
    page = await console.open("#/?status=running")
    await sign_in(page)
    await expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()
    assert page.url.endswith("#/?status=running")
    await end_sessions(console)
    await page.goto(f"http://{console.host}/#/?status=failed")  # not by a click: the page may have noticed by itself
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await sign_in(page)
    await expect(page.get_by_role("button", name="Failed")).to_have_attribute("aria-pressed", "true")
    await expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    await console.api.create("appears by itself")
    await page.get_by_role("button", name="All", exact=True).click()
    await expect(page.locator(".job-row")).to_have_count(1)


async def test_an_api_key_signs_in(console: Console) -> None:
    await guarded(console)
    key = await key_of(console, "vera")
    page = await console.open()
    await page.get_by_role("button", name="API key").click()
    await page.locator("input[name=api_key]").fill("tbk_wrong")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_have_text("the API key is wrong")
    await page.locator("input[name=api_key]").fill(key)
    await page.keyboard.press("Enter")
    await expect(page.locator(".who-name")).to_have_text("vera")


async def test_guessing_has_to_wait_and_says_how_long(console: Console) -> None:
    console.allow(REFUSED)
    await guarded(console)
    app = console.api.app(access="on")
    await console.stop()
    for _ in range(20):
        app.state.context.sign_ins.failed(("name", "ada"), now=datetime.now(UTC))
    await console.serve(app)
    page = await console.open("#/sign-in")
    await sign_in(page)
    await expect(page.get_by_role("alert")).to_contain_text(re.compile(r"The next one is possible in \d+ s"))
    await expect(page.locator("form").get_by_role("button", name="Sign in")).to_be_disabled()


async def test_sign_in_and_start(console: Console) -> None:
    """What was filled in before the session ended is started once, by itself, after signing in."""
    await guarded(console)
    page = await console.open("#/sign-in?back=%23%2Fnew%3Fkind%3Dconvnext")
    await sign_in(page)
    await page.locator("#field-job_name").fill("radio baseline")
    await page.locator("#field-config-epochs").fill("7")
    await end_sessions(console)
    await page.get_by_role("button", name="Start").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await expect(page.locator("main")).to_contain_text("starts by itself")
    await page.reload()  # the way through a sign-in may lead over other pages
    await page.evaluate("window.sameDocument = true")
    assert len(console.api.reader.jobs(JobQuery()).jobs) == 0
    await sign_in(page, password="wrong horse battery")
    await expect(page.get_by_role("alert")).to_be_visible()
    await sign_in(page)
    await expect(page.locator("h1")).to_have_text("radio baseline")
    (row,) = console.api.reader.jobs(JobQuery()).jobs
    assert page.url.endswith(f"#/jobs/{row.state.id}")
    assert (row.state.user, row.state.spec["config"]["epochs"]) == ("ada", 7)
    await page.get_by_role("link", name="New job").click()
    await expect(page.locator("#field-job_name")).to_have_value("")
    await page.reload()
    await expect(page.locator("#field-job_name")).to_have_value("")
    assert len(console.api.reader.jobs(JobQuery()).jobs) == 1


async def test_a_key_is_shown_once_works_and_is_revoked(console: Console) -> None:
    await guarded(console)
    page = await console.open("#/keys", permissions=["clipboard-read", "clipboard-write"])
    await sign_in(page)
    await expect(page.get_by_text("No keys yet.")).to_be_visible()
    await page.get_by_label("What it is for").fill("notebook")
    await page.get_by_label("May").select_option("viewer")
    await page.get_by_label("Holds for").select_option("7")
    await page.get_by_text("Only parts of it").click()
    await page.get_by_label("Choose several").select_option(["jobs:read", "models:read"])
    await page.get_by_role("button", name="Make a key").click()
    text = await page.locator(".key-text code").text_content()
    assert text
    await page.get_by_role("button", name="Copy the key").click()
    assert await page.evaluate("navigator.clipboard.readText()") == text
    await expect(page.locator(".key")).to_contain_text("look only · look at jobs · look at models")
    await expect(page.locator(".key")).to_contain_text("works until")

    async def status() -> int:
        answer = await page.request.get(
            f"http://{console.host}/api/v1/training/jobs", headers={"Authorization": f"Bearer {text}"}
        )
        return answer.status

    assert await status() == 200
    await page.reload()
    await expect(page.locator(".key")).to_have_count(1)
    assert text not in await page.content()
    await page.get_by_role("button", name="Revoke notebook").click()
    await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    await expect(page.locator(".key")).to_contain_text("revoked")
    assert await status() == 401


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
async def test_these_views_are_for_everyone(console: Console, scheme: Any) -> None:
    await guarded(console)
    page = await console.open("#/keys", width=390, height=844, color_scheme=scheme)
    axe = AXE.read_text(encoding="utf-8")

    async def serious() -> list[Any]:
        await page.evaluate(axe)
        found = await page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa']})")
        return [item for item in found["violations"] if item["impact"] in ("serious", "critical")]

    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert await serious() == []
    await sign_in(page)
    await page.get_by_label("What it is for").fill("a" * 100)
    await page.get_by_role("button", name="Make a key").click()
    await expect(page.locator(".key")).to_have_count(1)
    await page.locator(".who summary").click()
    assert await serious() == []
    assert await page.evaluate("document.documentElement.scrollWidth") == 390


async def test_signing_out_somewhere_else_is_noticed(console: Console) -> None:
    await guarded(console)
    page = await console.open()
    await sign_in(page)
    await expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()
    other = await page.context.new_page()
    await other.goto(f"http://{console.host}/")
    await other.locator(".who summary").click()
    await other.get_by_role("button", name="Sign out").click()
    await expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    await page.get_by_role("button", name="Running").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await eventually(lambda: page.url.endswith("back=%23%2F%3Fstatus%3Drunning"))
