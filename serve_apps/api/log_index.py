"""The counted logs that a replica keeps, and finding text in them."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import regex

from thornback.errors import InvalidInput
from thornback.store.loglines import LineIndex
from thornback.store.read import StoreReader

MAX_LOGS = 64
MAX_MATCHES = 10_000  # of one answer; the next one goes on
MAX_PATTERN = 500
MOST_OF_A_LINE = 20_000  # characters that are looked at
LINE_S = 0.25  # a pattern that takes longer for one line is refused
Matches = Callable[[str], bool]


class LogIndexes:
    """The newest few, each used by one thread at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[LineIndex, threading.Lock]] = OrderedDict()

    @contextmanager
    def of(self, reader: StoreReader, job_id: str) -> Iterator[LineIndex]:
        """The job's log, counted to its end. Raises JobNotFound."""
        reader.job(job_id)
        with self._lock:
            index, lock = self._kept.setdefault(job_id, (LineIndex(job_id), threading.Lock()))
            self._kept.move_to_end(job_id)
            while len(self._kept) > MAX_LOGS:
                self._kept.popitem(last=False)
        with lock:
            index.refresh(reader)
            yield index


@dataclass(frozen=True, slots=True)
class Sought:
    """Numbers of lines with the text; `next` is where to go on, None where the log was read to its end."""

    lines: list[int] = field(default_factory=list)
    next: int | None = None


def matcher(text: str, *, is_regex: bool, is_exact: bool) -> Matches:
    """Whether a line has the text. Raises InvalidInput for a pattern that is none."""
    if not is_regex:
        if is_exact:
            return lambda line: text in line
        folded = text.casefold()
        return lambda line: folded in line.casefold()
    try:
        pattern = regex.compile(text, 0 if is_exact else regex.IGNORECASE)
    except regex.error as error:
        raise InvalidInput.field("q", f"is no regular expression: {error}") from None
    return lambda line: pattern.search(line, timeout=LINE_S) is not None


def search(
    index: LineIndex, reader: StoreReader, matches: Matches, *, first: int, rank: int | None, budget_s: float
) -> Sought:
    """Look from line `first` on, for `budget_s` seconds or until there are MAX_MATCHES.

    Raises InvalidInput where a pattern takes too long for a line.
    """
    found: list[int] = []
    ends_at = time.monotonic() + budget_s
    try:
        for piece in index.walk(reader, first, rank=rank):
            lines = piece.chunk.lines
            found += [piece.number + at for at, line in enumerate(lines) if matches(line[:MOST_OF_A_LINE])]
            if len(found) >= MAX_MATCHES or time.monotonic() > ends_at:
                return Sought(found, piece.number + len(lines))
    except TimeoutError:
        raise InvalidInput.field("q", "takes too long for a line of this log; write a simpler pattern") from None
    return Sought(found)
