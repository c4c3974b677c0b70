"""The form of a new job against the real server: filled in, estimated, started exactly once."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from playwright.async_api import Route, expect

from tests.browser.conftest import Console
from tests.browser.test_looks import AXE
from tests.browser.test_session import guarded, sign_in
from tests.fixtures.api import FIRST, now
from thornback.jobs.events import EventFactory
from thornback.store.page import JobQuery

HELD = r"the server responded with a status of"
UNPROCESSABLE = rf"{HELD} 422"


async def with_providers(console: Console) -> None:
    await console.stop()
    await console.serve(console.api.app(replicate_api_token="r8_test"))


def jobs_of(console: Console) -> list[Any]:
    return [row.state for row in console.api.reader.jobs(JobQuery()).jobs]


async def test_from_the_header_to_a_job(console: Console) -> None:
    page = await console.open()
    await page.get_by_role("link", name="New job").click()
    await expect(page.get_by_role("heading", name="New job")).to_be_visible()
    await expect(page.get_by_role("link", name="New job")).to_have_attribute("aria-current", "page")
    start = page.get_by_role("button", name="Start")

    await start.click()  # empty: nothing is sent, and the keyboard is where something is missing
    await expect(page.locator("#field-job_name")).to_be_focused()
    await expect(page.locator("#field-job_name-problem")).to_have_text("Fill this in.")
    await expect(page.get_by_role("alert")).to_contain_text("One field needs a look.")

    await page.locator("#field-job_name").fill("radio baseline")
    await page.locator("#field-config-epochs").fill("0")
    await page.locator("#field-config-epochs").blur()
    await expect(page.locator("#field-config-epochs-problem")).to_have_text("Must be 1 to 1,000.")
    await page.locator("#field-config-epochs").fill("3")
    await expect(page.locator("#field-config-epochs-problem")).to_have_count(0)
    await page.locator("#field-config-model_architecture").select_option("convnext_atto")
    await page.locator("#field-config-pretrained").uncheck()
    await expect(page.locator(".estimate")).to_contain_text("nothing is billed")

    await page.get_by_text("More settings").click()
    await page.locator("#field-config-warmup_epochs").fill("1")
    await expect(page.locator("summary", has_text="More settings")).to_contain_text("1 changed")
    await start.click()
    await expect(page.locator("h1")).to_have_text("radio baseline")
    (job,) = jobs_of(console)
    assert page.url.endswith(f"#/jobs/{job.id}")
    config = job.spec["config"]
    assert (config["epochs"], config["pretrained"], config["model_architecture"]) == (3, False, "convnext_atto")
    assert (config["warmup_epochs"], config["batch_size"]) == (1, 32)

    await page.get_by_role("link", name="New job").click()  # the draft went with the job
    await expect(page.locator("#field-job_name")).to_have_value("")


async def test_what_only_the_server_knows_is_shown_at_its_field(console: Console) -> None:
    console.allow(UNPROCESSABLE)
    await with_providers(console)
    page = await console.open("#/new?kind=lora&backend=replicate")
    await page.locator("#field-job_name").fill("MYMODEL")
    await page.locator("#field-config-dataset").fill("https://data.example/a.zip")
    await page.locator("#field-config-trainer").fill("no-such-trainer")
    await page.get_by_role("button", name="Start").click()
    await expect(page.locator("#field-config-trainer-problem")).to_contain_text("no-such-trainer")
    await page.locator("#field-config-trainer").fill("flux-dev-lora")
    await expect(page.locator("#field-config-trainer-problem")).to_have_count(0)
    assert jobs_of(console) == []

    # A complaint about a field that is folded away opens its place.
    await page.goto(f"http://{console.host}/#/new?kind=convnext")
    await page.reload()
    await page.locator("#field-config-epochs").fill("2")
    await page.get_by_text("More settings").click()
    await page.locator("#field-config-hop_length").fill("4096")
    await page.get_by_role("button", name="Start").click()
    await expect(page.get_by_role("alert")).to_contain_text("hop_length (4096) is more than n_fft (2048)")


async def test_cost_and_time_before_the_start(console: Console) -> None:
    await with_providers(console)
    page = await console.open("#/new?kind=lora&backend=replicate")
    estimate = page.locator(".estimate")
    await expect(estimate).to_contain_text("Fill in what is required")
    await page.locator("#field-job_name").fill("MYMODEL")
    await page.locator("#field-config-dataset").fill("https://data.example/a.zip")
    await page.locator("#field-config-steps").fill("300")
    await expect(estimate).to_contain_text(re.compile(r"about \$\d"))
    before = await estimate.locator("dd").first.inner_text()
    await page.locator("#field-config-steps").fill("3000")
    await expect(estimate.locator("dd").first).not_to_have_text(before)
    await expect(estimate).to_contain_text("from the catalogue")
    options = page.locator("#field-config-trainer-list option")
    assert "flux-dev-lora" in [await option.get_attribute("value") for option in await options.all()]


async def test_own_trainings_are_estimated_from_past_ones(console: Console) -> None:
    for minutes in (10, 12, 14):
        await past_training(console, epochs=10, minutes=minutes)
    page = await console.open("#/new?kind=convnext")
    await page.locator("#field-job_name").fill("next")
    await page.locator("#field-config-model_architecture").select_option("convnext_atto")
    await page.locator("#field-config-epochs").fill("20")
    await expect(page.locator(".estimate")).to_contain_text("about 24 min")
    await expect(page.locator(".estimate")).to_contain_text("from past jobs")


async def past_training(console: Console, *, epochs: int, minutes: float) -> None:
    job = await console.api.create("past", epochs=epochs, model_architecture="convnext_atto", warmup_epochs=1)
    events, at = EventFactory(job.id), now()
    started = events.started(FIRST, at=at - timedelta(minutes=minutes))
    values = {"train_loss": 1.0}
    last = events.metrics(epoch=epochs, batch=None, phase="val", values=values, at=at)
    await console.api.record(started, last, events.succeeded(FIRST, at=at))


async def test_a_draft_survives_a_reload_and_a_look_elsewhere(console: Console) -> None:
    page = await console.open("#/new?kind=image_set")
    await page.locator("#field-job_name").fill("Ada, twelve views")
    await page.locator("#field-config-character").fill("ada")
    await page.locator("#field-config-prompts").fill("a portrait\nfrom behind")
    await page.get_by_role("button", name="Add a value").first.click()
    await page.get_by_label("Name 1").fill("view")
    await page.get_by_label("Value 1").fill("front\nback")
    await page.goto(f"http://{console.host}/#/")
    await expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()
    await page.goto(f"http://{console.host}/#/new")
    await expect(page.locator("#field-config-prompts")).to_have_value("a portrait\nfrom behind")
    await page.reload()
    await expect(page.locator("#field-job_name")).to_have_value("Ada, twelve views")
    await expect(page.get_by_label("Value 1")).to_have_value("front\nback")

    # Another kind has its own settings; what fits both comes along, and the others wait.
    kinds = page.get_by_role("group", name="Kind of job")
    await kinds.get_by_role("button", name="ConvNeXt").click()
    await expect(page.locator("#field-config-epochs")).to_be_visible()
    await expect(page.locator("#field-job_name")).to_have_value("Ada, twelve views")
    await kinds.get_by_role("button", name="Image set").click()
    await expect(page.locator("#field-config-character")).to_have_value("ada")
    await page.get_by_role("button", name="Clear the form").click()
    await page.reload()
    await expect(page.locator("#field-job_name")).to_have_value("")


async def test_a_new_job_like_an_old_one(console: Console) -> None:
    spec = {
        "job_name": "MYMODEL",
        "kind": "lora",
        "backend": "ray",
        "tags": {"team": "x"},
        "config": {"base_model": "m", "dataset": "s3://d/", "steps": 700, "resolution": [512], "min_snr_gamma": None},
    }
    job = await console.api.create_spec(spec)
    page = await console.open("#/new")
    await page.locator("#field-job_name").fill("something else")
    await page.goto(f"http://{console.host}/#/jobs/{job.id}")
    await page.get_by_role("link", name="New like this").click()
    await expect(page.locator("#field-job_name")).to_have_value("MYMODEL")
    await expect(page.locator("#field-config-steps")).to_have_value("700")
    await expect(page.locator("#field-config-learning_rate")).to_have_value("")  # as it is by default
    await page.reload()  # not copied a second time over what is changed now
    await page.locator("#field-config-steps").fill("800")
    await page.get_by_role("button", name="Start").click()
    await expect(page.locator("h1")).to_have_text("MYMODEL")
    made = next(state for state in jobs_of(console) if state.id != job.id)
    assert made.spec["tags"] == {"team": "x"}
    assert (made.spec["config"]["steps"], made.spec["config"]["min_snr_gamma"]) == (800, None)

    await page.goto(f"http://{console.host}/#/new?like={job.id}")
    await page.reload()
    await expect(page.get_by_text("Bring it back")).to_have_count(0)  # there was no draft to put aside


async def test_a_draft_that_made_way_comes_back(console: Console) -> None:
    job = await console.api.create("old", epochs=7)
    page = await console.open("#/new")
    await page.locator("#field-job_name").fill("something else")
    await page.goto(f"http://{console.host}/#/jobs/{job.id}")
    await page.get_by_role("link", name="New like this").click()
    await expect(page.locator("#field-job_name")).to_have_value("old")
    await page.get_by_role("button", name="Bring it back").click()
    await expect(page.locator("#field-job_name")).to_have_value("something else")


async def test_sign_in_and_start(console: Console) -> None:
    """The server first wants to know who asks: the start follows by itself, once."""
    console.allow(rf"{HELD} 401")
    signed_in = False
    keys: list[str] = []

    async def door(route: Route) -> None:
        if route.request.method != "POST":
            await route.fallback()
            return
        keys.append(route.request.headers["idempotency-key"])
        if signed_in:
            await route.fallback()
            return
        problem = {"type": "x", "title": "Unauthorized", "status": 401, "detail": "sign in", "code": "signed_out"}
        await route.fulfill(status=401, content_type="application/problem+json", body=json.dumps(problem))

    page = await console.open("#/new?kind=convnext")
    await page.route("**/api/v1/training/jobs", door)
    await page.locator("#field-job_name").fill("kept")
    await page.locator("#field-config-epochs").fill("2")
    await page.get_by_role("button", name="Start").click()
    await page.wait_for_url("**/#/sign-in*")

    # Back without having signed in: nothing is lost, nothing leads away again, and the button says what it does.
    await page.goto(f"http://{console.host}/#/new")
    await expect(page.get_by_role("button", name="Sign in and start")).to_be_visible()
    await expect(page.locator("#field-job_name")).to_have_value("kept")
    assert jobs_of(console) == []

    signed_in = True
    await page.reload()  # as after a sign-in elsewhere that leads back here
    await expect(page.locator("h1")).to_have_text("kept")
    await page.goto(f"http://{console.host}/#/new")
    await expect(page.locator("#field-job_name")).to_have_value("")
    await page.reload()
    await expect(page.locator("#field-job_name")).to_have_value("")
    assert len(jobs_of(console)) == 1
    assert len(set(keys)) == 1


async def test_a_visitor_fills_in_signs_in_and_it_starts(console: Console) -> None:
    await guarded(console)
    page = await console.open("#/new?kind=convnext")
    await page.locator("#field-job_name").fill("of a visitor")
    await page.locator("#field-config-epochs").fill("2")
    await page.get_by_role("button", name="Start").click()
    await page.wait_for_url("**/#/sign-in*")
    await sign_in(page)
    await expect(page.locator("h1")).to_have_text("of a visitor")
    (job,) = jobs_of(console)
    assert (job.user, job.spec["config"]["epochs"]) == ("ada", 2)


async def test_a_start_whose_answer_is_lost_makes_one_job(console: Console) -> None:
    console.allow("net::ERR_FAILED")
    lost: list[int] = []

    async def loses(route: Route) -> None:
        if route.request.method == "POST" and not lost:
            lost.append((await route.fetch()).status)
            await route.abort()
        else:
            await route.fallback()

    page = await console.open("#/new?kind=convnext")
    await page.route("**/api/v1/training/jobs", loses)
    await page.locator("#field-job_name").fill("once")
    await page.get_by_role("button", name="Start").click()
    await expect(page.get_by_role("alert").first).to_contain_text("cannot be reached")
    assert lost == [201]
    await page.get_by_role("button", name="Start").click()
    await expect(page.locator("h1")).to_have_text("once")
    assert len(jobs_of(console)) == 1


# As each of the three writes it.
TWO_EPOCHS = re.compile(r"""['"]?epochs['"]?: 2\b""")


