"""Bars as tqdm draws them, anywhere in a line, whole or cut.

By `tqdm.format_meter`: `{desc}: {percentage:3.0f}%|{bar}| {n}/{total} [{elapsed}<{remaining}, {rate}{postfix}]`,
`{desc}: {n}{unit} [{elapsed}, {rate}{postfix}]` where the total is unknown; without the bar, or without
percentage and bar, in formats of one's own. Numbers carry SI prefixes with `unit_scale`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from thornback.trainlog.fields import read_fields
from thornback.trainlog.numbers import CLOCK, COUNT, count, number, seconds
from thornback.trainlog.reading import Reading

_LONGEST = 480  # of a bar's percentage and filling; terminals are narrower
_POSTFIX = 2_000

_COUNTS = rf"(?P<n>{COUNT}) ?/ ?(?P<total>{COUNT}|\?)(?: ?(?P<counted>[A-Za-z]{{1,12}}))?"
_METER = re.compile(
    rf"(?<![\d.,])(?:{_COUNTS} ?|(?P<alone>{COUNT}) ?(?P<unit>[A-Za-z][\w ]{{0,19}}?)? )\["
    rf"(?P<elapsed>{CLOCK})(?:<(?P<left>{CLOCK}|\?)?|(?=,))"
)
_RATE = re.compile(
    r"\s{0,2},\s{0,6}(?:(?P<value>\d{1,12}(?:\.\d{1,6})?)(?P<si>[kMGTPEZY](?=[A-Za-z]|s/))?|\?) ?"
    r"(?:s/ ?(?P<inverse>[^,\]\s]{1,20})|(?P<unit>[^,\]/\d][^,\]/]{0,20})?/s)"
)
_PERCENT_BEFORE = re.compile(
    r"(?<![\d.,])(\d{1,3}(?:[.,]\d{1,4})?) ?%(?: ?\|[^|%]{0,400}\|?| ?\[[^\]%]{0,400}\])?\s{0,3}$"
)
_EMPTY_BEFORE = re.compile(r"\|[^|%]{0,400}\|\s{0,3}$")
# A bar without its end: the line was cut, or the format has none.
_CUT = re.compile(
    rf"(?<![\d.,])(?P<percent>\d{{1,3}}(?:\.\d{{1,4}})?) ?%\|(?:[^|%\[\]]{{0,400}}\|(?:\s{{0,3}}{_COUNTS})?)?"
)


@dataclass(kw_only=True, slots=True)
class Bar:
    """Where a bar stands in the line, and what it says."""

    start: int  # of the percentage or count: the name ends here
    end: int
    reading: Reading


def find_bars(line: str) -> list[Bar]:
    """From left to right."""
    if "%|" not in line and "[" not in line:
        return []
    bars: list[Bar] = []
    end = 0
    for meter in _METER.finditer(line) if "[" in line else ():
        if meter.start() < end:
            continue
        if bar := _whole(line, meter, end):
            if "%|" in line[end : bar.start]:
                bars += _cut_bars(line, end, bar.start)
            bars.append(bar)
            end = bar.end
    if "%|" in line[end:]:
        bars += _cut_bars(line, end, len(line))
    return bars


def _whole(line: str, meter: re.Match[str], floor: int) -> Bar | None:
    rate = _RATE.match(line, meter.end())
    if meter["alone"] and not rate:
        return None  # a number before a clock in brackets is no bar
    total = meter["total"]
    reading = Reading(
        bar=True,
        n=count(meter["n"] or meter["alone"]),
        total=count(total) or None if total and total != "?" else None,
        eta=seconds(meter["left"]) if meter["left"] and meter["left"] != "?" else None,
        unit=(meter["counted"] or meter["unit"] or "it").strip(),
    )
    if rate:
        _read_rate(rate, reading)
    end = _end_of_postfix(line, rate.end() if rate else meter.end())
    read_fields(line[rate.end() if rate else meter.end() : end], reading)
    start = _start(line, meter.start(), floor, reading)
    return Bar(start=start, end=end, reading=reading)


def _read_rate(rate: re.Match[str], into: Reading) -> None:
    into.unit = (rate["inverse"] or rate["unit"] or into.unit).strip()
    if rate["value"] and (value := number(rate["value"])) > 0:
        value *= count(f"1{rate['si']}") if rate["si"] else 1
        into.rate = 1.0 / value if rate["inverse"] else value


def _end_of_postfix(line: str, start: int) -> int:
    """After the bracket that closes the bar; where none does, before the next bar or at the line's end."""
    depth = 1
    for place in range(start, min(len(line), start + _POSTFIX)):
        char = line[place]
        if char == "]":
            depth -= 1
            if not depth:
                return place + 1
        elif char == "[":
            depth += 1
        elif char == "%" and line[place + 1 : place + 2] == "|":
            before = line[start:place].rstrip("0123456789. ")
            return start + max(before.rfind(" "), 0)
    return min(len(line), start + _POSTFIX)


def _start(line: str, counts: int, floor: int, into: Reading) -> int:
    low = max(floor, counts - _LONGEST)
    before = line[low:counts]
    if "%" in before and (found := _PERCENT_BEFORE.search(before)):
        into.percent = float(found[1].replace(",", "."))
        return low + found.start()
    if before.rstrip().endswith("|") and (empty := _EMPTY_BEFORE.search(before)):
        return low + empty.start()
    return counts


def _cut_bars(line: str, start: int, end: int) -> list[Bar]:
    bars = []
    for found in _CUT.finditer(line, start, end):
        percent = float(found["percent"])
        reading = Reading(bar=True, percent=percent)
        total = count(found["total"]) if found["total"] and found["total"] != "?" else 0
        # Counts that do not agree with the percentage were cut inside a number.
        if total and abs(100.0 * count(found["n"]) / total - percent) <= 1.0:
            reading.n, reading.total = count(found["n"]), total
        bars.append(Bar(start=found.start(), end=found.end(), reading=reading))
    return bars
