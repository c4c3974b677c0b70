"""A job on a page of another origin, under a policy of that page's own: the web component and the React hook."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import Console
from tests.browser.test_session import guarded
from tests.fixtures.api import Reports, eventually
from tests.fixtures.web import Answer, Web, web_server
from thornback.access.tickets import Ticket, write_ticket
from thornback.artifacts.links import signing_secret

SCRIPT = """
import { createTrainingWebSocketHook, follow } from "SERVER/embed/use-training-websocket.js";
window.follow = follow;
window.createHook = createTrainingWebSocketHook;
import "SERVER/embed/thornback-job.js";
window.heard = [];
for (const name of ["thornback-status", "thornback-end", "thornback-token"])
  addEventListener(name, ({ detail }) => heard.push([name, detail.status ?? null]));
"""


@pytest_asyncio.fixture(loop_scope="session")
async def site() -> AsyncIterator[Web]:
    """Somebody else's server."""
    async with web_server() as web:
        yield web


def ticket(console: Console, job_id: str, *, seconds: int = 600, user: str = "ada") -> str:
    ends = datetime.now(UTC) + timedelta(seconds=seconds)
    return write_ticket(Ticket(user=user, job_id=job_id, expires_at=ends), signing_secret(console.api.settings))


async def open_site(console: Console, site: Web) -> Page:
    """A page of the other server that has loaded our two files."""
    server = f"http://{console.host}"
    policy = f"default-src 'none'; script-src 'self' {server}; connect-src {server} ws://{console.host}"
    html = Answer(
        headers={"Content-Type": "text/html", "Content-Security-Policy": policy},
        body=b"<!doctype html><title>theirs</title><script type=module src=page.js></script><main></main>",
    )
    script = Answer(headers={"Content-Type": "text/javascript"}, body=SCRIPT.replace("SERVER", server).encode())
    site.script = lambda request: script if request.path == "/page.js" else html
    page = await console.open(None)
    await page.goto(f"{site.url}/")
    await until(page, "window.heard")
    # it is this page that asks elsewhere, on purpose
    console.faults[:] = [fault for fault in console.faults if not fault.startswith(f"asked {site.url}/")]
    return page


async def until(page: Page, expression: str) -> None:
    """Wait until it holds. The page's policy forbids what playwright's own waiting does in the page."""

    async def holds() -> bool:
        return bool(await page.evaluate(f"Boolean({expression})"))

    await eventually(holds)


async def embed(page: Page, console: Console, job_id: str, token: str) -> None:
    await page.evaluate(
        """([server, job, token]) => {
          const made = document.createElement("thornback-job");
          made.setAttribute("server", server);
          made.setAttribute("job-id", job);
          made.setAttribute("token", token);
          document.querySelector("main").append(made);
        }""",
        [f"http://{console.host}", job_id, token],
    )


async def test_a_job_is_live_on_another_sites_page(console: Console, site: Web) -> None:
    await guarded(console)
    job = await console.api.create("Radio <b>one</b>", user="ada")
    reports = Reports(job.id)
    await console.api.record(reports.started(), reports.step(1, 1, train_loss=2.0), reports.step(1, 2, train_loss=1.0))
    page = await open_site(console, site)
    await embed(page, console, job.id, ticket(console, job.id))
    card = page.locator("thornback-job")
    await expect(card).to_contain_text("Radio <b>one</b>")  # as text
    await expect(card).to_contain_text("running")
    await expect(card.locator("svg path")).to_have_attribute("d", "M0.00,2.00L100.00,34.00")

    await console.api.record(reports.progress(42.0), reports.step(1, 3, train_loss=0.0))
    await expect(card).to_contain_text("42 %")
    await expect(card.locator("svg path")).to_have_attribute("d", "M0.00,2.00L50.00,18.00L100.00,34.00")

    # it comes back by itself, and what happened meanwhile is there
    console.allow(r"ERR_CONNECTION_REFUSED|WebSocket connection")
    await console.stop()
    await console.api.record(reports.progress(77.0))
    await console.serve(console.api.app(access="on"))
    await expect(card).to_contain_text("77 %")
    await console.api.record(reports.succeeded())
    await expect(card).to_contain_text("completed")
    heard = await page.evaluate("heard")
    assert heard[-1] == ["thornback-end", "completed"]
    assert [name for name, _ in heard].count("thornback-end") == 1


async def test_a_ticket_that_has_ended_is_asked_for_anew(console: Console, site: Web) -> None:
    await guarded(console)
    job, other = await console.api.create("mine", user="ada"), await console.api.create("not this one", user="ada")
    page = await open_site(console, site)
    console.allow(r"status of 403")
    await embed(page, console, job.id, ticket(console, job.id, seconds=-1))
    await until(page, "heard.some(([name]) => name === 'thornback-token')")
    await page.evaluate("(token) => document.querySelector('thornback-job').setAttribute('token', token)", "x")
    await until(page, "heard.filter(([name]) => name === 'thornback-token').length === 2")
    good = ticket(console, job.id)
    await page.evaluate("(token) => document.querySelector('thornback-job').setAttribute('token', token)", good)
    await expect(page.locator("thornback-job")).to_contain_text("mine")
    # a ticket for one job opens no other
    await page.evaluate("(id) => document.querySelector('thornback-job').setAttribute('job-id', id)", other.id)
    await until(page, "heard.filter(([name]) => name === 'thornback-token').length === 3")
    await expect(page.locator("thornback-job")).not_to_contain_text("not this one")


# What the hook asks of React, as React does it for one component that is shown once: state that is kept by order of
# call, and effects after the first drawing.
ONE_COMPONENT = """
([server, job, token]) => {
  const states = []; let at = 0; const effects = [];
  const React = {
    useState: (first) => { const here = at++; states[here] ??= { value: first };
      return [states[here].value, (value) => { states[here].value = value; draw(); }]; },
    useEffect: (effect) => { if (effects.length === 0) effects.push(effect); },
  };
  const useTrainingWebSocket = window.createHook(React);
  const draw = () => { at = 0; window.shown = useTrainingWebSocket(job, { server, token }); };
  draw();
  window.leave = effects[0]();
}"""


async def test_the_hook_gives_status_and_connected(console: Console, site: Web) -> None:
    await guarded(console)
    job = await console.api.create("hooked", user="ada")
    reports = Reports(job.id)
    await console.api.record(reports.started(), reports.progress(10.0))
    page = await open_site(console, site)
    await page.evaluate(ONE_COMPONENT, [f"http://{console.host}", job.id, ticket(console, job.id)])
    await until(page, "shown.connected && shown.status?.progress_percent === 10")
    await console.api.record(reports.epoch(1, train_loss=0.5), reports.progress(20.0))
    await until(page, "shown.status.progress_percent === 20 && shown.status.metrics.train_loss === 0.5")

    console.allow(r"ERR_CONNECTION_REFUSED|WebSocket connection")
    await console.stop()
    await until(page, "!shown.connected")
    await console.api.record(reports.progress(30.0))
    await console.serve(console.api.app(access="on"))
    await until(page, "shown.connected && shown.status.progress_percent === 30")
    await page.evaluate("leave()")
    await until(page, "!shown.connected")


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (59, "59 s"), (61, "1 min"), (5399, "90 min"), (5400, "1.5 h")]
)
async def test_time_left_in_words(console: Console, site: Web, seconds: float, words: str) -> None:
    page = await open_site(console, site)
    url = f"http://{console.host}/embed/thornback-job.js"
    asked = "([url, seconds]) => import(url).then((module) => module.timeLeft(seconds))"
    assert await page.evaluate(asked, [url, seconds]) == words
