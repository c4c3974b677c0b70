"""Text of strangers on a terminal: job names, logs, provider's errors must not move its cursor or rename its window."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

# C0 but tab and newline, DEL, C1 (U+009B begins a sequence as ESC [ does), and what turns the direction of writing.
_ACTIVE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_UNESCAPED = re.compile(r"[\x7f-\x9f]")  # by JSON


def harmless(text: str) -> str:
    """The text without what terminals act on; of a sequence its printable rest stays and is seen."""
    return _ACTIVE.sub("", text)


def harmless_json(text: str) -> str:
    """JSON that holds none of it: what JSON leaves as it is, is escaped."""
    return _UNESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class SafeConsole(Console):
    """Rich's console, which writes no control characters but its own; they have no width, so nothing moves."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """See Console."""
        for segment in super().render(renderable, options):
            if segment.control is None and _ACTIVE.search(segment.text):
                yield Segment(harmless(segment.text), segment.style)
            else:
                yield segment
