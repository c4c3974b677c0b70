"""What may enter the database."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.jobs.histories import BEGIN, JOB_ID, histories
from thornback.jobs.events import Attempt, EventFactory, JobEvent
from thornback.store.admit import MAX_KEY, admit, clean_json, clean_text, short_text

make = EventFactory(JOB_ID)


@given(history=histories())
def test_what_a_factory_makes_is_admitted_unchanged(history: list[JobEvent]) -> None:
    assert [admit(event) for event in history] == history


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        (math.nan, None),
        (-math.inf, None),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.float64("nan"), None),
        (True, True),
        (2**70, float(2**70)),
        (Fraction(1, 2), 0.5),
        (Decimal("1.5"), "1.5"),
        ((1, (2, math.nan)), [1, [2, None]]),
        ({1: {"a": math.inf}}, {"1": {"a": None}}),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00+00:00"),
        ("\udce9", "?"),
        ("nul \x00 stays in JSON", "nul \x00 stays in JSON"),
        (b"bytes", "b'bytes'"),
        (None, None),
    ],
)
def test_values_get_a_json_form(value: Any, cleaned: Any) -> None:
    found = clean_json(value)
    assert found == cleaned
    assert type(found) is type(cleaned)


@given(
    value=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(st.characters())
        | st.binary()
        | st.datetimes(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()) | st.integers(), inner),
    )
)
def test_whatever_comes_can_be_written_and_cleaning_again_changes_nothing(value: Any) -> None:
    once = clean_json(value)
    assert orjson.loads(orjson.dumps(once)) == once
    assert clean_json(once) == once


@given(text=st.text(st.characters(), max_size=600), length=st.integers(40, 300))
def test_short_text_fits_a_column(text: str, length: int) -> None:
    short = short_text(text, length)
    assert len(short) <= length
    assert "\x00" not in short
    short.encode()
    assert short_text(short, length) == short
    if clean_text(text) == text and len(text) <= length:
        assert short == text


def test_long_keys_that_differ_stay_different() -> None:
    keys = {short_text("k" * 400 + str(n), MAX_KEY) for n in range(100)}
    assert len(keys) == 100


def test_a_time_without_a_zone_is_utc() -> None:
    event = replace(make.started(Attempt(), at=BEGIN), at=BEGIN.replace(tzinfo=None))
    admitted = admit(event)
    assert admitted is not None
    assert admitted.at == BEGIN


@pytest.mark.parametrize("job_id", ["", "x", JOB_ID.upper(), JOB_ID.replace("-", ""), f"{{{JOB_ID}}}"])
def test_ids_have_one_form(job_id: str) -> None:
    """`0190A000…` and `0190a000…` would be one row and two jobs."""
    event = replace(make.started(Attempt(), at=BEGIN), job_id=job_id)
    assert (admit(event) is None) == (job_id != JOB_ID)
