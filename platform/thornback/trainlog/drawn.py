"""Bars of other libraries: Keras, rich (Lightning), click, progressbar2, alive-progress."""

from __future__ import annotations

import re

from thornback.trainlog.fields import read_fields, read_pace
from thornback.trainlog.numbers import CLOCK, COUNT, count, duration
from thornback.trainlog.reading import Reading

_NUMBERS = rf"(?P<n>{COUNT})/(?P<total>{COUNT}|Unknown|\?)"
_PERCENT = r"(?P<percent>\d{1,3}(?:\.\d{1,3})?) ?%"
_THIN = r"[━╸╺╺─]{2,240}"
_FILL = r"[#=>.\-_*█▓▒░ ]"

_KERAS = re.compile(rf"(?<![\w.,]){_NUMBERS} (?:\[[=>.]{{1,120}}\]|{_THIN}(?= ))")
_RICH = re.compile(
    rf"{_THIN}\s{{1,4}}(?:{_NUMBERS}|{_PERCENT})(?:\s{{1,4}}(?:(?P<elapsed>{CLOCK}) ?• ?)?(?P<left>{CLOCK}|-:--:--))?"
)
_CLICK = re.compile(
    rf"\[{_FILL}{{3,240}}\]\s{{1,3}}(?:{_PERCENT}|{_NUMBERS})(?:\s{{1,4}}(?P<left>(?:\d{{1,4}}d )?{CLOCK}))?"
)
_COUNTED = re.compile(rf"{_PERCENT} \((?P<n>{COUNT}) of (?P<total>{COUNT})\)")
_ALIVE = re.compile(rf"\|[^|]{{1,240}}\|\s(?:[^\w\s]{{1,4}}\s)?{_NUMBERS} \[{_PERCENT}\]")
_PER_STEP_FIRST = re.compile(r"^\s*(?:-\s*)?(?:ETA: )?(?P<left>[\d:]{1,12}s?)(?= )")

# What each needs, as a substring search is far cheaper than the pattern.
_ALL = ((_KERAS, "] - "), (_KERAS, "━ "), (_RICH, "━"), (_RICH, "─"), (_COUNTED, "% ("), (_ALIVE, "%]"))
_CLICK_ENDS = re.compile(r"[#=>.\-_*█▓▒░ ]\] {1,3}\d")


def find_drawn(line: str) -> tuple[int, Reading] | None:
    """Where the last such bar of the line begins, and what it says."""
    for pattern, need in _ALL:
        if need in line and (found := _last(pattern, line)):
            return found.start(), _reading(line, found, keras=pattern is _KERAS)
    if "] " in line and _CLICK_ENDS.search(line) and (found := _last(_CLICK, line)):
        return found.start(), _reading(line, found, keras=False)
    return None


def _last(pattern: re.Pattern[str], line: str) -> re.Match[str] | None:
    return max(pattern.finditer(line), key=re.Match.start, default=None)


def _reading(line: str, found: re.Match[str], *, keras: bool) -> Reading:
    parts = found.groupdict()
    total = parts.get("total") or ""
    reading = Reading(
        bar=True,
        per_epoch=keras,
        n=count(parts["n"]) if parts.get("n") else None,
        total=count(total) if total[:1].isdigit() else None,
        percent=float(parts["percent"]) if parts.get("percent") else None,
        eta=duration(parts["left"]) if parts.get("left") and parts["left"][0] != "-" else None,
    )
    reading.from_zero = found.re is _RICH
    rest = line[found.end() :]
    read_fields(rest, reading)
    read_pace(rest, reading)
    if keras and reading.eta is None and reading.n != reading.total and (left := _PER_STEP_FIRST.match(rest)):
        reading.eta = duration(left["left"])
    return reading
