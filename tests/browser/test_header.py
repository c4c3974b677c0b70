"""The links of the header are all in sight from a tablet's width on, in every language and whoever is signed in."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Console
from tests.browser.test_session import guarded, sign_in

HIDDEN = """() => {
  const links = document.querySelector(".header-links");
  return links.scrollWidth - links.clientWidth;
}"""


@pytest.mark.parametrize("language", [pytest.param("en", marks=pytest.mark.slow), "de"])  # German is the longer one
async def test_no_link_is_out_of_sight(console: Console, language: str) -> None:
    await guarded(console)
    page = await console.open()
    await sign_in(page, "root")
    await expect(page.locator(".who-name")).to_have_text("root")
    await page.evaluate("(language) => localStorage.setItem('thornback-language', language)", language)
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("lang", language)
    await expect(page.locator(".header-link")).to_have_count(9)
    await expect(page.locator(".who-name")).to_be_visible()
    hidden = {}
    for width in (768, 900, 1080, 1081, 1280):
        await page.set_viewport_size({"width": width, "height": 800})
        hidden[width] = await page.evaluate(HIDDEN)
    assert hidden == dict.fromkeys(hidden, 0)
