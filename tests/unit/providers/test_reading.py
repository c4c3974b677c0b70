from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thornback.errors import InvalidInput
from thornback.providers.fal_body import read_listed
from thornback.providers.fal_body import read_sighting as read_fal
from thornback.providers.port import OrderPhase
from thornback.providers.reading import addresses, clean, load_body, load_json, read_moment, read_seconds
from thornback.providers.replicate_body import read_sighting as read_replicate

# Everything that JSON can hold, and some of what it cannot.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
# what it costs is not what is tested, and the machine may be busy
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
REPLICATE_FIELDS = [
    "id", "status", "model", "version", "input", "output", "logs", "error", "metrics", "urls", "data_removed",
    "created_at", "started_at", "completed_at",
]  # fmt: skip
FAL_FIELDS = [
    "request_id", "status", "error", "error_type", "payload", "payload_error", "logs", "metrics", "result_status",
    "sent_at", "started_at", "ended_at", "json_input", "json_output", "status_code", "duration", "endpoint_id",
]  # fmt: skip


@unhurried
@given(
    body=st.dictionaries(st.sampled_from(REPLICATE_FIELDS), JSON),
    status=st.sampled_from(["starting", "processing", "succeeded", "failed", "canceled", "aborted"]),
)
def test_hostile_replicate_bodies_are_read_or_refused(body: dict[str, Any], status: str) -> None:
    for given_body in (body, {**body, "id": "x1", "status": status}):
        try:
            sighting = read_replicate(given_body)
        except InvalidInput:
            continue
        _can_be_kept(sighting)


@unhurried
@given(
    body=st.dictionaries(st.sampled_from(FAL_FIELDS), JSON),
    status=st.sampled_from(["IN_QUEUE", "IN_PROGRESS", "COMPLETED", "OK", "ERROR"]),
)
def test_hostile_fal_bodies_are_read_or_refused(body: dict[str, Any], status: str) -> None:
    for read, given_body in (
        (read_fal, body),
        (read_fal, {**body, "request_id": "x1", "status": status}),
        (read_listed, {**body, "request_id": "x1"}),
    ):
        try:
            sighting = read(given_body)
        except InvalidInput:
            continue
        _can_be_kept(sighting)


def _can_be_kept(sighting: Any) -> None:
    """Nothing in it breaks UTF-8 or PostgreSQL."""
    text = "".join(filter(None, [sighting.logs, sighting.error, sighting.model, *sighting.warnings]))
    assert "\x00" not in text
    text.encode("utf-8")


@pytest.mark.parametrize("body", [None, [], "text", 7, True])
def test_what_is_no_object_is_refused(body: Any) -> None:
    for read in (read_replicate, read_fal, read_listed):
        with pytest.raises(InvalidInput, match="object"):
            read(body)


def test_a_body_nested_without_end_is_refused() -> None:
    body: dict[str, Any] = {}
    for _ in range(500):
        body = {"output": body}
    with pytest.raises(InvalidInput, match="deep"):
        read_replicate({"id": "x", "status": "starting", **body})


def test_control_characters_are_read_as_they_came() -> None:
    raw = b'{"id":"t1","status":"processing","logs":"\x1b[32m 10%|#  |\r 20%|## |\n"}'
    assert read_replicate(load_body(raw)).logs == "\x1b[32m 10%|#  |\r 20%|## |\n"


@pytest.mark.parametrize("raw", [b"", b"<html>", b"\xff\xfe", b"[1]", b"[" * 100_000, b"1" * 10_000])
def test_what_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidInput):
        load_body(raw)


def test_numbers_that_json_has_not_become_null() -> None:
    assert load_json('{"a": NaN, "b": -Infinity}') == {"a": None, "b": None}
    assert clean({"a": float("inf"), "b\x00": "x\ud800\x00"}) == {"a": None, "b": "x?"}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21T10:00:19.195332906Z", datetime(2026, 11, 21, 10, 0, 19, 195332, tzinfo=UTC)),  # nanoseconds
        ("2026-11-21T12:00:00+02:00", datetime(2026, 11, 21, 10, 0, tzinfo=UTC)),
        ("2026-11-21T10:00:00", datetime(2026, 11, 21, 10, 0, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),  # before the first year
        ("yesterday", None),
        (1_700_000_000, None),
        (None, None),
    ],
)
def test_timestamps(text: object, moment: datetime | None) -> None:
    assert read_moment(text) == moment


@pytest.mark.parametrize(
    ("value", "seconds"), [(3, 3.0), (0.5, 0.5), (True, None), ("3", None), (-1, None), (10**400, None)]
)
def test_durations(value: object, seconds: float | None) -> None:
    assert read_seconds(value) == seconds


def test_addresses_are_found_wherever_they_are() -> None:
    found = addresses({"images": [{"url": "https://a/1.png", "width": 5}, "http://a/2.png"], "seed": 3, "x": "ftp://a"})
    assert list(found) == ["https://a/1.png", "http://a/2.png"]
    assert list(addresses("https://a/one.webp")) == ["https://a/one.webp"]
    assert list(addresses("data:image/png;base64,xx")) == []


def test_phases_of_replicate() -> None:
    phases = {
        status: read_replicate({"id": "x", "status": status}).phase for status in ("canceled", "aborted", "failed")
    }
    assert phases == {
        "canceled": OrderPhase.CANCELLED,
        "aborted": OrderPhase.CANCELLED,
        "failed": OrderPhase.FAILED,
    }
    with pytest.raises(InvalidInput, match="status"):
        read_replicate({"id": "x", "status": "exploded"})
