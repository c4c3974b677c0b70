"""Structured logs: one JSON object a line for machines, a readable line for a terminal."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any

import structlog

from thornback.masking import Masker

_ACTIVE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all that terminals act on but tab and newline


def configure_logging(level: str = "INFO", *, secrets: Iterable[str] = ()) -> None:
    """Set up structlog for this process. Bind `job_id` with `structlog.contextvars.bound_contextvars`.

    Args:
        level: the least that is written.
        secrets: values that are never written; see `Settings.secrets`. What looks like a key is left out as well.
    """
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _Clean(Masker(secrets)),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping().get(level.upper(), 20)),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )


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
