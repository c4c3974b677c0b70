"""The administration: the queue held and reordered, users, keys, dead letters, storage; for admins only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Console
from tests.browser.test_looks import AXE
from tests.fixtures.api import ApiPlatform, eventually, now
from thornback.access.changes import AddKey, AddUser, User
from thornback.access.passwords import hash_password
from thornback.access.roles import Role
from thornback.access.tokens import KEY, new_token
from thornback.jobs.queue import PauseQueue, ResumeQueue
from thornback.metrics.port import Delivery, QueuePlace
from thornback.store.access import AccessReader

PARTS = (
    *("queue", "users", "teams", "keys", "quotas", "providers", "hooks", "letters"),
    *("storage", "audit", "system", "alerts"),
)
PASSWORD = "correct horse battery"


async def three(api: ApiPlatform) -> list[str]:
    ids = [(await api.create(name, user="ada")).id for name in ("one", "two", "three")]
    reason = "waiting for 4 GPUs: 8 of 8 in use by 'big'"
    await api.recorder.set_queue({id: QueuePlace(position=place, reason=reason) for place, id in enumerate(ids, 1)})
    return ids


async def test_the_queue_is_held_let_go_and_put_into_another_order(console: Console) -> None:
    ids = await three(console.api)
    page = await console.open("#/admin")
    rows = page.locator(".rows tbody tr")
    await expect(rows).to_have_count(3)
    await expect(rows.first).to_contain_text("8 of 8 in use by 'big'")
    await page.get_by_role("button", name="First: three").click()
    await expect(rows.locator("a")).to_have_text(["three", "one", "two"])
    await page.get_by_role("button", name="Down: three").click()
    await expect(rows.locator("a")).to_have_text(["one", "three", "two"])
    await page.get_by_label("Priority of two").fill("50")
    await page.get_by_label("Priority of two").press("Enter")
    await expect(rows.locator("a")).to_have_text(["two", "one", "three"])
    await page.get_by_label("Priority of two").fill("500")
    await page.get_by_label("Priority of two").press("Enter")
    await expect(page.get_by_label("Priority of two")).to_have_value("50")  # nothing beyond 100
    assert (await console.api.recorder.job(ids[1])).priority == 50

    await page.get_by_placeholder("e.g. a node is replaced").fill("a node is replaced")
    await page.get_by_role("button", name="Pause the queue").click()
    await expect(page.locator(".hold-on")).to_contain_text("paused by local")
    await page.get_by_role("link", name="Jobs", exact=True).click()
    banner = page.locator(".queue-banner")
    await expect(banner).to_contain_text("a node is replaced")
    await banner.get_by_role("link", name="Queue").click()
    await page.get_by_role("button", name="Resume the queue").click()
    await expect(page.get_by_role("button", name="Pause the queue")).to_be_visible()
    assert console.api.reader.queue_hold() is None
    await page.get_by_role("link", name="Jobs", exact=True).click()
    await expect(banner).to_have_count(0)


async def test_every_open_page_hears_of_a_pause(console: Console) -> None:
    jobs, admin = await console.open(None), await console.open("#/admin?part=queue")
    async with jobs.expect_response(re.compile("/api/v1/queue")):  # the banner has looked, and asks no more
        await jobs.goto(f"http://{console.host}/#/")
    await expect(jobs.get_by_text("No jobs yet")).to_be_visible()
    await expect(admin.get_by_role("button", name="Pause the queue")).to_be_visible()
    await expect(admin.locator(".connection-live")).to_be_visible()
    await console.api.recorder.administer(PauseQueue(by="root", at=now(), reason="a node is replaced"))
    await expect(jobs.locator(".queue-banner")).to_contain_text("paused by root")
    await expect(admin.locator(".hold-on")).to_contain_text("a node is replaced")
    await console.api.recorder.administer(ResumeQueue(by="root", at=now()))
    await expect(jobs.locator(".queue-banner")).to_have_count(0)
    await expect(admin.get_by_role("button", name="Pause the queue")).to_be_visible()


async def test_users_keys_dead_letters_and_the_storage(console: Console) -> None:
    api = console.api
    root = Path(api.settings.storage)
    (root / "loras").mkdir(parents=True)
    (root / "loras" / "weights").write_bytes(b"x" * 12_345)
    problem = "it names no job"
    bodies = {"unreadable": '{"status": "starting"}', "readable": '{"id": "p-readable", "status": "starting"}'}
    for name, body in bodies.items():
        letter = Delivery(
            provider="replicate",
            delivery_id=name,
            received_at=now(),
            provider_id=f"p-{name}",
            job_id=None,
            item=None,
            status="succeeded",
            body=body,
            problem=problem,
        )
        await api.recorder.receive(letter, [])
    await api.recorder.administer(AddUser(name="root", role=Role.ADMIN, password_hash=None, at=now()))
    token = new_token(KEY)
    key = AddKey(id=token.id, user="root", digest=token.digest, label="box", role=None, at=now(), expires_at=None)
    await api.recorder.administer(key)
    page = await console.open("#/admin?part=users")

    await page.get_by_label("Name", exact=True).fill("Ada")
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Add", exact=True).click()
    row = page.get_by_role("row", name="ada")
    await expect(row).to_contain_text("may come in")
    await page.get_by_label("Role of ada").select_option("viewer")
    await eventually(lambda: any(user.role is Role.VIEWER for user in _users(api)))
    await page.get_by_role("button", name="New password for ada").click()
    await page.get_by_label("New password for ada").fill(f"{PASSWORD} 2")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status").filter(has_text="new password")).to_be_visible()
    await page.get_by_role("button", name="Switch off: ada").click()
    await page.get_by_role("dialog").get_by_role("button", name="Switch off").click()
    await expect(row).to_contain_text("switched off")

    await page.get_by_role("link", name="API keys").click()
    await page.get_by_role("button", name="Revoke box of root").click()
    await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    await expect(page.get_by_role("row", name="box")).to_contain_text("revoked")

    await page.get_by_role("link", name="Dead letters").click()
    letters = page.locator(".letter")
    await expect(letters).to_have_count(2)
    await letters.first.get_by_text("What was sent").click()
    await expect(letters.first.locator("pre")).to_contain_text('"status": "starting"')
    await letters.first.get_by_role("button", name="Replay").click()
    await expect(page.get_by_role("status").filter(has_text="Applied:")).to_be_visible()
    await expect(letters).to_have_count(1)
    await letters.get_by_role("button", name="Replay").click()
    await expect(letters.get_by_role("status")).to_contain_text("Still no use")
    await letters.get_by_role("button", name="Discard").click()
    await page.get_by_role("dialog").get_by_role("button", name="Discard").click()
    await expect(page.get_by_role("heading", name="No dead letters")).to_be_visible()

    await page.get_by_role("link", name="Storage").click()
    await expect(page.get_by_role("row", name="Versions of LoRAs")).to_contain_text("12.3 kB")
    await page.get_by_role("button", name="Delete temporary files").click()
    await expect(page.get_by_text("There was nothing to delete.")).to_be_visible()


def _users(api: ApiPlatform) -> list[User]:
    return AccessReader(api.reader.engine).users()


async def test_only_admins_see_it(console: Console) -> None:
    kept = hash_password(PASSWORD)
    await console.api.recorder.administer(AddUser(name="ada", role=Role.TRAINER, password_hash=kept, at=now()))
    await console.api.recorder.administer(PauseQueue(by="root", at=now()))
    await console.stop()
    await console.serve(console.api.app(access="on"))
    console.allow("the server responded with a status of 401")
    page = await console.open("#/sign-in")
    await page.get_by_label("Name").fill("ada")
    await page.get_by_label("Password").last.fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("link", name="Usage")).to_be_visible()
    await expect(page.get_by_role("link", name="Admin")).to_have_count(0)
    await expect(page.locator(".queue-banner")).to_contain_text("paused by root")
    await expect(page.locator(".queue-banner a")).to_have_count(0)
    await page.goto(f"http://{console.host}/#/admin")
    await expect(page.get_by_role("heading", name="For admins only")).to_be_visible()


async def fair(page: Page, width: int) -> list[str]:
    """What axe finds, and whether the page scrolls sideways."""
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    wrong = [
        f"{item['id']}: {item['nodes'][0]['html']}"
        for item in found["violations"]
        if item["impact"] in ("serious", "critical")
    ]
    if await page.evaluate("document.documentElement.scrollWidth") > width:
        wrong.append("it scrolls sideways")
    return wrong


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
async def test_every_part_is_for_everyone(console: Console, scheme: Any) -> None:
    await three(console.api)
    await console.api.recorder.administer(AddUser(name="root", role=Role.ADMIN, password_hash=None, at=now()))
    page = await console.open(width=390, height=844, color_scheme=scheme)
    wrong: dict[str, list[str]] = {}
    for part in PARTS:
        await page.goto(f"http://{console.host}/#/admin?part={part}")
        await expect(page.locator(f".parts [aria-current][href$={part}]")).to_be_visible()
        await expect(page.locator(".stack > :not([role=status])").first).to_be_visible()
        if found := await fair(page, 390):
            wrong[part] = found
    assert wrong == {}
