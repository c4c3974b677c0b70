"""Chunks of any size -> whole clean lines, in bounded memory.

A carriage return, a run of backspaces and a movement of the cursor end a line as a newline does: each is how
some bar draws itself anew. A line is only given once its end is there, so chunk borders change nothing.
"""

from __future__ import annotations

import re

MAX_LINE = 65_536  # characters; bars glued together for hours without one line end are cut into such pieces
_TAIL = 4_096  # where in the end of such a piece a place to cut is looked for

_ENDS = re.compile(r"[\r\n]+")
# A CSI or OSC sequence (bounded: a lost end must not swallow the line), any other escape.
_CURSOR = re.compile(r"\x1b\[[0-9;?]{0,16}[A-HJSTdf]|\x08+|[\x0b\x0c\x85\u2028\u2029]")
_ESCAPE = re.compile(
    r"\x1b(?:\[[0-9;:?<=>]{0,32}[ -/]{0,4}[@-~]|\][^\x07\x1b]{0,512}(?:\x07|\x1b\\)|[()][0-9A-Za-z]|.)?"
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\u200b\u200e\u200f\u2060\ufeff]")
_UNCLEAN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x85\xa0\u200b\u200e\u200f\u2028\u2029\u202f\u2060\ufeff]")


class LineBuffer:
    """Holds the unfinished line, and no more than `MAX_LINE` characters of it."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._held = 0

    def feed(self, text: str) -> list[str]:
        """Lines that are now complete, without empty ones."""
        pieces = _ENDS.split(text)
        lines: list[str] = []
        for piece in pieces[:-1]:
            self._hold(piece, lines)
            self._flush(lines)
        self._hold(pieces[-1], lines)
        return lines

    def close(self) -> list[str]:
        """The last line, where no line end follows it."""
        lines: list[str] = []
        self._flush(lines)
        return lines

    def _hold(self, piece: str, lines: list[str]) -> None:
        while self._held + len(piece) > MAX_LINE:
            room = MAX_LINE - self._held
            whole = "".join(self._parts) + piece[:room]
            cut = whole.rfind("]", MAX_LINE - _TAIL) + 1 or MAX_LINE
            lines.extend(clean(whole[:cut]))
            piece = whole[cut:] + piece[room:]
            self._parts, self._held = [], 0
        if piece:
            self._parts.append(piece)
            self._held += len(piece)

    def _flush(self, lines: list[str]) -> None:
        if self._held:
            whole = self._parts[0] if len(self._parts) == 1 else "".join(self._parts)
            self._parts, self._held = [], 0
            if _UNCLEAN.search(whole):
                lines.extend(clean(whole))
            else:
                lines.append(whole)


def clean(line: str) -> list[str]:
    """Without escapes and control characters; several lines where the cursor was moved inside it."""
    pieces = _CURSOR.split(line) if _UNCLEAN.search(line) else [line]
    cleaned = (_CONTROL.sub("", _ESCAPE.sub("", piece)).replace("\xa0", " ").replace("\u202f", " ") for piece in pieces)
    return [piece for piece in cleaned if piece]
