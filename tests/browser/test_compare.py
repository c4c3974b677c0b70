"""Jobs side by side, and what can be done with their curves."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

from playwright.async_api import expect

from tests.browser.conftest import Console
from tests.browser.test_modules import ask
from tests.fixtures.api import Reports, now
from thornback.jobs.spec import parse_spec
from thornback.jobs.state import JobState
from thornback.metrics.port import NewJob


async def sweep(console: Console) -> tuple[JobState, list[JobState]]:
    """A job with three parts that differ in their learning rates; each has ten epochs behind it."""
    whole = await console.api.create("sweep")
    parts = []
    for number in range(3):
        body = {"job_name": f"trial {number}", "config": {"epochs": 10, "learning_rate": 10.0 ** -(2 + number)}}
        spec = parse_spec(body).model_dump(mode="json")
        new = NewJob(job_id=str(uuid.uuid4()), spec=spec, user="local", at=now(), parent_id=whole.id)
        part = (await console.api.recorder.create(new)).job
        run = Reports(part.id)
        losses = [
            {"train_loss": 2.0 / n, "val_loss": 1.0 / n + number, "val_accuracy": number / 10} for n in range(1, 11)
        ]
        await console.api.record(run.started(), *(run.epoch(n, **values) for n, values in enumerate(losses, 1)))
        parts.append(part)
    return whole, parts


async def test_the_parts_of_a_job_are_compared(console: Console) -> None:
    whole, parts = await sweep(console)
    page = await console.open(f"#/compare?parent={whole.id}")
    await expect(page.get_by_text("All parts of sweep")).to_be_visible()
    values = page.get_by_role("region", name="Final values")
    await expect(values.get_by_role("row", name=re.compile("^val_loss")).locator(".compare-best")).to_contain_text(
        "0.1"
    )
    await expect(values.get_by_role("row", name=re.compile("^val_accuracy")).locator("td").last).to_contain_text("best")
    settings = page.get_by_role("region", name="Configuration").locator("tbody th")
    await expect(settings).to_have_text(["learning_rate"])  # all that differs
    chart = page.locator(".compare-chart .legend li")
    await expect(chart).to_have_count(3)

    grip = page.locator("[data-axis=learning_rate]")
    box = await grip.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 10, box["y"] + box["height"] * 0.4)
    await page.mouse.down()
    await page.mouse.move(box["x"] + 10, box["y"] + box["height"] * 0.95, steps=4)
    await page.mouse.up()
    await expect(page.get_by_text("1 of 3 jobs pass")).to_be_visible()
    await expect(chart).to_have_text(re.compile("trial 1"))
    await page.get_by_role("button", name="Let all pass").click()
    await page.get_by_text("Limits as a table").click()
    await page.get_by_role("slider", name="val_loss, to").fill("0.2")
    await expect(page.get_by_text("1 of 3 jobs pass")).to_be_visible()
    await expect(chart).to_have_text(re.compile("trial 0"))

    await page.goto(f"http://{console.host}/#/compare?ids={parts[0].id},{parts[2].id},{uuid.uuid4()}")
    console.allow("404")
    await expect(page.get_by_text("1 of them is here no longer.")).to_be_visible()
    await expect(values.get_by_role("link")).to_have_text(["trial 0", "trial 2"])
    better = Reports(parts[2].id).epoch(11, val_loss=0.01)
    await console.api.record(better)
    await expect(values.locator(".compare-best").last).to_contain_text("0.01")


async def test_curves_are_smoothed_compared_zoomed_and_saved(console: Console, tmp_path: Path) -> None:
    _, parts = await sweep(console)
    page = await console.open(f"#/jobs/{parts[0].id}")
    loss = page.locator(".chart").first
    await page.get_by_role("button", name="Smooth, compare, save…").click()
    await page.get_by_role("button", name="Compare with…").click()
    await page.get_by_role("checkbox", name=re.compile("trial 1")).check()
    await page.get_by_role("button", name="Done").click()
    await expect(loss.locator(".legend")).to_contain_text("trial 1 val 1.1")
    await page.get_by_role("slider", name=re.compile("Smoothing")).fill("0.5")
    await expect(loss.locator(".legend")).to_contain_text("val 0.1")
    await expect(loss.locator(".legend b").nth(1)).not_to_have_text("0.1")
    await page.get_by_role("button", name="log scale of Loss").click()

    plot = loss.get_by_role("img")
    await plot.focus()
    await page.keyboard.press("+")
    reset = page.get_by_role("button", name="Reset zoom")
    await expect(reset.first).to_be_visible()
    await page.keyboard.press("0")
    await expect(reset).to_have_count(0)
    await plot.hover()
    await page.keyboard.down("Control")
    await page.mouse.wheel(0, -300)
    await page.keyboard.up("Control")
    await expect(reset.first).to_be_visible()

    async with page.expect_download() as table:
        await page.get_by_role("button", name="Save Loss as CSV").click()
    lines = (await (await table.value).path()).read_text().splitlines()
    assert lines[0].split(",")[:3] == ["x", "train (raw)", "val (raw)"]
    assert lines[1].split(",")[:3] == ["1", "2", "1"]
    assert len(lines) == 11
    async with page.expect_download() as picture:
        await page.get_by_role("button", name="Save Loss as PNG").click()
    assert (await (await picture.value).path()).read_bytes().startswith(b"\x89PNG")


async def test_thinning_keeps_every_peak_and_is_exact_when_zoomed(console: Console) -> None:
    page = await console.open()
    found = await ask(
        page,
        "curves.js",
        """
        const xs = Array.from({ length: 100_000 }, (_, i) => i);
        const ys = xs.map((x) => Math.sin(x / 5000));
        ys[33_333] = 50;
        ys[77_777] = -50;
        ys[50_000] = null;
        const [tx, ty] = m.thin([xs, ys], 600);
        const [zx, zy] = m.thin([xs, ys], 600, 33_000, 34_000);
        return {
          few: tx.length <= 2600, first: tx[0], last: tx.at(-1), peaks: [Math.max(...ty), Math.min(...ty)],
          gap: ty.includes(null),
          grows: tx.every((x, i) => i === 0 || x > tx[i - 1]), same: tx.every((x, i) => ty[i] === ys[x]),
          zoomed: zx.length, from: zx[0], to: zx.at(-1), exact: zx.every((x, i) => zy[i] === ys[x]),
          small: m.thin([[1, 2], [3, 4]], 600),
        };
        """,
    )
    assert found == {
        "few": True,
        "first": 0,
        "last": 99_999,
        "peaks": [50, -50],
        "gap": True,
        "grows": True,
        "same": True,
        "zoomed": 1003,
        "from": 32_999,
        "to": 34_001,
        "exact": True,
        "small": [[1, 2], [3, 4]],
    }


async def test_smoothing_begins_at_the_first_value(console: Console) -> None:
    page = await console.open()
    smooth, joined, text = await ask(
        page,
        "curves.js",
        """
        const absent = (column) => column.map((value) => (value === undefined ? "absent" : value));
        return [
          absent(m.smooth([4, undefined, 2, null, 2], 0.5)),
          m.joinTables([[[1, 2], [10, 20]], [[2, 3], [5, 6]]]).map(absent),
          m.csv(["x", "=cmd", 'a,"b"'], [[1, 2], [0.5, null], [undefined, 3]]),
        ];
        """,
    )
    assert smooth == [4, "absent", (0.5 * 2 + 0.25 * 4) / 0.75, None, (0.5 * 2 + 0.25 * 2 + 0.125 * 4) / 0.875]
    assert joined == [[1, 2, 3], [10, 20, "absent"], ["absent", 5, 6]]
    assert text == 'x,\'=cmd,"a,""b"""\n1,0.5,\n2,,3\n'
