"""Another language: the same words, kept by the browser; and no words outside of the files of strings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Console
from tests.fixtures.api import Reports

CONSOLE = Path(__file__).parents[2] / "serve_apps" / "console"
GERMAN = sorted(path.name for path in (CONSOLE / "de").glob("*.js"))

# Where two modules differ: a word that one has and the other has not, or of another kind.
DIFFERENCES = """
async (name) => {
  const [english, german] = await Promise.all([import(`/${name}`), import(`/de/${name}`)]);
  const found = [];
  const compare = (one, other, at) => {
    if (typeof one !== typeof other) return found.push(`${at}: ${typeof one}, ${typeof other}`);
    if (typeof one === "function" && one.length !== other.length) found.push(`${at}: takes something else`);
    if (typeof one !== "object") return;
    const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
    for (const key of keys) compare(one[key], other[key], `${at}.${key}`);
  };
  compare(english, german, name);
  return found;
}"""


async def test_both_languages_have_the_same_words(console: Console) -> None:
    page = await console.open()
    assert "strings.js" in GERMAN
    found = {name: await page.evaluate(DIFFERENCES, name) for name in GERMAN}
    assert found == {name: [] for name in GERMAN}


async def test_the_language_is_chosen_once_and_kept(console: Console) -> None:
    job = await console.api.create("radio", epochs=4)
    await console.api.record(Reports(job.id).started())
    page = await console.open()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/de/" in request.url else None)
    await page.reload()
    await expect(page.locator(".job-row")).to_contain_text("Running")
    assert asked == []  # nobody pays for what they do not read
    await page.get_by_role("button", name="Deutsch").click()
    await expect(page.locator(".job-row")).to_contain_text("Läuft")
    await expect(page.locator("html")).to_have_attribute("lang", "de")
    await page.get_by_role("link", name="Verbrauch").click()
    await expect(page.get_by_role("heading", name="Verbrauch und Kosten")).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("heading", name="Verbrauch und Kosten")).to_be_visible()
    await page.get_by_role("button", name="English").click()
    await expect(page.get_by_role("heading", name="Usage and cost")).to_be_visible()


MODULES = sorted(path for folder in ("views", "components") for path in (CONSOLE / folder).rglob("*.js"))
# Text between two tags, or the value of an attribute that people read or hear.
_WORDS = re.compile(
    r">\s*([^<>${}`]*[A-Za-z]{3,}[^<>${}`]*)</|\b(?:aria-label|title|placeholder|alt)=\"([^\"]*[A-Za-z]{3,}[^\"]*)\""
)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_words_stand_in_components(path: Path) -> None:
    code = re.sub(r"^\s*(//|\*|/\*).*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [match.group(0) for match in _WORDS.finditer(code)] == []
