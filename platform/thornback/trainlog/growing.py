"""A log that is sent whole each time -> what is new in it."""

from __future__ import annotations

_ANCHOR = 2_048  # characters of what was seen that are kept to find the place again
_HEAD = 256  # by which an older log is known as the same one
_LEAST = 32  # characters that must agree: less is found by chance in any log of bars


class GrowingLog:
    """Remembers the end of what was given, not the log."""

    def __init__(self) -> None:
        self._seen = 0
        self._head = ""
        self._tail = ""

    def take(self, whole: str) -> str:
        """What `whole` has that was not given before.

        A head that was cut off, and a last line that was drawn anew, are found by what still agrees; the line that
        changed is given again, behind a line end. An older and shorter log (they arrive in any order) gives
        nothing. A log in which nothing agrees is another one and is given whole.
        """
        new = self._new(whole)
        if new:
            self._seen = len(whole)
            self._head, self._tail = whole[:_HEAD], whole[-_ANCHOR:]
        return new

    def _new(self, whole: str) -> str:
        if not self._tail:
            return whole
        start = self._seen - len(self._tail)
        if whole.startswith(self._tail, start):
            return whole[self._seen :]
        if len(whole) <= self._seen and self._head.startswith(whole[:_HEAD]):
            return self._rewritten(whole, start)
        found = whole.rfind(self._tail)
        if found >= 0:
            return whole[found + len(self._tail) :]
        overlap = self._tail.find(whole[:_LEAST]) if len(whole) >= _LEAST else -1
        if overlap >= 0 and whole.startswith(self._tail[overlap:]):
            return whole[len(self._tail) - overlap :]  # the cut is inside what is remembered
        return self._after_changed_line(whole, start)

    def _rewritten(self, whole: str, start: int) -> str:
        """An older log, which has nothing new; or one of the same age whose last line became shorter."""
        end = max(self._tail.rfind("\n"), self._tail.rfind("\r")) + 1
        changed = end and whole.startswith(self._tail[:end], start) and len(whole) > start + end
        if not changed or self._tail[end:].startswith(whole[start + end :]):
            return ""
        return "\n" + whole[start + end :]

    def _after_changed_line(self, whole: str, start: int) -> str:
        """The whole lines that were seen still agree; only the unfinished one was written over."""
        end = max(self._tail.rfind("\n"), self._tail.rfind("\r")) + 1
        kept = self._tail[:end]
        if kept and whole.startswith(kept, start):
            return whole[start + end :] if self._tail[end:] == "" else "\n" + whole[start + end :]
        if len(kept) >= _LEAST and (found := whole.rfind(kept)) >= 0:
            return "\n" + whole[found + len(kept) :]
        return "\n" + whole