async def test_the_commands_work_as_they_stand(console: Console, tmp_path: Path) -> None:
    page = await console.open("#/new?kind=convnext")
    await page.locator("#field-job_name").fill('it\'s "quoted" $HOME `x`')
    await page.locator("#field-config-epochs").fill("2")
    await page.get_by_text("The same as a command").click()
    bin_folder = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "THORNBACK_HOME": str(tmp_path / "home")}
    for count, name in enumerate(("curl", "Python", "CLI"), 1):
        await page.get_by_role("group", name="The same as a command").get_by_role("button", name=name).click()
        await expect(page.locator(".snippet")).to_contain_text(TWO_EPOCHS)  # drawn a moment after the field
        snippet = await page.locator(".snippet").inner_text()
        command = ("python", "-c", snippet) if name == "Python" else ("bash", "-ec", snippet)
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        _, errors = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, errors.decode()
        assert len(jobs_of(console)) == count
    assert {job.spec["job_name"] for job in jobs_of(console)} == {'it\'s "quoted" $HOME `x`'}
    assert {job.spec["config"]["epochs"] for job in jobs_of(console)} == {2}


async def test_every_kind_on_a_phone_and_by_everyone(console: Console) -> None:
    await with_providers(console)
    page = await console.open(width=390, height=844, has_touch=True, is_mobile=True, reduced_motion="reduce")
    widths, serious = {}, []
    for kind in ("convnext", "lora", "image_set", "video_lora"):
        await page.goto(f"http://{console.host}/?{kind}#/new?kind={kind}")
        await expect(page.locator("#field-job_name")).to_be_visible()
        await page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        await page.get_by_role("button", name="Start").click()
        await expect(page.locator(".form-problem").first).to_be_visible()
        widths[kind] = await page.evaluate("document.documentElement.scrollWidth")
        await page.evaluate(AXE.read_text())
        report = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        serious += [
            f"{kind} {item['id']}: {node['html']}"
            for item in report["violations"]
            if item["impact"] in ("serious", "critical")
            for node in item["nodes"]
        ]
    assert serious == []
    assert set(widths.values()) == {390}


async def test_the_form_by_keyboard_alone(console: Console) -> None:
    page = await console.open("#/new?kind=convnext")
    await page.locator("#field-job_name").focus()
    await page.keyboard.type("by hand")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("h1")).to_have_text("by hand")
