"""Another language: the same words, kept by the browser; and no words outside of the files of strings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Console
from tests.browser.test_models import versions
from tests.fixtures.api import Reports

CONSOLE = Path(__file__).parents[2] / "serve_apps" / "console"
ENGLISH = sorted(path.name for path in CONSOLE.glob("strings*.js"))
GERMAN = sorted(path.name for path in (CONSOLE / "de").glob("*.js"))

# Where two modules differ: a word that one has and the other has not, or of another kind; what a sentence leaves out or
# puts in; a sentence that nobody has translated. Lists and sets are no words.
DIFFERENCES = r"""
async (name) => {
  const [english, german] = await Promise.all([import(`/${name}`), import(`/de/${name}`)]);
  const found = [];
  const placeholders = (word) => {
    const [head, ...rest] = word.toString().split("=>");
    const body = rest.join("=>");
    const used = (head.match(/[A-Za-z]\w*/g) ?? []).filter((name) => new RegExp(`\\b${name}\\b`).test(body));
    return `${head.replaceAll(/\s/g, "")} uses ${used}`;
  };
  const compare = (one, other, at) => {
    if (Array.isArray(one) || one instanceof Set) return;
    if (typeof one !== typeof other) return found.push(`${at}: ${typeof one}, ${typeof other}`);
    if (typeof one === "string" && one === other && one.split(" ").length > 3) found.push(`${at}: ${one}`);
    if (typeof one === "function" && placeholders(one) !== placeholders(other)) {
      found.push(`${at}: ${placeholders(other)}`);
    }
    if (typeof one !== "object") return;
    const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
    for (const key of keys) compare(one[key], other[key], `${at}.${key}`);
  };
  compare(english, german, name);
  return found;
}"""


async def test_both_languages_have_the_same_words_with_the_same_placeholders(console: Console) -> None:
    assert GERMAN == ENGLISH
    page = await console.open()
    found = {name: await page.evaluate(DIFFERENCES, name) for name in GERMAN}
    assert found == {name: [] for name in GERMAN}


def test_every_file_of_words_is_translated_when_it_is_read() -> None:
    for name in ENGLISH:
        code = (CONSOLE / name).read_text(encoding="utf-8")
        assert f'await localize("{name}", {{' in code, name


async def test_every_view_speaks_german(console: Console, tmp_path: Path) -> None:
    await versions(console, tmp_path, 1)
    page = await console.open(None)
    await page.add_init_script("localStorage.setItem('thornback-language', 'de')")
    headings = {
        "#/": "Jobs",
        "#/new": "Neuer Job",
        "#/compare": "Jobs vergleichen",
        "#/models": "Modelle",
        "#/analytics": "Auswertung",
        "#/usage": "Verbrauch und Kosten",
        "#/admin": "Verwaltung",
        "#/keys": "API-Schlüssel",
    }
    for hash, heading in headings.items():
        await page.goto(f"http://{console.host}/{hash}")
        await expect(page.locator("h1")).to_have_text(heading)


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
