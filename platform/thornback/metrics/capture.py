"""What a process prints, also in its job's log: stdout, stderr and the logging module.

Everything is still printed where it was. Writes that go around Python's streams (`sys.stdout.buffer`,
C libraries) are not seen.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

from thornback.metrics.lines import LineBuffer

# A progress bar rewrites its line many times a second; its state is logged so often, and at its end.
PROGRESS_BAR_S = 5.0

# What a thread printed last, in characters: enough to recognise a log record that repeats it.
RECENT_CHARS = 4000


class LogTaker(Protocol):
    """Takes lines: a Reporter."""

    def log(self, line: str) -> None:
        """One line."""
        ...


class Capture:
    """Passes lines on to a reporter; never raises, and never captures what the reporter itself prints."""

    def __init__(self, reporter: LogTaker) -> None:
        self._reporter = reporter
        self._local = threading.local()
        self._pid = os.getpid()

    def line(self, line: str) -> None:
        """Pass a line on."""
        # A forked child (a data loader's worker) only prints; the reporter is not its own.
        if getattr(self._local, "inside", False) or os.getpid() != self._pid:
            return
        self._local.inside = True
        try:
            self._reporter.log(line)
        except Exception as error:  # noqa: BLE001 - printing must work whatever becomes of the log
            sys.__stderr__ and sys.__stderr__.write(f"the job's log missed a line: {error!r}\n")
        finally:
            self._local.inside = False

    def printed(self, text: str) -> None:
        """Remember what this thread prints."""
        recent = getattr(self._local, "recent", "") + text
        self._local.recent = recent[-RECENT_CHARS:]

    def was_printed(self, message: str) -> bool:
        """True where this thread printed just this."""
        recent: str = getattr(self._local, "recent", "")
        return bool(message) and recent.rstrip("\n").endswith(message.rstrip("\n")[-RECENT_CHARS:])


class Tee:
    """A text stream that passes everything on and gives whole lines to a capture."""

    def __init__(self, stream: TextIO, capture: Capture, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._capture = capture
        self._clock = clock
        # Re-entrant: a signal handler or a destructor may print in the middle of a print.
        self._lock = threading.RLock()
        self._buffer = LineBuffer()
        self._shown_at = clock()

    def write(self, text: str) -> int:
        """Print, and log the lines that are complete."""
        written = self._stream.write(text)
        self._capture.printed(text)
        with self._lock:
            lines = list(self._buffer.feed(text))
            if self._buffer.rewritten and self._clock() - self._shown_at >= PROGRESS_BAR_S:
                self._shown_at = self._clock()
                lines.append(self._buffer.peek())
        for line in lines:
            self._capture.line(line)
        return written

    def writelines(self, lines: Any) -> None:
        """Print several pieces."""
        for line in lines:
            self.write(line)

    def finish(self) -> None:
        """Log the line that was begun and not ended."""
        with self._lock:
            line = self._buffer.take()
        if line:
            self._capture.line(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _RecordHandler(logging.Handler):
    """Takes the log records that no handler prints where the tees would see them."""

    def __init__(self, capture: Capture) -> None:
        super().__init__()
        self._capture = capture
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        others = [handler for handler in _handlers(record.name) if handler is not self]
        last_resort = logging.lastResort
        if not others and last_resort is not None:
            # Without this handler here, Python would have printed it to stderr. It still does.
            if record.levelno >= last_resort.level:
                last_resort.handle(record)
            return
        if any(_prints(handler) and record.levelno >= handler.level for handler in others):
            return
        # Ray Train repeats every print() as a record of the root logger.
        if record.name == "root" and self._capture.was_printed(record.getMessage()):
            return
        for line in self.format(record).splitlines():
            self._capture.line(line)


def _handlers(name: str) -> Iterator[logging.Handler]:
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None


def _prints(handler: logging.Handler) -> bool:
    return isinstance(handler, logging.StreamHandler) and isinstance(handler.stream, Tee)


def _stream_handlers() -> Iterator[logging.StreamHandler[Any]]:
    known = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    for logger in known:
        if isinstance(logger, logging.Logger):
            for handler in logger.handlers:
                if isinstance(handler, logging.StreamHandler):
                    yield handler


@contextmanager
def capture_output(reporter: LogTaker) -> Iterator[None]:
    """Within this, what is printed and logged goes to `reporter.log` as well.

    Handlers that print to the present stdout or stderr are pointed at the tees for the time being, so
    that nothing is logged twice; records that are not printed at all are taken from the root logger.
    """
    capture = Capture(reporter)
    out, err = sys.stdout, sys.stderr
    tees = {id(out): Tee(out, capture), id(err): Tee(err, capture)}
    moved = [(handler, handler.stream) for handler in _stream_handlers() if id(handler.stream) in tees]
    for handler, stream in moved:
        handler.setStream(tees[id(stream)])
    record_handler = _RecordHandler(capture)
    logging.getLogger().addHandler(record_handler)
    tee_out, tee_err = tees[id(out)], tees[id(err)]
    sys.stdout, sys.stderr = tee_out, tee_err
    try:
        yield
    finally:
        # Somebody who wrapped the streams since then keeps their wrapper.
        if sys.stdout is tee_out:
            sys.stdout = out
        if sys.stderr is tee_err:
            sys.stderr = err
        logging.getLogger().removeHandler(record_handler)
        for handler in _stream_handlers():
            if isinstance(handler.stream, Tee) and id(handler.stream._stream) in tees:
                handler.setStream(handler.stream._stream)
        for tee in tees.values():
            tee.finish()
