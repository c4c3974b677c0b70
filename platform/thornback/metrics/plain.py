"""Values of training code as JSON has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any


def plain(value: Any) -> Any:
    """The same in None, bool, int, float, str, list and dict.

    Arrays and tensors become lists (which waits for a GPU), non-finite numbers None, and what has no
    JSON form its text.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    tolist = getattr(value, "tolist", None)  # numpy and torch, scalars as well
    return plain(tolist()) if callable(tolist) else str(value)
