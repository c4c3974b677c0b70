"""Structured logs: one JSON object a line for machines, a readable line for a terminal."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Literal

import structlog

from thornback.masking import Masker

_ACTIVE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all that terminals act on but tab and newline


def configure_logging(
    level: str = "INFO",
    *,
    secrets: Iterable[str] = (),
    form: Literal["auto", "json", "text"] = "auto",
    about: Mapping[str, str | int] | None = None,
) -> None:
    """Set up structlog for this process. Bind `job_id` with `structlog.contextvars.bound_contextvars`.

    Args:
        level: the least that is written.
        secrets: values that are never written; see `Settings.secrets`. What looks like a key is left out as well.
        form: `auto` is text on a terminal and JSON elsewhere. With `json` what libraries log is JSON as well.
        about: what stands in every line of this process.
    """
    is_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if is_text else structlog.processors.JSONRenderer()
    )
    shared: list[structlog.typing.Processor] = [
        _About(about or {}),
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _Clean(Masker(secrets)),
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping().get(level.upper(), 20)),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    if form == "json":
        _take_standard_logging(shared, level)


class _JsonHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """The one of ours among the root logger's."""


def _take_standard_logging(processors: list[structlog.typing.Processor], level: str) -> None:
    """Write what libraries log by the standard module as the same JSON."""
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _JsonHandler)]:
        root.removeHandler(handler)
    handler = _JsonHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *processors],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    handler.setLevel(level.upper())
    root.addHandler(handler)


class _About:
    """A processor: what stands in every line."""

    def __init__(self, about: Mapping[str, str | int]) -> None:
        self._about = dict(about)

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """See structlog."""
        for name, value in self._about.items():
            event.setdefault(name, value)
        return event


class _Clean:
    """A processor: no keys, and nothing that a terminal acts on."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """See structlog."""
        for name, value in event.items():
            if isinstance(value, BaseException):
                value = f"{type(value).__name__}: {value}"  # noqa: PLW2901 - the text is what gets written
            masked = self._masker.deep(value)
            event[name] = _ACTIVE.sub("", masked) if isinstance(masked, str) else masked
        return event


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger that carries the name of its component."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(component=name)
    return logger
