"""What may enter the database. Pure.

Events of many senders share one transaction, so that one that the database would refuse, or that
cannot be folded, would hold up all others for ever. Such an event is mended where that is harmless
(NaN, a NUL character, a fact that has no JSON form) and dropped with an error in the log otherwise.
"""

from __future__ import annotations

import hashlib
import numbers
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from thornback.jobs.events import EventKind, JobEvent
from thornback.jobs.items import ItemState, reduce_item
from thornback.jobs.reduce import reduce
from thornback.jobs.state import JobState
from thornback.log import get_logger
from thornback.store.columns import canonical_id

MAX_SOURCE = 50
MAX_KEY = 255
MAX_PHASE = 20
MAX_INT = 2**31 - 1

_log = get_logger("store")


def admit(event: JobEvent) -> JobEvent | None:
    """The event as it will be stored, or None where it cannot be."""
    if canonical_id(event.job_id) != event.job_id:
        return None  # no job can have this id
    try:
        data = _admit_metrics(event.data) if event.kind is EventKind.METRICS else clean_json(event.data)
        admitted = JobEvent(
            job_id=event.job_id,
            source=short_text(event.source, MAX_SOURCE),
            key=short_text(event.key, MAX_KEY),
            kind=event.kind,
            at=_utc(event.at),
            data=data,
        )
        if event.kind is EventKind.LOG:
            _check_log(data)
        elif event.kind is EventKind.ITEM:
            _check_item(admitted)
        elif event.kind is not EventKind.METRICS:
            # a trial of its own fold is the exact test; these kinds are rare enough for it
            reduce(JobState(id=event.job_id), admitted)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        _log.error("event dropped: it cannot be stored", job_id=event.job_id, key=event.key, reason=repr(error))
        return None
    return admitted


def _admit_metrics(data: Mapping[str, Any]) -> dict[str, Any]:
    _check_int(data["epoch"])
    if data["batch"] is not None:
        _check_int(data["batch"])
    phase = data["phase"]
    if not isinstance(phase, str) or len(phase) > MAX_PHASE:
        raise ValueError(f"phase {phase!r}")
    values = {clean_text(name): _finite(value) for name, value in data["values"].items()}
    rest = {} if len(data) == 4 else clean_json({name: data[name] for name in data if name != "values"})
    return {**rest, "epoch": data["epoch"], "batch": data["batch"], "phase": clean_text(phase), "values": values}


def _check_log(data: Mapping[str, Any]) -> None:
    for name in ("attempt", "restart", "rank", "seq"):
        _check_int(data[name])
    if not isinstance(data["lines"], list):
        raise TypeError("lines is not a list")


def _check_item(event: JobEvent) -> None:
    data = event.data
    for name in ("item", "order"):
        _check_int(data[name])
        if data[name] < 1:
            raise ValueError(f"{name} {data[name]}")
    for name in ("provider", "provider_id"):
        if not isinstance(data[name], str | None if name == "provider_id" else str):
            raise TypeError(f"{name} is no text")
    reduce_item(ItemState(job_id=event.job_id, item=data["item"]), event)


def _check_int(value: Any) -> None:
    if not isinstance(value, int) or not -MAX_INT <= value <= MAX_INT:
        raise ValueError(f"{value!r} is not a number that a column holds")


def _finite(value: Any) -> float | None:
    if value is None:
        return None
    number = float(value)
    return number if isfinite(number) else None


def clean_json(value: Any) -> Any:
    """The same in JSON: non-finite numbers become None, and what has no JSON form becomes its text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _encodable(value)
    if isinstance(value, numbers.Integral):  # numpy's integers too
        number = int(value)
        return number if -(2**63) <= number < 2**64 else float(number)
    if isinstance(value, numbers.Real):
        return float(value) if isfinite(value) else None
    if isinstance(value, Mapping):
        return {_encodable(str(name)): clean_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean_json(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return _encodable(str(value))


def _encodable(text: str) -> str:
    # half a surrogate pair (undecodable bytes of a program's output) has no UTF-8 form
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def clean_text(text: str) -> str:
    """Text for a text column: PostgreSQL holds no NUL characters."""
    if text.isascii() and "\x00" not in text:
        return text
    return _encodable(text).replace("\x00", "\N{REPLACEMENT CHARACTER}")


def short_text(text: str, length: int) -> str:
    """Text of at most `length` characters; a longer one ends in a digest, so that different texts stay different."""
    text = clean_text(text)
    if len(text) <= length:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[: min(32, length // 2)]
    return text[: length - len(digest)] + digest


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
