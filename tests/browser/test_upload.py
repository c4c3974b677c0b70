"""Files dropped into the form: sent in parts, gone on with after a reload and a dead server, refused in words."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import FilePayload, Page, Route, expect

from tests.browser.conftest import Console
from tests.browser.test_new import HELD, jobs_of, with_providers
from tests.fixtures.clips import small_clip
from tests.unit.datasets.pictures_made import picture
from tests.unit.datasets.test_image_zip import zipped

SMALL_PARTS = "PART_BYTES = 8 * 1024 * 1024"
LORA = "#/new?kind=lora&backend=replicate"


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A ZIP of about 40 kB."""
    members = {"a.bmp": picture("BMP", (120, 100)), "a.txt": b"TOK", "b.png": picture()}
    return zipped(tmp_path / "mira.zip", members, compression=0)


def size_of(path: Path) -> int:
    return path.stat().st_size


def same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


async def choose(page: Page, *files: Path) -> None:
    await page.locator("input[type=file]").set_input_files(files)


async def in_small_parts(page: Page) -> None:
    """The page sends 4 kB at a time, so that there are many parts."""

    async def smaller(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(response=answer, body=(await answer.text()).replace(SMALL_PARTS, "PART_BYTES = 4096"))

    await page.route("**/form/upload.js", smaller)


async def open_form(console: Console, hash: str = LORA) -> Page:
    page = await console.open(None)
    await in_small_parts(page)
    await page.goto(f"http://{console.host}/{hash}")
    await expect(page.locator("#field-job_name")).to_be_visible()
    return page


async def test_a_dataset_from_the_disk_to_a_job(console: Console, dataset: Path) -> None:
    await with_providers(console)
    page = await open_form(console)
    await page.locator("#field-job_name").fill("MYMODEL")
    await choose(page, dataset)
    await expect(page.locator(".files-ready")).to_contain_text("2 pictures, 1 caption")
    await page.get_by_role("button", name="Start").click()
    await expect(page.locator("h1")).to_have_text("MYMODEL")
    (job,) = jobs_of(console)
    uri = job.spec["config"]["dataset"]
    assert re.fullmatch(r"upload:[0-9a-f-]{36}", uri)
    stored = Path(console.api.settings.storage) / "uploads" / f"{uri.removeprefix('upload:')}.zip"
    assert same(stored, dataset)


async def test_a_start_waits_for_the_upload(console: Console, dataset: Path) -> None:
    await with_providers(console)
    page = await open_form(console)
    held = asyncio.Event()

    async def slow(route: Route) -> None:
        if route.request.method == "PATCH" and int(route.request.headers["upload-offset"]) >= 8192:
            await held.wait()
        await route.fallback()

    await page.route("**/api/v1/uploads/*", slow)
    start = page.locator(".form-start")
    await choose(page, dataset)
    await expect(page.locator(".files-state")).to_contain_text("8.19 kB of")
    await start.click()
    await expect(page.locator(".form-error")).to_contain_text("One field needs a look.")  # the name, not the file
    await expect(page.locator("#field-job_name")).to_be_focused()
    await page.locator("#field-job_name").fill("MYMODEL")

    await start.click()
    await expect(start).to_have_text("Starts after the upload…")
    await page.get_by_role("button", name="Do not start").click()
    await expect(start).to_have_text("Start")
    await start.click()
    await page.locator("#field-job_name").fill("ANOTHER")  # a change calls it off, too
    await expect(start).to_be_enabled()
    await start.click()
    await expect(page.locator(".form-arrival")).to_be_visible()
    assert jobs_of(console) == []
    held.set()
    await expect(page.locator("h1")).to_have_text("ANOTHER")
    (job,) = jobs_of(console)
    assert job.spec["config"]["dataset"].startswith("upload:")


async def test_a_start_does_not_wait_for_an_upload_that_fails(console: Console, tmp_path: Path) -> None:
    console.allow(rf"{HELD} 422")
    await with_providers(console)
    page = await open_form(console)
    held = asyncio.Event()

    async def slow(route: Route) -> None:
        if route.request.method == "PATCH":
            await held.wait()
        await route.fallback()

    await page.route("**/api/v1/uploads/*", slow)
    await page.locator("#field-job_name").fill("MYMODEL")
    await choose(page, zipped(tmp_path / "broken.zip", {"a.png": picture()[:60]}))
    await page.locator(".form-start").click()
    await expect(page.locator(".form-arrival")).to_be_visible()
    held.set()
    await expect(page.locator(".files-refused")).to_contain_text("a.png")
    await expect(page.locator(".form-error")).to_contain_text("One field needs a look.")
    assert jobs_of(console) == []


async def test_pictures_that_are_dropped_are_packed(console: Console, tmp_path: Path) -> None:
    await with_providers(console)
    page = await open_form(console)
    data = await page.evaluate_handle(
        """(png) => {
          const bytes = Uint8Array.from(png);
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], "b.png"));
          transfer.items.add(new File([bytes], "a.png"));
          transfer.items.add(new File(["TOK"], "a.txt"));
          return transfer;
        }""",
        list(picture()),
    )
    zone = page.locator(".files-drop")
    await zone.dispatch_event("dragover", {"dataTransfer": data})
    await expect(zone).to_contain_text("Drop them")
    await zone.dispatch_event("drop", {"dataTransfer": data})
    await expect(page.locator(".files-ready")).to_contain_text("2 pictures, 1 caption")
    await page.get_by_role("button", name="Remove").click()
    await expect(zone).to_be_visible()
    await expect(page.locator("#field-config-dataset")).to_have_value("")


async def test_a_video(console: Console, tmp_path: Path) -> None:
    await with_providers(console)
    small_clip(tmp_path / "clip.mp4")
    page = await console.open("#/new?kind=video_lora&backend=replicate")
    await choose(page, tmp_path / "clip.mp4")
    await expect(page.locator(".files-ready")).to_contain_text("video of 10 s, 320 \N{MULTIPLICATION SIGN} 180")


async def test_a_pause_a_reload_and_the_same_file_again(console: Console, dataset: Path) -> None:
    await with_providers(console)
    page = await open_form(console)
    offsets: list[int] = []
    held = True

    async def slow(route: Route) -> None:
        if route.request.method != "PATCH":
            await route.fallback()
            return
        offset = int(route.request.headers["upload-offset"])
        if held and offset >= 8192:
            return  # never answered: the network is gone
        offsets.append(offset)
        await route.fallback()

    await page.route("**/api/v1/uploads/*", slow)
    await choose(page, dataset)
    await expect(page.locator(".files-state")).to_contain_text("8.19 kB of")
    await page.get_by_role("button", name="Pause").click()
    await expect(page.locator(".files-state")).to_contain_text("Paused")
    await page.get_by_role("button", name="Start").click()
    await expect(page.locator("#field-config-dataset-problem")).to_have_text("The file is not there yet.")

    held = False
    await page.reload()
    await expect(page.locator(".files-state")).to_contain_text("Choose the same file again")
    await expect(page.locator(".files-state")).to_contain_text("8.19 kB of")
    await choose(page, dataset)
    await expect(page.locator(".files-ready")).to_contain_text("2 pictures")
    assert offsets == list(range(0, size_of(dataset), 4096))  # no byte twice

    await page.reload()
    await expect(page.locator(".files-ready")).to_contain_text("2 pictures")


async def test_a_server_that_dies_in_the_middle(console: Console, dataset: Path) -> None:
    console.allow("ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE_CHUNKED|ERR_NETWORK")
    await with_providers(console)
    page = await open_form(console)
    stopped = False

    async def killing(route: Route) -> None:
        nonlocal stopped
        if route.request.method == "PATCH" and int(route.request.headers["upload-offset"]) >= 12288 and not stopped:
            stopped = True
            await console.stop()
        await route.fallback()

    await page.route("**/api/v1/uploads/*", killing)
    await choose(page, dataset)
    await expect(page.locator(".files-state")).to_contain_text(re.compile("next try in|Trying again"))
    await console.serve(console.api.app(replicate_api_token="r8_test"))
    await expect(page.locator(".files-ready")).to_contain_text("2 pictures")


async def test_what_cannot_be_used(console: Console, tmp_path: Path) -> None:
    console.allow(rf"{HELD} 422")
    await with_providers(console)
    page = await console.open(LORA)
    one: FilePayload = {"name": "a.png", "mimeType": "image/png", "buffer": picture()}
    other: FilePayload = {"name": "notes.docx", "mimeType": "application/msword", "buffer": b"x"}
    await page.locator("input[type=file]").set_input_files([one, other])
    await expect(page.locator(".files-refused")).to_contain_text("notes.docx is neither a picture nor a caption")
    broken = zipped(tmp_path / "broken.zip", {"a.png": picture()[:60]})
    await choose(page, broken)
    await expect(page.locator(".files-refused")).to_contain_text("a.png")
    good = zipped(tmp_path / "good.zip", {"a.png": picture()})
    await choose(page, good)
    await expect(page.locator(".files-ready")).to_contain_text("1 picture, 0 captions")
