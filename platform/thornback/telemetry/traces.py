"""One trace for one job: from the request that made it to the worker that trains it.

W3C trace contexts are passed on as the text of their `traceparent` header: over HTTP, in the event that creates a job,
in the environment of its driver. Spans go to a collector by OTLP over HTTP where an endpoint is set; where none is,
nothing of OpenTelemetry is loaded and every function here does nothing.
"""

from __future__ import annotations

import atexit
import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import thornback
from thornback.errors import SettingsError
from thornback.log import get_logger
from thornback.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.export import SpanExporter

About = Mapping[str, str | int | float | bool]

NOTHING: About = MappingProxyType({})

EXPORT_S = 5.0  # for one attempt to reach the collector; a batch that does not get there is dropped
SERVICE = "thornback"
_EXPORTER = "opentelemetry.exporter.otlp.proto.http"
_MISSING = "tracing needs the extra otel: pip install -c constraints.txt '.[otel]'"

_log = get_logger("telemetry")


class _Tracing:
    """Of the process."""

    def __init__(self) -> None:
        self.tracer: Any = None
        self.provider: Any = None


_tracing = _Tracing()


def check(settings: Settings) -> None:
    """For whoever starts the platform. Raises SettingsError where traces are wanted without the extra."""
    if settings.otlp_endpoint is None:
        return
    try:
        importlib.import_module(_EXPORTER)
    except ImportError as error:
        raise SettingsError.field("THORNBACK_OTLP_ENDPOINT", _MISSING) from error


def configure(settings: Settings, component: str) -> None:
    """Begin to trace where the settings name a collector; a second call changes nothing, and nothing is raised."""
    if settings.otlp_endpoint is None or _tracing.tracer is not None:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        _log.warning("nothing is traced", problem=_MISSING)  # on this machine; a training goes on without
        return
    address = f"{settings.otlp_endpoint.rstrip('/')}/v1/traces"
    trace_to(OTLPSpanExporter(endpoint=address, timeout=EXPORT_S), component)


def trace_to(exporter: SpanExporter, component: str) -> None:
    """Send the spans of this process to an exporter. Not OpenTelemetry's global one, which is Ray's and the user's."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    about = {"service.name": SERVICE, "service.version": thornback.__version__, "thornback.component": component}
    provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
    _tracing.provider, _tracing.tracer = provider, provider.get_tracer(SERVICE)
    atexit.register(close)


def close() -> None:
    """Send what waits and trace no more."""
    provider, _tracing.provider, _tracing.tracer = _tracing.provider, None, None
    if provider is not None:
        atexit.unregister(close)
        provider.shutdown()


def is_on() -> bool:
    """Whether this process traces."""
    return _tracing.tracer is not None


def here() -> str | None:
    """The `traceparent` of what this task or thread is doing, None outside of every trace."""
    if _tracing.tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")


def trace_id() -> str | None:
    """The 32 hexadecimal digits in the middle of `here`."""
    parent = here()
    return None if parent is None else parent.split("-")[1]


@contextmanager
def span(name: str, *, parent: str | None = None, is_root: bool = False, about: About = NOTHING) -> Iterator[Any]:
    """What the body does, as a part of a trace. Yields OpenTelemetry's span, or None where nothing is traced.

    Args:
        name: few of them; what differs stands in `about`.
        parent: the `traceparent` that it belongs to; None: what is going on here.
        is_root: begins a trace where there is none. Without it such a span is left out.
        about: facts, OpenTelemetry's attributes.
    """
    context = _context(parent)
    if _tracing.tracer is None or not (is_root or _is_within(context)):
        yield None
        return
    with _tracing.tracer.start_as_current_span(name, context=context, attributes=dict(about)) as made:
        yield made


@contextmanager
def within(parent: str | None) -> Iterator[None]:
    """Everything in the body belongs to that trace. None, or what is no `traceparent`: to none."""
    if _tracing.tracer is None:
        yield
        return
    from opentelemetry.context import attach, detach

    from_there = _context(parent)
    token = attach(from_there) if from_there is not None else None
    try:
        yield
    finally:
        if token is not None:
            detach(token)


def past(name: str, *, parent: str | None, start: datetime, end: datetime, about: About = NOTHING) -> None:
    """A span of what is over already, such as a wait."""
    context = _context(parent)
    if _tracing.tracer is None or parent is None or not _is_within(context):
        return
    made = _tracing.tracer.start_span(name, context=context, start_time=_ns(start), attributes=dict(about))
    made.end(_ns(max(start, end)))


def begun(name: str, *, parent: str | None, about: About = NOTHING) -> Any:
    """A span that its caller ends with `.end()`, None where nothing is traced."""
    context = _context(parent)
    if _tracing.tracer is None or not _is_within(context):
        return None
    return _tracing.tracer.start_span(name, context=context, attributes=dict(about))


def _context(parent: str | None) -> Context | None:
    """None where there is no parent: then the present one holds."""
    if parent is None or _tracing.tracer is None:
        return None
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": parent}, context=Context())


def _is_within(context: Context | None) -> bool:
    if _tracing.tracer is None:
        return False
    from opentelemetry import trace

    return trace.get_current_span(context).get_span_context().is_valid


def _ns(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1000
