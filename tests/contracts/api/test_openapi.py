"""The API does what its OpenAPI document says: made-up requests find no server error and no breach."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.contracts.freeze import openapi
from tests.fixtures.api import Reports, api_on, serving

# Endless by design; tests/integration/api looks at it.
ENDLESS = "/api/v1/training/events"
# Endless as long as the job is active.
STREAMS = ("/events", "/logs")
# A valid body can still be refused: the document cannot say that warm-up must end before the training does.
EXCLUDED: list[CheckFunction] = [positive_data_acceptance]
# An address of more than 16 kB is refused before it is read; schemathesis does not know that answer.
TOO_LONG = 414
schemathesis.serializer.alias("application/zip", "application/octet-stream")
MADE_UP = settings(
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


class LiveApi:
    """A server in a thread of its own; its database has jobs with an active, an ended and a waiting one."""

    def __init__(self, database_url: str, home: Path) -> None:
        self.address: Future[str] = Future()
        self.jobs: dict[str, str] = {}  # id by name
        self.document: Any = None
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(database_url, home),))
        self._thread.start()

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(30)
        self._loop.close()

    async def _serve(self, database_url: str, home: Path) -> None:
        async with api_on(database_url, home) as platform:
            for name in ("active", "ended", "waiting"):
                self.jobs[name] = (await platform.create(name)).id
                reports = Reports(self.jobs[name])
                if name != "waiting":
                    await platform.record(reports.started(), reports.epoch(1), reports.log("a line"))
                if name == "ended":
                    await platform.record(reports.succeeded())
            async with serving(platform.app()) as address:
                self.address.set_result(address)
                await self._ending.wait()


@pytest.fixture(scope="module")
def live(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveApi]:
    """A running server and the document that it hands out."""
    home = tmp_path_factory.mktemp("api")
    database = home / "thornback.db"
    database.write_bytes(sqlite_template.read_bytes())
    live = LiveApi(f"sqlite:///{database}", home)
    try:
        address = live.address.result(30)
        live.document = schemathesis.openapi.from_url(f"http://{address}/openapi.json", timeout=60.0)
        yield live
    finally:
        live.end()


def operations() -> list[tuple[str, str]]:
    """(path, method) of every operation, from the document of an application that stands on nothing."""
    paths = json.loads(openapi())["paths"]
    return [(path, method) for path, item in paths.items() if path != ENDLESS for method in item]


def check(live: LiveApi, path: str, method: str, examples: int) -> None:
    """Send made-up requests, right and wrong ones, and hold the answers against the document."""
    operation = live.document[path][method.upper()]
    right, wrong = (operation.as_strategy(generation_mode=mode) for mode in GenerationMode)
    known = [id for name, id in live.jobs.items() if name == "ended" or not path.endswith(STREAMS)]

    def of(case: Any, job_id: str | None) -> Any:
        if job_id is not None and "job_id" in case.path_parameters and method != "delete":
            case.path_parameters["job_id"] = job_id  # a made-up one never exists
        return case

    @settings(MADE_UP, max_examples=examples)
    @given(case=st.builds(of, right, st.sampled_from([None, *known])) | wrong)
    def send(case: Any) -> None:
        answer = case.call()
        if answer.status_code == TOO_LONG:
            assert len(answer.request.url) > 16_000
            return
        case.validate_response(answer, excluded_checks=EXCLUDED)

    send()


@pytest.mark.parametrize(("path", "method"), operations())
def test_made_up_requests(live: LiveApi, path: str, method: str) -> None:
    check(live, path, method, 15)


@pytest.mark.slow
@pytest.mark.parametrize(("path", "method"), operations())
def test_many_made_up_requests(live: LiveApi, path: str, method: str) -> None:
    check(live, path, method, 500)
