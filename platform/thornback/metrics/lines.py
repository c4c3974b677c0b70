"""Printed text made fit for a log: whole lines, of bounded length, without what terminals act on."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Characters of one line; a longer one is cut.
MAX_LINE_CHARS = 8000

# Colours, cursor moves, window titles: ESC [ … letter, ESC ] … BEL or ESC \, and the two-character ones.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")  # all but tab
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_MOVES = re.compile(r"([\r\n])")


def clean(line: str, *, dropped: int = 0) -> str:
    """One line that every database and browser takes.

    Args:
        line: without its newline.
        dropped: characters that its writer has cut off already.
    """
    # Cut before the patterns run, so that a line of gigabytes costs no more than a long one.
    dropped += max(len(line) - MAX_LINE_CHARS, 0)
    line = _ESCAPES.sub("", line[:MAX_LINE_CHARS])
    line = _SURROGATES.sub("\ufffd", _CONTROLS.sub("", line))
    return f"{line} … [{dropped} more characters]" if dropped else line


class LineBuffer:
    r"""Collects what a stream is given in pieces and gives back whole lines, cleaned.

    After a carriage return the next text begins the line anew, as on a terminal: of a progress bar only
    the last state counts.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._kept = 0  # characters in `_parts`
        self._dropped = 0  # characters of the open line beyond the bound
        self._returned = False
        self._rewritten = False

    @property
    def rewritten(self) -> bool:
        """True where the open line was begun anew at least once: a progress bar."""
        return self._rewritten

    def feed(self, text: str) -> Iterator[str]:
        """Take a piece; yields every line that it completes."""
        for piece in _MOVES.split(text):
            if piece == "\n":
                yield self.take()
            elif piece == "\r":
                self._returned = True
            elif piece:
                self._add(piece)

    def peek(self) -> str:
        """The open line as it stands."""
        return clean("".join(self._parts), dropped=self._dropped)

    def take(self) -> str:
        """Give back the open line as it stands and begin the next."""
        line = self.peek()
        self._reset()
        self._rewritten = False
        return line

    def _add(self, text: str) -> None:
        if self._returned:
            self._reset()
            self._rewritten = True
        part = text[: MAX_LINE_CHARS - self._kept]
        self._dropped += len(text) - len(part)
        if part:
            self._parts.append(part)
            self._kept += len(part)

    def _reset(self) -> None:
        self._parts.clear()
        self._kept = self._dropped = 0
        self._returned = False
