"""Spans, sent to a receiver on loopback that reads OTLP as a collector does."""

from __future__ import annotations

import gzip
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest
from fastapi import FastAPI
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from serve_apps.api.traced import TraceRequests
from tests.fixtures.api import ApiPlatform
from thornback.errors import SettingsError
from thornback.settings import Settings
from thornback.telemetry import traces
from thornback.telemetry.stages import StageSpans

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")


class Collector:
    """Takes OTLP/HTTP."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if self.path == "/v1/traces":
                    collector.requests.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def spans(self) -> dict[str, Span]:
        """By name, once `traces.close()` has sent them."""
        found = [
            span for one in self.requests for rs in one.resource_spans for ss in rs.scope_spans for span in ss.spans
        ]
        return {span.name: span for span in found}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    traces.configure(Settings(otlp_endpoint=server.url), "test")
    yield server
    traces.close()
    server.close()


def test_where_nothing_is_set_nothing_is_traced() -> None:
    traces.configure(Settings(), "test")
    assert not traces.is_on()
    with traces.span("a", parent=PARENT, is_root=True) as made, traces.within(PARENT):
        assert made is None
        assert traces.here() is None


def test_spans_go_to_the_collector_as_parts_of_the_trace_that_they_are_given(collector: Collector) -> None:
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)
    with traces.span("launch", parent=PARENT, about={"backend": "ray"}):
        inner = traces.here()
        with traces.span("inside"):
            pass
    traces.past("queue", parent=PARENT, start=now - timedelta(seconds=5), end=now)
    traces.close()
    spans = collector.spans
    assert {span.trace_id for span in spans.values()} == {TRACE}
    assert spans["launch"].parent_span_id.hex() == "b7ad6b7169203331"
    assert spans["inside"].parent_span_id == spans["launch"].span_id
    assert inner == f"00-{TRACE.hex()}-{spans['launch'].span_id.hex()}-01"
    assert spans["queue"].end_time_unix_nano - spans["queue"].start_time_unix_nano == 5_000_000_000
    [resource] = {
        item.value.string_value
        for item in collector.requests[0].resource_spans[0].resource.attributes
        if item.key == "thornback.component"
    }
    assert resource == "test"


def test_what_belongs_to_no_trace_makes_none(collector: Collector) -> None:
    with traces.span("fal ask") as made:
        assert made is None
    traces.past("queue", parent=None, start=datetime.now(UTC), end=datetime.now(UTC))
    traces.past("queue", parent="no context", start=datetime.now(UTC), end=datetime.now(UTC))
    assert traces.begun("training", parent=None) is None
    traces.close()
    assert collector.spans == {}


def test_calls_within_the_trace_of_a_job(collector: Collector) -> None:
    with traces.within(PARENT), traces.span("fal order"):
        pass
    traces.close()
    assert collector.spans["fal order"].trace_id == TRACE


def test_stages_follow_one_another(collector: Collector) -> None:
    stages = StageSpans(PARENT, {"thornback.rank": 0})
    for name in ("preparing", "training", "training", "evaluating"):
        stages.enter(name)
    stages.close()
    traces.close()
    spans = collector.spans
    assert set(spans) == {"preparing", "training", "evaluating"}
    assert spans["preparing"].end_time_unix_nano <= spans["training"].start_time_unix_nano


async def test_a_job_keeps_the_trace_of_its_request(api: ApiPlatform, collector: Collector) -> None:
    body = {"job_name": "traced", "config": {"epochs": 1, "data": "/data", "pretrained": False}}
    async with api.client() as client:
        made = await client.post("/api/v1/training/jobs", json=body, headers={"traceparent": PARENT})
        seen = await client.get("/api/v1/training/jobs")
    assert (made.status_code, seen.status_code) == (201, 200), made.text
    job = api.reader.job(made.json()["id"]).state
    traces.close()
    [(name, span)] = collector.spans.items()  # who only looks is not traced
    assert (name, span.trace_id) == ("POST /api/v1/training/jobs", TRACE)
    assert job.traceparent == f"00-{TRACE.hex()}-{span.span_id.hex()}-01"


async def test_an_answer_of_ours_that_is_an_error_is_one_in_the_trace(collector: Collector) -> None:
    app = FastAPI()
    app.add_middleware(TraceRequests)

    @app.post("/broken")
    async def broken() -> None:
        raise ZeroDivisionError

    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        await client.post("/broken")
    traces.close()
    [span] = collector.spans.values()
    assert span.status.code == 2


def test_without_the_extra_it_is_said_at_the_start_and_a_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    # None in sys.modules is how Python says that a module is not there.
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    settings = Settings(otlp_endpoint="http://127.0.0.1:4318")
    with pytest.raises(SettingsError, match="needs the extra otel"):
        traces.check(settings)
    traces.configure(settings, "worker")
    assert not traces.is_on()
    traces.check(Settings())
