"""Every view is for everyone, in light and dark: axe finds nothing serious, and nothing scrolls sideways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Console
from tests.browser.test_admin import fair
from tests.browser.test_models import versions
from tests.fixtures.api import Reports

# Those that have a test of their own beside the others of their view: jobs (test_looks), admin, analytics, usage.
VIEWS = {
    "new": ("#/new", "form"),
    "new ConvNeXt": ("#/new?kind=convnext", "form"),
    "new LoRA at fal": ("#/new?kind=lora&backend=fal", "form"),
    "new from a video": ("#/new?kind=video_lora", "form"),
    "compare": ("#/compare", "h1"),
    "compare two": ("#/compare?ids={ids}", "h1"),
    "models": ("#/models", ".model-row"),
    "model": ("#/models/fox", ".version"),
    "keys": ("#/keys", "h1"),
    "sign-in": ("#/sign-in", "h1"),
    "nothing": ("#/nowhere", "h1"),
    "example": ("embed/example.html", "h1"),
}


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), pytest.param("dark", 1280, marks=pytest.mark.slow)])
async def test_every_view(console: Console, tmp_path: Path, scheme: Any, width: int) -> None:
    await versions(console, tmp_path)
    jobs = [await console.api.create(name, epochs=4) for name in ("one", "two")]
    for job in jobs:
        run = Reports(job.id)
        await console.api.record(run.started(), *(run.epoch(number) for number in (1, 2, 3)))
    page = await console.open(None, width=width, height=844, color_scheme=scheme, reduced_motion="reduce")
    wrong: dict[str, list[str]] = {}
    for name, (path, sign) in VIEWS.items():
        await page.goto("about:blank")
        await page.goto(f"http://{console.host}/{path.format(ids=','.join(job.id for job in jobs))}")
        await expect(page.locator(sign).first).to_be_visible()
        if found := await fair(page, width):
            wrong[name] = found
    assert wrong == {}
