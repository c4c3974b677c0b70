"""The stages of one process of a run as spans: each ends where the next begins."""

from __future__ import annotations

import threading
from typing import Any

from thornback.telemetry import traces


class StageSpans:
    """Where nothing is traced it does nothing."""

    def __init__(self, parent: str | None, about: traces.About = traces.NOTHING) -> None:
        """`parent`: the `traceparent` of the run; `about`: facts for each span."""
        self._parent = parent
        self._about = about
        self._lock = threading.Lock()
        self._name = ""
        self._going: Any = None

    def enter(self, name: str) -> None:
        """The run is in this stage now; saying so again changes nothing."""
        with self._lock:
            if name == self._name and self._going is not None:
                return
            self._end()
            self._name = name
            self._going = traces.begun(name, parent=self._parent, about=self._about)

    def close(self) -> None:
        """The last one is over."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._going is not None:
            self._going.end()
            self._going = None
