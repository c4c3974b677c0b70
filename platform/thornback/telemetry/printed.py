"""What a process prints, as lines of JSON."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

LONGEST = 100_000  # characters of one line; what prints more without an end is cut there


class JsonStream:
    """A text stream that writes each whole line as a JSON object; what is one already stays as it is."""

    def __init__(self, stream: TextIO, about: Mapping[str, str | int]) -> None:
        """`about`: what stands in every line."""
        self._stream = stream
        self._about = dict(about)
        self._begun = ""
        self._lock = threading.RLock()  # a signal handler may print in the middle of a print

    def write(self, text: str) -> int:
        """Print the lines that are complete."""
        with self._lock:
            *lines, self._begun = (self._begun + text).split("\n")
            if len(self._begun) > LONGEST:
                lines, self._begun = [*lines, self._begun], ""
            for line in lines:
                self._put(line)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Print several pieces."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """What was begun waits for its end."""
        self._stream.flush()

    def isatty(self) -> bool:
        """No: nobody draws bars into JSON."""
        return False

    def _put(self, line: str) -> None:
        line = line.rpartition("\r")[2]  # a bar that was drawn over
        if not line.strip():
            return
        if not _is_object(line):
            at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
            line = json.dumps({"event": line, "level": "info", "timestamp": at, **self._about}, ensure_ascii=False)
        self._stream.write(line + "\n")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def print_json(about: Mapping[str, str | int]) -> None:
    """From now on what this process prints is JSON; a second call changes nothing."""
    if not isinstance(sys.stdout, JsonStream):
        sys.stdout = JsonStream(sys.stdout, about)
    if not isinstance(sys.stderr, JsonStream):
        sys.stderr = JsonStream(sys.stderr, about)


def _is_object(line: str) -> bool:
    if not line.startswith("{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
