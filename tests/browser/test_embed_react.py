"""The hook under React itself, with a job that changes and a component that goes."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import expect

from tests.browser.conftest import Console
from tests.fixtures.api import Reports
from tests.fixtures.web import Answer, web_server

VENDOR = Path(__file__).parent / "vendor"
PAGE = b"""<!doctype html><title>theirs</title><script src=react.min.js></script><script src=react-dom.min.js></script>
<script type=module src=page.js></script><main></main>"""
SCRIPT = """
import { createTrainingWebSocketHook } from "SERVER/embed/use-training-websocket.js";
const token = new URLSearchParams(location.search).get("token");
const useTrainingWebSocket = createTrainingWebSocketHook(React);
function Job({ id }) {
  const { status, connected } = useTrainingWebSocket(id, { server: "SERVER", token });
  const words = [connected ? "live" : "away", status?.job_name, status?.progress_percent];
  return React.createElement("p", null, words.join(" "));
}
const root = ReactDOM.createRoot(document.querySelector("main"));
window.show = (id) => root.render(React.createElement(React.StrictMode, null, id && React.createElement(Job, { id })));
"""


async def test_a_component_follows_its_job(console: Console) -> None:
    first, second = await console.api.create("first"), await console.api.create("second")
    run = Reports(first.id)
    await console.api.record(run.started(), run.progress(10.0))
    server = f"http://{console.host}"
    async with console.api.client() as client:
        ticket = (await client.post("/api/v1/tickets", json={"seconds": 600})).json()["ticket"]
    files = {f"/{name}": (VENDOR / name).read_bytes() for name in ("react.min.js", "react-dom.min.js")}
    files["/page.js"] = SCRIPT.replace("SERVER", server).encode()
    async with web_server() as site:
        site.script = lambda request: (
            Answer(headers={"Content-Type": "text/javascript"}, body=files[request.path])
            if request.path in files
            else Answer(headers={"Content-Type": "text/html"}, body=PAGE)
        )
        page = await console.open(None)
        await page.goto(f"{site.url}/?token={ticket}")
        await page.wait_for_function("Boolean(window.show)")
        shown = page.locator("main p")
        await page.evaluate("(id) => show(id)", first.id)
        await expect(shown).to_have_text("live first 10")
        await console.api.record(run.progress(20.0))
        await expect(shown).to_have_text("live first 20")
        await page.evaluate("(id) => show(id)", second.id)
        await expect(shown).to_have_text("live second 0")
        await page.evaluate("show(null)")
        await expect(shown).to_have_count(0)
        console.faults[:] = [fault for fault in console.faults if not fault.startswith(f"asked {site.url}/")]
