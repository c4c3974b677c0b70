"""Values as a column holds them. A run or a provider may state anything as a fact. Pure."""

from __future__ import annotations

from math import isfinite
from typing import Any

from thornback.store.admit import MAX_INT, clean_text

MAX_BIG_INT = 2**63 - 1


def cut(value: Any, length: int | None = None) -> str | None:
    """Anything as text of at most `length` characters."""
    return None if value is None else clean_text(str(value))[:length]


def text_cell(value: Any, length: int | None = None) -> str | None:
    """Text of at most `length` characters, None for what is no text."""
    return cut(value, length) if isinstance(value, str) else None


def number_cell(value: Any) -> float | None:
    """A time or a price, None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if isfinite(value) and value >= 0 else None


def whole_cell(value: Any, most: int = MAX_INT) -> int | None:
    """A whole number from 0 to `most`, None for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most else None
