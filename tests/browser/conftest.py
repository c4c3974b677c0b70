"""One Chromium for all tests here, and for each test a server, a page, and an eye on what the page does wrong."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import pytest
import pytest_asyncio
from fastapi import FastAPI
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, async_playwright, expect
from pytest_asyncio import is_async_test

from tests.fixtures.api import ApiPlatform, api_on, serving

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",  # containers without user namespaces
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# How long the page may take to show something. Generous: machines that run tests are busy.
PATIENCE_MS = 20_000

Answer = TypeVar("Answer")


async def becomes(ask: Callable[[], Awaitable[Answer]], wanted: Answer) -> None:
    """Wait until a page answers so: what `expect` is for where it has no word for it."""
    found = await ask()
    give_up = asyncio.get_running_loop().time() + PATIENCE_MS / 1000
    while found != wanted and asyncio.get_running_loop().time() < give_up:
        await asyncio.sleep(0.02)
        found = await ask()
    assert found == wanted


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser and tests share one event loop, as the connection to the browser belongs to the loop that made it."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            item.add_marker(pytest.mark.browser)


def _chromium() -> str:
    found = next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium; install it: apt-get install chromium")
        pytest.skip("needs Chromium: apt-get install chromium")
    return found


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A headless Chromium."""
    path = _chromium()
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        await browser.close()


class Console:
    """A server, and pages that look at it. What a page must never do is collected in `faults`."""

    def __init__(self, api: ApiPlatform, browser: Browser) -> None:
        self.api = api
        self.faults: list[str] = []
        self.bytes_by_path: dict[str, int] = {}
        self._allowed: list[re.Pattern[str]] = []
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._server = AsyncExitStack()
        self.host = ""

    async def serve(self, app: FastAPI | None = None) -> None:
        """Start the server; after `stop` on the same port again."""
        port = int(self.host.rpartition(":")[2]) if self.host else 0
        self.host = await self._server.enter_async_context(serving(app or self.api.app(), port=port))

    async def stop(self) -> None:
        """End the server; database and writer stay."""
        await self._server.aclose()
        self._server = AsyncExitStack()

    def allow(self, pattern: str) -> None:
        """A console message that this test provokes."""
        self._allowed.append(re.compile(pattern))

    async def open(self, path: str | None = "", *, width: int = 1280, height: int = 1600, **context: Any) -> Page:
        """A page in a fresh profile; with `path` None an empty one."""
        opened = await self._browser.new_context(viewport={"width": width, "height": height}, **context)
        opened.set_default_timeout(PATIENCE_MS)
        self._contexts.append(opened)
        page = await opened.new_page()
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        page.on("request", self._on_request)
        await page.add_init_script(_WATCH_CSP)
        if path is not None:
            await page.goto(f"http://{self.host}/{path}")
            await page.evaluate("window.sameDocument = true")
        return page

    async def close(self) -> None:
        """End pages and server; what a browser says of connections that end with their page is no fault."""
        self.allow("WebSocket is closed before the connection is established")
        for context in self._contexts:
            await context.close()
        await self.stop()

    def _on_console(self, message: ConsoleMessage) -> None:
        is_fault = message.type in ("error", "warning")
        if is_fault and not any(pattern.search(message.text) for pattern in self._allowed):
            self.faults.append(f"console {message.type}: {message.text}")

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((f"http://{self.host}/", "data:", "blob:")):
            self.faults.append(f"asked {request.url}")


# Reports also what the browser blocks without a console message.
_WATCH_CSP = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


@pytest_asyncio.fixture(loop_scope="session")
async def console(browser: Browser, tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Console]:
    """A running console; the test fails where a page logged an error, broke the CSP or asked a foreign host."""
    database = tmp_path / "thornback.db"
    shutil.copyfile(sqlite_template, database)
    async with api_on(f"sqlite:///{database}", tmp_path) as api:
        console = Console(api, browser)
        await console.serve()
        try:
            yield console
        finally:
            await console.close()
        assert console.faults == []
