"""Numbers and durations as trainers write them."""

from __future__ import annotations

import re

# Each is bounded, so that a search over any line takes time in proportion to its length.
COUNT = r"(?:\d{1,3}(?:,\d{3}){1,4}(?![\d.,])|\d{1,15}(?:\.\d{1,6})?[kKMGTPEZY]?)"
WHOLE = r"(?:\d{1,3}(?:,\d{3}){1,4}(?![\d.,])|\d{1,15}(?:\.\d{1,6})?)"  # for patterns that take either case
NUMBER = (
    r"[-+]?(?:\d{1,3}(?:,\d{3}){1,4}\.\d{1,18}|\d{1,18}[.,]\d{1,20}|\.\d{1,20}|\d{1,18}\.?)(?:[eE][-+]?\d{1,3})?"
    r"|[-+]?(?:nan|inf(?:inity)?)(?![a-z])"
)
CLOCK = r"-?(?:\d{1,4} ?d(?:ays?)?,? )?\d{1,9}(?::\d{1,2}){1,3}(?:\.\d{1,6})?"

_SI = {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18, "Z": 1e21, "Y": 1e24}
_DAYS = re.compile(r"(\d+) ?d(?:ays?)?,? ")
_PARTS = re.compile(r"(\d+(?:\.\d+)?) ?(d|h|m|s|ms)(?:ays?|(?:ou)?rs?|in(?:ute)?s?|ec(?:ond)?s?)?(?![a-z])")
_PART_SECONDS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def count(text: str) -> int:
    """`1600`, `1,600`, `1.60k`, `35.0` as a whole number."""
    if text.isdigit():
        return int(text)
    scale = _SI.get(text[-1])
    plain = (text[:-1] if scale else text).replace(",", "")
    return round(float(plain) * (scale or 1.0))


def number(text: str) -> float:
    """Also `0,0626` (a comma before decimals), `1,234.5`, `nan`, `-inf`."""
    if "," in text:
        text = text.replace(",", "") if "." in text else text.replace(",", ".")
    return float(text)


def seconds(text: str) -> float:
    """`MM:SS`, `H:MM:SS` (any number of hours), `1 day, 2:03:04`, `D:HH:MM:SS`; minutes may be over 59."""
    days = _DAYS.search(text)
    clock = text[days.end() :] if days else text
    total = 0.0
    parts = clock.lstrip("-").split(":")
    for place, part in zip((1.0, 60.0, 3_600.0, 86_400.0), reversed(parts), strict=False):
        total += place * float(part)
    return 0.0 if clock.startswith("-") else total + (int(days[1]) * 86_400 if days else 0)


def duration(text: str) -> float | None:
    """A clock as above, or `1h 2m`, `12s`, `1d 3h`; None for anything else."""
    text = text.strip()
    if ":" in text:
        return seconds(text) if re.fullmatch(CLOCK, text) else None
    found = _PARTS.findall(text.lower())
    return sum(float(value) * _PART_SECONDS[unit] for value, unit in found) if found else None
